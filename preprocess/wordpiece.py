"""WordPiece (https://arxiv.org/abs/1609.08144): the tokenizer of BERT and its family.

Each word becomes the longest pieces of the vocabulary from its start on, or, where that fails or
the word is too long, the unknown token; in linear time (https://arxiv.org/abs/2012.15524).
"""

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from preprocess.graph.rows import owners
from preprocess.source.components import Component, require
from preprocess.source.errors import UnsupportedTokenizerError, VocabularyError
from preprocess.tokenizer.model import Model, Offsets
from preprocess.tokenizer.tokenizer import TokenizerKind

_OPTIONS = {
    "WordPiece": ("unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab")
}
_LONGEST_PIECE = 256
_INT32_MAX = 2**31 - 1


class WordPiece(Model):
    """A WordPiece model over words of text."""

    def __init__(self, tokenizer: Component) -> None:
        """Reads the vocabulary.

        Raises:
            UnsupportedTokenizerError: a piece has over 256 bytes, or NUL.
            VocabularyError: the unknown token is not in the vocabulary.
        """
        super().__init__()
        model = require("model", tokenizer["model"], _OPTIONS)
        self._unknown = model["unk_token"]
        if self._unknown not in model["vocab"]:
            raise VocabularyError(f"the unknown token {self._unknown!r} is not in the vocabulary")
        vocabulary = {piece: id for piece, id in model["vocab"].items() if piece}
        if long := [piece for piece in vocabulary if len(piece.encode()) > _LONGEST_PIECE]:
            raise UnsupportedTokenizerError(f"pieces of over {_LONGEST_PIECE} bytes: {long[:3]}")
        if broken := [piece for piece in vocabulary if "\0" in piece]:
            raise UnsupportedTokenizerError(f"WordPiece: pieces with NUL: {broken[:3]}")
        self._ids = np.array(list(vocabulary.values()), np.int32)
        self._most_characters = min(model["max_input_chars_per_word"], _INT32_MAX)
        self._operation = tf_text.FastWordpieceTokenizer(
            vocab=list(vocabulary),
            suffix_indicator=model["continuing_subword_prefix"],
            max_bytes_per_word=min(4 * self._most_characters, _INT32_MAX),
            token_out_type=tf.int32,
            unknown_token=self._unknown,
            no_pretokenization=True,
        )

    def tokenize(self, words: tf.Tensor) -> tf.RaggedTensor:
        pieces = self._operation.tokenize(self._bounded(words))
        return pieces.with_values(tf.gather(self._ids, pieces.values))

    def tokenize_with_offsets(self, words: tf.Tensor) -> Offsets:
        pieces, starts, limits = self._operation.tokenize_with_offsets(self._bounded(words))
        too_long, lengths = self._too_long(words), tf.cast(tf.strings.length(words), tf.int64)
        word = owners(pieces.row_splits)
        whole, end = tf.gather(too_long, word), tf.gather(lengths, word)
        values = (
            tf.gather(self._ids, pieces.values),
            tf.cast(starts.values, tf.int64),
            tf.where(whole, end, tf.cast(limits.values, tf.int64)),
        )
        return tuple(pieces.with_values(each) for each in values)

    def _bounded(self, words: tf.Tensor) -> tf.Tensor:
        """Puts the unknown token in the place of words that are too long, string [n]."""
        too_long = self._too_long(words)
        return tf.cond(
            tf.reduce_any(too_long), lambda: tf.where(too_long, self._unknown, words), lambda: words
        )

    def _too_long(self, words: tf.Tensor) -> tf.Tensor:
        return tf.strings.length(words, unit="UTF8_CHAR") > self._most_characters


KIND = TokenizerKind("WordPiece", WordPiece, keeps_words=True, distinct=False)
