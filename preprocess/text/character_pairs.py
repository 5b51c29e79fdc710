"""A table of pairs of characters, in the graph."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

_BITS = 21
"""Of a codepoint."""


class CharacterPairs(tf.Module):
    """What takes the place of two characters that stand together."""

    def __init__(self, forms: Mapping[str, str]) -> None:
        """Takes strings of two characters, and the character for each."""
        super().__init__()
        keys = np.array([ord(pair[0]) << _BITS | ord(pair[1]) for pair in forms], np.int64)
        order = np.argsort(keys)
        self._keys = keys[order]
        self._forms = np.array([ord(form) for form in forms.values()], np.int32)[order]

    def __call__(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """int32 [m] twice -> int32 [m], all codepoints; 0 for pairs that are not in the table."""
        shift = tf.constant(_BITS, tf.int64)
        key = tf.bitwise.left_shift(tf.cast(first, tf.int64), shift) + tf.cast(second, tf.int64)
        at = tf.minimum(tf.searchsorted(self._keys, key), len(self._keys) - 1)
        found = tf.equal(tf.gather(self._keys, at), key)
        return tf.where(found, tf.gather(self._forms, at), 0)
