"""UTF-8 (https://www.rfc-editor.org/rfc/rfc3629) in the graph."""

import tensorflow as tf


def byte_lengths(points: tf.Tensor) -> tf.Tensor:
    """How many bytes each codepoint takes, int32 [n] -> int32 [n].

    >>> byte_lengths(tf.constant([0x7F, 0x80, 0xFFFF, 0x10000])).numpy()
    array([1, 2, 3, 4], dtype=int32)
    """
    return 1 + tf.raw_ops.Bucketize(input=points, boundaries=[0x80, 0x800, 0x10000])
