"""File formats: JSON with its options, tensors by name, renaming of tensors."""
