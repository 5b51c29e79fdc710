"""A tokenizer in the graph: text, a model, offsets and decoding; how a kind declares itself."""
