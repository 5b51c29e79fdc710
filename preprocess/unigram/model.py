"""What the engines of the Unigram model share: the vocabulary, and what becomes of the unknown.

Adjacent unknown pieces of a word become one, or the pieces of its bytes.

Shapes: n words; P pieces of all of them; a text is all words one after the other.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.tokenizer.model import Model, Offsets
from preprocess.unigram.unknown_pieces import ByteFallback, Pieces, fuse

_UNKNOWN_PENALTY = 10.0
_LARGEST_SCORE = 1e9


class Found(NamedTuple):
    """The pieces of words as an engine finds them, in their order.

    Attributes:
        numbers: int32 [P], of the pieces as they were given, from 2; 1 for what is none of them.
        words: int32 [P], the word that each piece is in.
        starts, limits: int32 [P], bytes of the text.
    """

    numbers: tf.Tensor
    words: tf.Tensor
    starts: tf.Tensor
    limits: tf.Tensor


class UnigramModel(Model):
    """The Unigram model, but for the search of the best pieces."""

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
        self._unknown = self.as_text = _require_unknown(vocabulary, ids, unknown)
        # By number: 0 is no piece, 1 an unknown character.
        self._ids = tf.constant([self._unknown, self._unknown, *ids.values()], tf.int32)
        self._byte_fallback = ByteFallback(ids) if byte_fallback else None
        lowest = min(score for _, score in vocabulary)
        scores = {piece: vocabulary[id][1] for piece, id in ids.items()}
        self.compile(scores, lowest - _UNKNOWN_PENALTY)

    @abc.abstractmethod
    def compile(self, scores: Mapping[str, float], unknown: float) -> None:
        """Takes the scores of the pieces, and that of a character that is none of them."""

    @abc.abstractmethod
    def search(self, words: tf.Tensor) -> Found:
        """The best pieces of words, string [n]; adjacent unknown ones may be one."""

    def tokenize(self, words: tf.Tensor) -> tf.RaggedTensor:
        return self.tokenize_with_offsets(words)[0]

    def tokenize_with_offsets(self, words: tf.Tensor) -> Offsets:
        found = self.search(words)
        ids, known = tf.gather(self._ids, found.numbers), found.numbers > 1
        pieces = fuse(Pieces(ids, found.words, found.starts, found.limits, known), self._unknown)
        if self._byte_fallback is not None:
            pieces = self._byte_fallback(pieces, words)
        begins = tf.cumsum(tf.strings.length(words), exclusive=True)
        begins = tf.gather(begins, pieces.words)
        rows = tf.RaggedTensor.from_value_rowids(
            pieces.ids, tf.cast(pieces.words, tf.int64), tf.size(words, tf.int64), validate=False
        )
        starts, limits = (
            rows.with_values(tf.cast(each - begins, tf.int64))
            for each in (pieces.starts, pieces.limits)
        )
        return rows, starts, limits


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
