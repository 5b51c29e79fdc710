"""Ragged batches of pieces in dense parts."""

from typing import NamedTuple

import tensorflow as tf


class Segment(NamedTuple):
    """A ragged batch of pieces in its dense parts.

    Attributes:
        values: int32 [n], the ids of all rows.
        row_splits: integer [B + 1], where each row begins; the last one is n.
    """

    values: tf.Tensor
    row_splits: tf.Tensor


def flat_segment(segment: tf.RaggedTensor) -> Segment:
    """int32 [B, (pieces)] or [B, (words), (pieces)] without the level of words."""
    outer, *inner = segment.nested_row_splits
    for splits in inner:
        outer = tf.gather(splits, outer)
    return Segment(segment.flat_values, outer)
