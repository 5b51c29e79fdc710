"""What becomes of the pieces that a Unigram vocabulary does not have.

Shapes: P pieces of w words; a text is all words one after the other.
"""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from preprocess.graph.lanes import positions, repeat_index


class Pieces(NamedTuple):
    """The pieces of words, in their order.

    Attributes:
        ids: int32 [P].
        words: int32 [P], the word that each piece is in.
        starts, limits: int32 [P], bytes of the text.
        known: bool [P], whether the vocabulary has the piece.
    """

    ids: tf.Tensor
    words: tf.Tensor
    starts: tf.Tensor
    limits: tf.Tensor
    known: tf.Tensor


def fuse(pieces: Pieces, unknown: int) -> Pieces:
    """Makes one piece of adjacent pieces of a word that have the unknown id."""
    is_unknown = tf.equal(pieces.ids, unknown)
    same_word = tf.equal(pieces.words[1:], pieces.words[:-1])
    joined = tf.concat([[False], is_unknown[1:] & is_unknown[:-1] & same_word, [False]], 0)
    heads = positions(~joined[: tf.size(pieces.ids)])
    tails = positions(~joined[1 : tf.size(pieces.ids) + 1])
    ids, words, starts, known = (
        tf.gather(each, heads) for each in (pieces.ids, pieces.words, pieces.starts, pieces.known)
    )
    known &= tf.equal(heads, tails)
    return Pieces(ids, words, starts, tf.gather(pieces.limits, tails), known)


class ByteFallback(tf.Module):
    """Puts pieces of single bytes in the place of pieces that the vocabulary does not have."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        """Takes the id of each piece; those of bytes are `<0x00>` to `<0xFF>`."""
        super().__init__()
        self._ids = tf.constant([ids.get(f"<0x{byte:02X}>", -1) for byte in range(256)], tf.int32)

    def __call__(self, pieces: Pieces, words: tf.Tensor) -> Pieces:
        """Replaces each piece that is not known, if all of its bytes are.

        Args:
            pieces: the pieces of the words.
            words: string [w].

        Returns:
            The new pieces; those of bytes have the bounds of what they replace.
        """
        text = tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8)
        byte_ids = tf.gather(self._ids, tf.cast(text, tf.int32))
        missing = tf.concat([[0], tf.cumsum(tf.cast(byte_ids < 0, tf.int32))], 0)
        covered = tf.equal(tf.gather(missing, pieces.starts), tf.gather(missing, pieces.limits))
        replaced = covered & ~pieces.known
        counts = tf.where(replaced, pieces.limits - pieces.starts, 1)
        index = repeat_index(counts)
        nth = tf.range(tf.size(index)) - tf.gather(tf.cumsum(counts, exclusive=True), index)
        repeated = Pieces(*(tf.gather(each, index) for each in pieces))
        byte_ids = tf.gather(byte_ids, repeated.starts + nth)
        return repeated._replace(ids=tf.where(tf.gather(replaced, index), byte_ids, repeated.ids))
