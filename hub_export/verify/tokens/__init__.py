"""Comparing tokens: ids, offsets, packed rows, and how `transformers` reads the tokenizer."""
