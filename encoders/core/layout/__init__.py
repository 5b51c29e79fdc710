"""Rows of tokens: which of them are there, and how they lie side by side."""
