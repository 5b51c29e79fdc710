"""What becomes a SavedModel: encoder, preprocessor, text embedding."""
