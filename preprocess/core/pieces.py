"""Detokenisation: joining the strings of pieces, as the source's decoder does."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf


class Joiner(tf.Module):
    """Joins pieces, each by its own string; the first piece of a row may have another."""

    def __init__(
        self, inner: Mapping[int, str], first: Mapping[int, str], skipped: Collection[int]
    ) -> None:
        """Takes id -> string within a row, id -> string at its start, and ids to leave out."""
        super().__init__()
        size = max(inner) + 1
        self._inner = _table(inner, size)
        self._first = _table(first, size)
        self._skipped = np.isin(np.arange(size), list(skipped))

    def __call__(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """int32 [B, (pieces)] -> string [B]."""
        kept = ~tf.gather(self._skipped, ids.values)
        before = tf.cumsum(tf.cast(kept, tf.int32), exclusive=True)
        rows = ids.value_rowids()
        first = tf.equal(before, tf.gather(before, tf.gather(ids.row_starts(), rows)))
        inner, start = tf.gather(self._inner, ids.values), tf.gather(self._first, ids.values)
        strings = tf.where(kept, tf.where(first, start, inner), "")
        return tf.strings.unsorted_segment_join(strings, rows, ids.nrows())


def _table(strings: Mapping[int, str], size: int) -> npt.NDArray[np.object_]:
    return np.array([strings.get(id, "").encode() for id in range(size)], object)
