"""The layout that computes nothing for padding, except in the scores of attention."""

from typing import NamedTuple

import tensorflow as tf

from encoders.core.layout.host import planned
from encoders.core.layout.layout import Layout


class Moves(NamedTuple):
    """Which rows of what is flat a gather takes, of H heads.

    Attributes:
        to_heads: int32 [B, H, S], of [N * H, K].
        from_heads: int32 [N, H], of [B * H * S, K].
    """

    to_heads: tf.Tensor
    from_heads: tf.Tensor


class RealTokens(Layout):
    """Only what the mask keeps is a token: N is the sum of the mask.

    S is where the longest row ends, however long the padding behind it. `to_batch` puts zeros at
    padding. The first position of a row is always computed, as the pooled output is made of it; in
    a row without real tokens it is the only one, and attends to itself.

        mask 1 1 0 0   tokens 0 1 -   S = 3, N = 5
             1 1 1 0          2 3 4

    Heads are brought together by one gather, where `Padded` needs a reshape and a transposition.
    """

    def __init__(self, mask: tf.Tensor) -> None:
        """Takes the mask, int32 [B, S or more]."""
        super().__init__()
        with planned():
            self._plan(mask)

    def _plan(self, mask: tf.Tensor) -> None:
        places = tf.range(tf.shape(mask)[1])
        start = tf.equal(places, 0)
        real = tf.not_equal(mask, 0)
        used = start | tf.reduce_any(real, axis=0)
        self.length = tf.reduce_max(tf.where(used, places + 1, 0))
        real, start = real[:, : self.length], start[: self.length]
        computed = real | start
        self._batch = tf.shape(mask)[0]
        self._slots = tf.cast(tf.where(tf.reshape(computed, [-1]))[:, 0], tf.int32)  # [N]
        self._real = tf.gather(tf.reshape(real, [-1]), self._slots)
        self._tokens = self._numbered(computed)
        self.positions = self._slots % self.length
        self.real = tf.cast(self._real[:, tf.newaxis], tf.float32)
        attended = real | (start & ~tf.reduce_any(real, axis=1, keepdims=True))
        self.bias = tf.where(attended[:, tf.newaxis, tf.newaxis, :], 0.0, tf.float32.min)

    def _numbered(self, computed: tf.Tensor) -> tf.Tensor:
        """Bool [B, S] -> int32 [B, S], of the N tokens; for padding the first one of its row."""
        flat = tf.cast(tf.reshape(computed, [-1]), tf.int32)
        numbers = tf.reshape(tf.cumsum(flat, exclusive=True), tf.shape(computed))
        return tf.where(computed, numbers, numbers[:, :1])

    def to_tokens(self, x: tf.Tensor) -> tf.Tensor:
        """[B, S or more, ...] -> [N, ...]."""
        flat = tf.reshape(x[:, : self.length], [self._batch * self.length, *x.shape[2:]])
        return tf.gather(flat, self._slots)

    def to_batch(self, x: tf.Tensor) -> tf.Tensor:
        """[N, ...] -> [B, S, ...]."""
        with planned():
            size = self._batch * self.length
            places = tf.where(self._real, self._slots, size)  # the last one is cut off again
        rows = tf.scatter_nd(places[:, tf.newaxis], x, [size + 1, *x.shape[1:]])[:size]
        return tf.reshape(rows, [self._batch, self.length, *x.shape[1:]])

    def to_heads(self, x: tf.Tensor) -> tf.Tensor:
        """[N, H, K] -> [B, H, S, K]."""
        _, heads, width = x.shape
        return tf.gather(tf.reshape(x, [-1, width]), self.once(RealTokens._moves, heads).to_heads)

    def from_heads(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, S, K] -> [N, H, K]."""
        _, heads, _, width = x.shape
        return tf.gather(tf.reshape(x, [-1, width]), self.once(RealTokens._moves, heads).from_heads)

    def _moves(self, heads: int) -> Moves:
        with planned():
            first = self._slots // self.length * heads * self.length + self.positions
            return Moves(
                self._tokens[:, tf.newaxis] * heads + tf.range(heads)[:, tf.newaxis],
                first[:, tf.newaxis] + tf.range(heads) * self.length,
            )

    def first(self, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [B, D], the first position of each row."""
        return tf.gather(x, self._tokens[:, 0])

    def last(self, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [B, D], the last real position of each row; the first one where none is."""
        return tf.gather(x, tf.reduce_max(self._tokens, axis=1))

    def at(self, places: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [B, D], of each row the position of its place, int32 [B], if it is no padding.

        For padding it is the first position of the row.
        """
        return tf.gather(x, tf.gather(self._tokens, places, axis=1, batch_dims=1))
