"""Comparing an export with its source: tokens, numbers, vectors."""
