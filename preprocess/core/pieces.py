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
        ids = tf.ragged.boolean_mask(ids, ids.with_values(~tf.gather(self._skipped, ids.values)))
        first = tf.equal(tf.range(tf.size(ids.values)), tf.gather(_starts(ids), ids.value_rowids()))
        strings = tf.where(
            first, tf.gather(self._first, ids.values), tf.gather(self._inner, ids.values)
        )
        return tf.strings.reduce_join(ids.with_values(strings), axis=1)


def _starts(ids: tf.RaggedTensor) -> tf.Tensor:
    return tf.cast(ids.row_starts(), tf.int32)


def _table(strings: Mapping[int, str], size: int) -> npt.NDArray[np.object_]:
    return np.array([strings.get(id, "").encode() for id in range(size)], object)
