"""All occurrences of the pieces of a vocabulary in a text."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from preprocess.graph.lanes import positions
from preprocess.unigram import trie


class PieceMatcher(tf.Module):
    """Finds the pieces that end at each character, by a walk backwards through a trie.

    Attributes:
        stranger: a character of no piece.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        """Builds the trie of distinct pieces, none of them empty."""
        super().__init__()
        table = trie.build([piece[::-1] for piece in pieces])
        self.stranger = chr(int(np.argmin(table.characters)))
        self._longest = max(map(len, pieces))
        self._characters = tf.constant(table.characters)
        self._units = tf.constant(table.units)
        self._numbers = tf.constant(np.where(table.strings < 0, 0, table.strings + 2), tf.int32)

    def __call__(self, points: tf.Tensor) -> tf.Tensor:
        """Finds all pieces in a text.

        Args:
            points: int32 [N], codepoints; no piece goes across a `stranger`.

        Returns:
            int32 [N, K]: at [n, K - length] the number of the piece of this length whose last
            character is n, counted from 2, or 0. A character that is not a piece has number 1.
        """
        last = tf.size(self._characters) - 1
        text = tf.cast(tf.gather(self._characters, tf.minimum(points, last)), tf.int64)
        root = tf.zeros_like(text)
        rows, bases = tf.range(tf.size(points)), root + (self._units[0] & trie.BASE)
        column, *state = self._lengthen(text, tf.constant(0), rows, root, bases)
        # Of a fixed size: arrays that grow are unknown to TensorFlow 2.12.
        columns = tf.TensorArray(tf.int32, self._longest, infer_shape=False, element_shape=[None])
        columns = columns.write(0, tf.maximum(column, 1))

        def lengthen(
            length: tf.Tensor, columns: tf.TensorArray, *state: tf.Tensor
        ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
            column, *rest = self._lengthen(text, length, *state)
            return length + 1, columns.write(length, column), *rest

        flat = tf.TensorShape([None])
        longest, columns, *_ = tf.while_loop(
            lambda length, columns, rows, *_: (tf.size(rows) > 0) & (length < self._longest),
            lengthen,
            (1, columns, *state),
            shape_invariants=(tf.TensorShape([]), None, flat, flat, flat),
        )
        return tf.reverse(tf.transpose(columns.gather(tf.range(longest))), [1])

    def _lengthen(
        self,
        text: tf.Tensor,
        length: tf.Tensor,
        rows: tf.Tensor,
        nodes: tf.Tensor,
        bases: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        """Goes one character further back.

        Args:
            text: int64 [N], the numbers of the characters.
            length: int32, of the walk so far.
            rows: int32 [r], where the walks that are still in the trie began.
            nodes, bases: int64 [r], the nodes of the trie that they came to, and their bases.

        Returns:
            The numbers of the pieces that have one character more, int32 [N]; then as the last
            three arguments.
        """
        children = tf.bitwise.bitwise_xor(bases, tf.gather(text, rows - length))
        units = tf.gather(self._units, children)
        found = positions(tf.equal(tf.bitwise.right_shift(units, 32), nodes))
        rows, nodes, units = (tf.gather(each, found) for each in (rows, children, units))
        numbers = tf.gather(self._numbers, nodes)
        column = tf.scatter_nd(rows[:, tf.newaxis], numbers, tf.shape(text))
        return column, rows, nodes, tf.bitwise.bitwise_and(units, trie.BASE)
