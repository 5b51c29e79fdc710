"""Places in texts, counted in characters and in bytes."""

import tensorflow as tf

from preprocess.graph.rows import owners
from preprocess.text.steps import lookup


class Places:
    """The characters of a batch of texts.

    Invalid UTF-8 counts as Python's `bytes.decode(errors="replace")` reads it.
    """

    def __init__(self, texts: tf.Tensor) -> None:
        """Takes texts, string [B]."""
        _, starts = tf.strings.unicode_decode_with_offsets(texts, "UTF-8")
        lengths = tf.cast(tf.strings.length(texts), tf.int64)
        self._bounds = tf.concat([starts, lengths[:, tf.newaxis]], axis=1)
        # A byte of distance between rows makes one ascending list of all.
        self._base = tf.cumsum(lengths + 1, exclusive=True)
        self._all = self._bounds.values + tf.gather(self._base, owners(self._bounds.row_splits))

    def characters(self, rows: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """Places in bytes of the texts `rows` -> in characters, int64 [n] each."""
        at = tf.searchsorted(self._all, tf.gather(self._base, rows) + places, out_type=tf.int64)
        return at - tf.gather(self._bounds.row_starts(), rows)

    def bytes(self, rows: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """Places in characters of the texts `rows` -> in bytes, int64 [n] each."""
        return lookup(self._bounds, rows, places)
