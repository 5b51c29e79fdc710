"""What can be wrong with a source tokenizer, as typed errors."""


class PreprocessError(ValueError):
    """Base of every error that this package raises about a source tokenizer."""


class UnsupportedTokenizerError(PreprocessError):
    """The tokenizer has a component that cannot be compiled exactly."""


class VocabularyError(PreprocessError):
    """The vocabulary lacks a token that the tokenizer needs."""
