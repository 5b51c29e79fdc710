"""The tokenizer of a checkpoint, from the files that it comes in."""
