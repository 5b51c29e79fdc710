"""SentencePiece's Unigram model: words to pieces, exactly as the `tokenizers` library has them.

See Kudo, "Subword Regularization: Improving Neural Network Translation Models with Multiple
Subword Candidates" (2018), https://arxiv.org/abs/1804.10959.

1. Each distinct word once, as codepoints, with a character of no piece in front: the node before.
2. `PieceMatcher`: all pieces of the text. A character that is not a piece is unknown.
3. `BestPath`: the pieces with the highest sum of scores.
4. Adjacent unknown pieces become one, or the pieces of its bytes.

Shapes: n words, w distinct ones; N nodes, one before each word and one after each character; K the
longest piece; P pieces of all distinct words.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from preprocess.core.best_path import BestPath, Words
from preprocess.core.errors import UnsupportedTokenizerError
from preprocess.core.lanes import marks, positions, repeat_index
from preprocess.core.piece_matcher import PieceMatcher

_UNKNOWN_PENALTY = 10.0
_LARGEST_SCORE = 1e9

Offsets = tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]


class Pieces(NamedTuple):
    """The pieces of all distinct words, in their order.

    Attributes:
        ids: int32 [P].
        owners: int32 [P], the word that each is in.
        starts, limits: int32 [P], bytes of all distinct words one after the other.
        known: bool [P], whether the vocabulary has the piece.
    """

    ids: tf.Tensor
    owners: tf.Tensor
    starts: tf.Tensor
    limits: tf.Tensor
    known: tf.Tensor


class Viterbi(tf.Module):
    """The Unigram model."""

    def __init__(
        self, vocabulary: Sequence[tuple[str, float]], unknown: int | None, byte_fallback: bool
    ) -> None:
        """Compiles the vocabulary.

        Args:
            vocabulary: pieces and their scores, by id. Of equal pieces, the last one counts.
            unknown: the id of the unknown piece.
            byte_fallback: whether an unknown piece gives way to the pieces of its bytes, `<0x00>`
                to `<0xFF>`, if the vocabulary has them.

        Raises:
            UnsupportedTokenizerError: there is no unknown piece, so that the source refuses some
                texts; or the scores would let adjacent unknown pieces make up a known one.
        """
        super().__init__()
        ids = {piece: id for id, (piece, _) in enumerate(vocabulary) if piece}
        self._unknown = _checked(vocabulary, ids, unknown)
        lowest = min(score for _, score in vocabulary)
        self._matcher = PieceMatcher(list(ids))
        self._best_path = BestPath(
            [lowest - _UNKNOWN_PENALTY, *(vocabulary[id][1] for id in ids.values())]
        )
        # By the numbers of `BestPath`: 0 no piece, 1 an unknown character.
        self._ids = tf.constant([self._unknown, self._unknown, *ids.values()], tf.int32)
        byte_ids = [ids.get(f"<0x{byte:02X}>", -1) for byte in range(256)]
        self._byte_ids = tf.constant(byte_ids, tf.int32) if byte_fallback else None

    def tokenize(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Tokenizes words.

        Args:
            words: string [n], valid UTF-8.

        Returns:
            int32 [n, (pieces)] ids; none of an empty word.
        """
        return self.tokenize_with_offsets(words)[0]

    def tokenize_with_offsets(self, words: tf.Tensor) -> Offsets:
        """Tokenizes words, and says where their pieces are.

        Args:
            words: string [n], valid UTF-8.

        Returns:
            ids: int32 [n, (pieces)].
            starts, limits: int64 [n, (pieces)], bytes of the word.
        """
        distinct, index = tf.unique(words)
        pieces = self._fuse(self._best_pieces(distinct))
        if self._byte_ids is not None:
            pieces = self._fall_back(pieces, distinct)
        order = tf.RaggedTensor.from_value_rowids(
            tf.range(tf.size(pieces.ids)), pieces.owners, tf.size(distinct), validate=False
        )
        order = tf.gather(order, index)
        origins = tf.cumsum(tf.strings.length(distinct), exclusive=True)
        origins = tf.gather(origins, pieces.owners)
        starts, limits = (
            tf.cast(each - origins, tf.int64) for each in (pieces.starts, pieces.limits)
        )
        ids, starts, limits = (
            order.with_values(tf.gather(each, order.values))
            for each in (pieces.ids, starts, limits)
        )
        return ids, starts, limits

    def _best_pieces(self, words: tf.Tensor) -> Pieces:
        """The best path of each word, string [w]."""
        marked = tf.strings.join([self._matcher.stranger, words])
        text = tf.strings.unicode_decode(marked, "UTF-8")
        points, splits = text.values, tf.cast(text.row_splits, tf.int32)
        before_word = marks(splits[:-1], tf.size(points))
        owners = tf.cumsum(tf.cast(before_word, tf.int32)) - 1
        matches = self._matcher(points)
        ends, lengths = self._best_path(matches, Words(splits[:-1], splits[1:] - 1, owners))
        column = tf.shape(matches)[1] - lengths
        numbers = tf.gather_nd(matches, tf.stack([ends, column], 1))
        limits = tf.cumsum(tf.where(before_word, 0, _byte_lengths(points)))
        return Pieces(
            ids=tf.gather(self._ids, numbers),
            owners=tf.gather(owners, ends),
            starts=tf.gather(limits, ends - lengths),
            limits=tf.gather(limits, ends),
            known=numbers > 1,
        )

    def _fuse(self, pieces: Pieces) -> Pieces:
        """Makes one unknown piece of those next to each other."""
        unknown = tf.equal(pieces.ids, self._unknown)
        same_word = tf.equal(pieces.owners[1:], pieces.owners[:-1])
        joined = tf.concat([[False], unknown[1:] & unknown[:-1] & same_word, [False]], 0)
        heads = positions(~joined[: tf.size(unknown)])
        tails = positions(~joined[1 : tf.size(unknown) + 1])
        ids, owners, starts, _, known = (tf.gather(each, heads) for each in pieces)
        known &= tf.equal(heads, tails)
        return Pieces(ids, owners, starts, tf.gather(pieces.limits, tails), known)

    def _fall_back(self, pieces: Pieces, words: tf.Tensor) -> Pieces:
        """Puts the pieces of its bytes, each as long as all, in the place of what is not known."""
        text = tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8)
        byte_ids = tf.gather(self._byte_ids, tf.cast(text, tf.int32))
        missing = tf.concat([[0], tf.cumsum(tf.cast(byte_ids < 0, tf.int32))], 0)
        covered = tf.equal(tf.gather(missing, pieces.starts), tf.gather(missing, pieces.limits))
        counts = tf.where(covered & ~pieces.known, pieces.limits - pieces.starts, 1)
        index = repeat_index(counts)
        nth = tf.range(tf.size(index)) - tf.gather(tf.cumsum(counts, exclusive=True), index)
        replaced = tf.gather(covered & ~pieces.known, index)
        pieces = Pieces(*(tf.gather(each, index) for each in pieces))
        ids = tf.gather(byte_ids, pieces.starts + nth)
        return pieces._replace(ids=tf.where(replaced, ids, pieces.ids))


def _byte_lengths(points: tf.Tensor) -> tf.Tensor:
    """The length of each codepoint in UTF-8, int32 [n]."""
    return 1 + tf.raw_ops.Bucketize(input=points, boundaries=[0x80, 0x800, 0x10000])


def _checked(
    vocabulary: Sequence[tuple[str, float]], ids: Mapping[str, int], unknown: int | None
) -> int:
    """The id of the unknown piece, if the vocabulary is one that the module is exact for."""
    if unknown is None:
        raise UnsupportedTokenizerError("Unigram without an unknown piece is not supported")
    if not 0 <= unknown < len(vocabulary):
        raise UnsupportedTokenizerError(
            f"the unknown piece has id {unknown}, the vocabulary {len(vocabulary)} pieces"
        )
    for piece, score in vocabulary:
        if not abs(score) <= _LARGEST_SCORE:
            raise UnsupportedTokenizerError(f"the score of piece {piece!r} is {score}")
    lowest = min(score for _, score in vocabulary)
    if lowest > _UNKNOWN_PENALTY:
        raise UnsupportedTokenizerError(
            f"all scores are {lowest} or more: two unknown characters can be better than a piece"
        )
    name = vocabulary[unknown][0]
    for piece in ids:
        rest = set(piece) - set(name)
        if name and name in piece and piece != name and rest.isdisjoint(ids):
            raise UnsupportedTokenizerError(
                f"piece {piece!r} could be put together from {name!r} and unknown characters"
            )
    return unknown
