"""SentencePiece's Unigram model: words to pieces, exactly as the `tokenizers` library has them.

See Kudo, "Subword Regularization: Improving Neural Network Translation Models with Multiple
Subword Candidates" (2018), https://arxiv.org/abs/1804.10959.

1. The distinct words, as codepoints, each with a character of no piece in front.
2. `PieceMatcher`: all pieces in the text. A character that is not a piece is an unknown piece.
3. `BestPath`: the pieces with the highest sum of scores.
4. Adjacent unknown pieces become one, or the pieces of its bytes.

Shapes: n words; w distinct ones; N nodes, one before each word and one after each character.
"""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from preprocess.core.best_path import BestPath, Words
from preprocess.core.errors import UnsupportedTokenizerError
from preprocess.core.lanes import marks
from preprocess.core.model import Model
from preprocess.core.piece_matcher import PieceMatcher
from preprocess.core.unknown_pieces import ByteFallback, Pieces, fuse

_UNKNOWN_PENALTY = 10.0
_LARGEST_SCORE = 1e9


class Viterbi(Model):
    """The Unigram model."""

    def __init__(
        self, vocabulary: Sequence[tuple[str, float]], unknown: int | None, byte_fallback: bool
    ) -> None:
        """Compiles the vocabulary.

        Args:
            vocabulary: pieces and their scores, in the order of the ids. Of equal pieces, the last
                one counts.
            unknown: the id of the unknown piece.
            byte_fallback: whether pieces of single bytes take the place of an unknown piece.

        Raises:
            UnsupportedTokenizerError: there is no unknown piece, and the source fails on some
                texts; or scores are such that adjacent unknown pieces may make up another one.
        """
        super().__init__()
        ids = {piece: id for id, (piece, _) in enumerate(vocabulary) if piece}
        self._unknown = _require_unknown(vocabulary, ids, unknown)
        lowest = min(score for _, score in vocabulary)
        scores = [vocabulary[id][1] for id in ids.values()]
        self._matcher = PieceMatcher(list(ids))
        self._best_path = BestPath([lowest - _UNKNOWN_PENALTY, *scores])
        # By number: 0 is no piece, 1 an unknown character.
        self._ids = tf.constant([self._unknown, self._unknown, *ids.values()], tf.int32)
        self._byte_fallback = ByteFallback(ids) if byte_fallback else None

    def tokenize(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Tokenizes words.

        Args:
            words: string [n], valid UTF-8.

        Returns:
            int32 [n, (pieces)] ids; an empty word has none.
        """
        return self.tokenize_with_offsets(words)[0]

    def tokenize_with_offsets(
        self, words: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Tokenizes words, and says where in them the pieces are.

        Args:
            words: string [n], valid UTF-8.

        Returns:
            ids: int32 [n, (pieces)].
            starts: int64 [n, (pieces)], the first byte of each piece.
            limits: int64 [n, (pieces)], the byte after the last.
        """
        distinct, index = tf.unique(words)
        pieces = fuse(self._pieces(distinct), self._unknown)
        if self._byte_fallback is not None:
            pieces = self._byte_fallback(pieces, distinct)
        begins = tf.cumsum(tf.strings.length(distinct), exclusive=True)
        begins = tf.gather(begins, pieces.words)
        order = tf.RaggedTensor.from_value_rowids(
            tf.range(tf.size(pieces.ids)), pieces.words, tf.size(distinct), validate=False
        )
        order = tf.gather(order, index)
        ids, starts, limits = (
            order.with_values(tf.gather(each, order.values))
            for each in (pieces.ids, pieces.starts - begins, pieces.limits - begins)
        )
        return ids, tf.cast(starts, tf.int64), tf.cast(limits, tf.int64)

    def _pieces(self, words: tf.Tensor) -> Pieces:
        """The pieces of the best paths of words, string [w]."""
        marked = tf.strings.join([self._matcher.stranger, words])
        text = tf.strings.unicode_decode(marked, "UTF-8")
        points, splits = text.values, tf.cast(text.row_splits, tf.int32)
        first = marks(splits[:-1], tf.size(points))
        owners = tf.cumsum(tf.cast(first, tf.int32)) - 1
        ends, lengths, numbers = self._best_path(
            self._matcher(points), Words(splits[:-1], splits[1:] - 1, owners)
        )
        limits = tf.cumsum(tf.where(first, 0, _byte_lengths(points)))
        return Pieces(
            ids=tf.gather(self._ids, numbers),
            words=tf.gather(owners, ends),
            starts=tf.gather(limits, ends - lengths),
            limits=tf.gather(limits, ends),
            known=numbers > 1,
        )


def _byte_lengths(points: tf.Tensor) -> tf.Tensor:
    """The lengths of codepoints in UTF-8, int32 [n]."""
    return 1 + tf.raw_ops.Bucketize(input=points, boundaries=[0x80, 0x800, 0x10000])


def _require_unknown(
    vocabulary: Sequence[tuple[str, float]], ids: Mapping[str, int], unknown: int | None
) -> int:
    """Returns the id of the unknown piece.

    The source looks a string of adjacent unknown pieces up in the vocabulary. It is not there if
    the best path had taken it: then this module is exact.

    Raises:
        UnsupportedTokenizerError: there is none, or the string may be in the vocabulary.
    """
    if unknown is None or not 0 <= unknown < len(vocabulary):
        raise UnsupportedTokenizerError(
            f"Unigram: unk_id is {unknown}; expected that of one of the {len(vocabulary)} pieces"
        )
    if beyond := [piece for piece, score in vocabulary if not abs(score) <= _LARGEST_SCORE]:
        raise UnsupportedTokenizerError(f"Unigram: scores beyond {_LARGEST_SCORE}: {beyond[:3]}")
    if min(score for _, score in vocabulary) > _UNKNOWN_PENALTY:
        raise UnsupportedTokenizerError(
            f"Unigram: all scores are above {_UNKNOWN_PENALTY}, so that unknown characters gain"
        )
    name = vocabulary[unknown][0]
    containing = [piece for piece in ids if name and name in piece and piece != name]
    if made := [piece for piece in containing if (set(piece) - set(name)).isdisjoint(ids)]:
        raise UnsupportedTokenizerError(
            f"Unigram: {made[:3]} could be made up of {name!r} and unknown characters"
        )
    return unknown
