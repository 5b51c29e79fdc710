"""SentencePiece's Unigram model: words to pieces, exactly as the `tokenizers` library has them.

See Kudo, "Subword Regularization: Improving Neural Network Translation Models with Multiple
Subword Candidates" (2018), https://arxiv.org/abs/1804.10959.

1. The words, as codepoints, each with a character of no piece in front.
2. `PieceMatcher`: all pieces in the text. A character that is not a piece is an unknown piece.
3. `BestPath`: the pieces with the highest sum of scores.

Shapes: n words; N nodes, one before each word and one after each character.
"""

from collections.abc import Mapping

import tensorflow as tf

from preprocess.graph.lanes import marks
from preprocess.graph.utf8 import byte_lengths
from preprocess.unigram.best_path import BestPath
from preprocess.unigram.borders import WordNodes
from preprocess.unigram.model import Found, UnigramModel
from preprocess.unigram.piece_matcher import PieceMatcher


class Viterbi(UnigramModel):
    """The exact engine."""

    def compile(self, scores: Mapping[str, float], unknown: float) -> None:
        self._matcher = PieceMatcher([*scores])
        self._best_path = BestPath([unknown, *scores.values()])

    def search(self, words: tf.Tensor) -> Found:
        marked = tf.strings.join([self._matcher.stranger, words])
        text = tf.strings.unicode_decode(marked, "UTF-8")
        points, splits = text.values, tf.cast(text.row_splits, tf.int32)
        first = marks(splits[:-1], tf.size(points))
        owners = tf.cumsum(tf.cast(first, tf.int32)) - 1
        ends, lengths, numbers = self._best_path(
            self._matcher(points), WordNodes(splits[:-1], splits[1:] - 1, owners)
        )
        limits = tf.cumsum(tf.where(first, 0, byte_lengths(points)))
        return Found(
            numbers=numbers,
            words=tf.gather(owners, ends),
            starts=tf.gather(limits, ends - lengths),
            limits=tf.gather(limits, ends),
        )
