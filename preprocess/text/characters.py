"""Texts as characters that know what they came from."""

from typing import NamedTuple

import tensorflow as tf

from preprocess.graph.rows import owners
from preprocess.graph.utf8 import encode
from preprocess.text.steps import Aligned, lookup, spread


class Characters(NamedTuple):
    """Texts as characters, with what the source notes of each to tell where it came from.

    Attributes:
        points: int32 [n, (characters)].
        changes: int64 [m], 1 for a character that came in beside the one before it, else minus
            the number of characters that went into it besides its own.
        sources: int64 [n, (sources)], the first byte of each character that they came from.
    """

    points: tf.RaggedTensor
    changes: tf.Tensor
    sources: tf.RaggedTensor

    def text(self) -> tf.Tensor:
        """The texts, string [n]."""
        return encode(self.points)

    def placed(self) -> Aligned:
        """The texts, aligned with what they came from.

        As in the source, characters move and places stay: each takes the next place.
        """
        comes_in = self.changes > 0
        takes = self.points.with_values(1 - self.changes)
        place = before(takes) - tf.cast(comes_in, tf.int64)
        source = lookup(self.sources, owners(takes.row_splits), tf.maximum(place, 0))
        return spread(self.points, source, source)


def before(counts: tf.RaggedTensor) -> tf.Tensor:
    """The sum of what stands before each element in its row, int64 [n, (m)] -> int64 [m]."""
    ends = tf.concat([[0], tf.cumsum(counts.values)], axis=0)
    return ends[:-1] - tf.gather(tf.gather(ends, counts.row_starts()), owners(counts.row_splits))
