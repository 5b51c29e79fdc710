"""UTF-8 (https://www.rfc-editor.org/rfc/rfc3629) in the graph."""

import numpy as np
import tensorflow as tf

from preprocess.graph.rows import owners

_NONCHARACTERS = np.array(
    [
        *range(0xFDD0, 0xFDF0),
        *(plane << 16 | low for plane in range(17) for low in (0xFFFE, 0xFFFF)),
    ],
    np.int32,
)
_NAMES = [chr(point).encode() for point in _NONCHARACTERS]


def byte_lengths(points: tf.Tensor) -> tf.Tensor:
    """How many bytes each codepoint takes, int32 [n] -> int32 [n].

    >>> byte_lengths(tf.constant([0x7F, 0x80, 0xFFFF, 0x10000])).numpy()
    array([1, 2, 3, 4], dtype=int32)
    """
    return 1 + tf.raw_ops.Bucketize(input=points, boundaries=[0x80, 0x800, 0x10000])


def encode(points: tf.RaggedTensor) -> tf.Tensor:
    r"""Texts of codepoints that are no surrogates, int32 [n, (m)] -> string [n].

    `tf.strings.unicode_encode` alone writes U+FFFD for noncharacters in TensorFlow 2.18 and before.

    >>> encode(tf.ragged.constant([[0x61, 0xFFFE], []], tf.int32)).numpy()
    array([b'a\xef\xbf\xbe', b''], dtype=object)
    """
    place = tf.minimum(tf.searchsorted(_NONCHARACTERS, points.values), len(_NONCHARACTERS) - 1)
    odd = tf.equal(tf.gather(_NONCHARACTERS, place), points.values)

    def joined() -> tf.Tensor:
        characters = tf.strings.unicode_encode(points.values[:, tf.newaxis], "UTF-8")
        characters = tf.where(odd, tf.gather(_NAMES, place), characters)
        splits = points.row_splits
        return tf.strings.unsorted_segment_join(characters, owners(splits), tf.size(splits) - 1)

    return tf.cond(tf.reduce_any(odd), joined, lambda: tf.strings.unicode_encode(points, "UTF-8"))
