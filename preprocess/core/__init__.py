"""The machinery that every tokenizer kind shares.

A source tokenizer (a `tokenizers.Tokenizer`) is compiled, not imitated: what its components do to
each codepoint is found by running them, and becomes a table in the graph.

Axes in the shape notes: B batch, S sequence length, n pieces of a row; `(words)` and `(pieces)` are
ragged.
"""
