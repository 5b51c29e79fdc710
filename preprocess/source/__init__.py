"""Reading a source tokenizer: its serialised components, and what it does when asked."""
