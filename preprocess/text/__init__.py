"""From strings to words: added tokens, normalizers, pre-tokenizers, and their places."""
