"""Look-up tables that are part of the graph."""

import numpy.typing as npt
import tensorflow as tf


def static_table(
    keys: npt.ArrayLike, values: npt.ArrayLike, dtype: tf.DType, default: int
) -> tf.lookup.StaticHashTable:
    """A table from m distinct keys of a dtype to int32 values; m may be 0."""
    keys, values = tf.constant(keys, dtype), tf.constant(values, tf.int32)
    if not tf.size(keys):
        keys, values = tf.zeros([1], dtype), tf.constant([default])
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default)
