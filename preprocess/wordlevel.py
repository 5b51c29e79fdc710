"""WordLevel: a word is one entry of the vocabulary, or unknown.

Where pre-tokenizers make words of single characters, it has a vocabulary of characters, as those of
amino acids (ESM, https://doi.org/10.1126/science.ade2574).
"""

import tensorflow as tf

from preprocess.graph.rows import only
from preprocess.graph.tables import static_table
from preprocess.source.components import Component, require
from preprocess.source.errors import VocabularyError
from preprocess.tokenizer.model import Model, Offsets
from preprocess.tokenizer.tokenizer import TokenizerKind

_OPTIONS = {"WordLevel": ("unk_token", "vocab")}


class WordLevel(Model):
    """A vocabulary of whole words."""

    def __init__(self, tokenizer: Component) -> None:
        """Reads the vocabulary.

        Raises:
            VocabularyError: the unknown token is not in the vocabulary.
        """
        super().__init__()
        model = require("model", tokenizer["model"], _OPTIONS)
        vocabulary, unknown = model["vocab"], model["unk_token"]
        if unknown not in vocabulary:
            raise VocabularyError(f"the unknown token {unknown!r} is not in the vocabulary")
        keys, ids = list(vocabulary), list(vocabulary.values())
        self._ids = static_table(keys, ids, tf.string, vocabulary[unknown])

    def tokenize(self, words: tf.Tensor) -> tf.RaggedTensor:
        return self._pieces(words, self._ids.lookup(words))

    def tokenize_with_offsets(self, words: tf.Tensor) -> Offsets:
        limits = tf.cast(tf.strings.length(words), tf.int64)
        values = self._ids.lookup(words), tf.zeros_like(limits), limits
        return tuple(self._pieces(words, each) for each in values)

    def _pieces(self, words: tf.Tensor, values: tf.Tensor) -> tf.RaggedTensor:
        """One piece a word: [n] -> [n, (pieces)]."""
        each = tf.RaggedTensor.from_uniform_row_length(values, 1)
        return only(each, tf.not_equal(words, ""))


KIND = TokenizerKind("WordLevel", WordLevel, keeps_words=True, distinct=False)
