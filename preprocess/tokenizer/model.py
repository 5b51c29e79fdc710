"""What every tokenizer model offers: from words to pieces."""

import abc

import tensorflow as tf

Offsets = tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]


class Model(tf.Module, metaclass=abc.ABCMeta):
    """What makes pieces of words: the `model` of a source tokenizer.

    Attributes:
        as_text: the id of pieces that the source spells as they stand in the text; None where
            every id has one spelling.
    """

    as_text: int | None = None

    @abc.abstractmethod
    def tokenize(self, words: tf.Tensor) -> tf.RaggedTensor:
        """string [n], valid UTF-8 -> int32 [n, (pieces)]; an empty word has none."""

    @abc.abstractmethod
    def tokenize_with_offsets(self, words: tf.Tensor) -> Offsets:
        """string [n] -> ids, and int64 starts and limits: bytes of the word."""
