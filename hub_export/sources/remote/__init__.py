"""Checkpoints whose code came with them: it is never run. Each file knows one such layout."""
