"""Presets of keras-hub: configuration, weights and tokenizer."""
