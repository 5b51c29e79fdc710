"""Relative positions: scores by the distance of two tokens.

T5's (https://arxiv.org/abs/1910.10683) are a learned bias of each head for each bucket of
distances, which is added to its scores. ALiBi's (https://arxiv.org/abs/2108.12409) grow with the
distance, by a slope of each head that is not learned. Where scores are made of queries and vectors
of distances, `shift` brings each to its place.
"""

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from encoders.core.blocks.layers import Embedding
from encoders.core.layout.layout import Layout


def buckets(offsets: npt.ArrayLike, count: int = 32, farthest: int = 128) -> npt.NDArray[np.int32]:
    """The buckets of keys' offsets from their query.

    Half of the buckets are for keys ahead. In each half, the smaller half of the distances have a
    bucket each; from there they grow by a constant factor, and all from `farthest` on share one.
    Computed in float32, as `transformers` does: at the borders of buckets it matters.

    Args:
        offsets: whole numbers, 0 for the query itself.
        count: of buckets, at least 4.
        farthest: the distance, more than a quarter of `count`.

    >>> buckets([0, -7, -8, -11, -12, -90, -91, -400, 1, 400]).tolist()
    [0, 7, 8, 8, 9, 14, 15, 15, 17, 31]
    """
    side = count // 2
    exact = side // 2
    distances = np.abs(offsets)
    ratios = np.maximum(distances, exact).astype(np.float32) / np.float32(exact)
    powers = np.log(ratios) / np.float32(math.log(farthest / exact)) * np.float32(side - exact)
    grown = np.minimum(exact + powers.astype(np.int32), side - 1)
    found = np.where(distances < exact, distances, grown) + np.where(np.sign(offsets) > 0, side, 0)
    return found.astype(np.int32)


class RelativeBias(tf.Module):
    """A bias on attention scores, by the distance of two tokens."""

    def __init__(self, rows: int, heads: int, count: int = 32, farthest: int = 128) -> None:
        """Declares the table.

        Args:
            rows: of the table, at least as many as there are buckets.
            heads: H.
            count: of buckets; see `buckets`.
            farthest: see `buckets`.
        """
        super().__init__()
        self.buckets = Embedding(rows, heads)
        self.farthest = farthest
        self.of_offset = buckets(np.arange(-farthest, farthest + 1), count, farthest)

    def __call__(self, layout: Layout) -> tf.Tensor:
        """For a length S, float32 [1, H, S, S]: head, query, key."""
        places = tf.range(layout.length)
        offsets = places - places[:, tf.newaxis]  # [S, S]
        near = tf.clip_by_value(offsets, -self.farthest, self.farthest)
        bias = self.buckets(tf.gather(self.of_offset, near + self.farthest))  # [S, S, H]
        return tf.transpose(bias, [2, 0, 1])[tf.newaxis]


def slopes(heads: int) -> list[float]:
    """What ALiBi multiplies distances by, of each head.

    For a power of two they are a geometric series that begins with its ratio and ends with 1/256.
    For another number, they are those of the power below it and, as many as are missing, every
    second one of the power above it.

    >>> slopes(4), slopes(6)[4:]
    ([0.25, 0.0625, 0.015625, 0.00390625], [0.5, 0.125])
    """
    power = 2 ** (heads.bit_length() - 1)
    between = [2.0 ** (-4 * (2 * head + 1) / power) for head in range(heads - power)]
    return [2.0 ** (-8 * (head + 1) / power) for head in range(power)] + between


class LinearBias:
    """ALiBi in both directions: scores fall with the distance, by the slope of the head."""

    def __init__(self, heads: int) -> None:
        """Takes H."""
        self.slopes = np.array(slopes(heads), np.float32)

    def __call__(self, layout: Layout) -> tf.Tensor:
        """For a length S, float32 [1, H, S, S]: head, query, key."""
        places = tf.range(layout.length)
        distances = tf.abs(places - places[:, tf.newaxis])  # [S, S]
        falling = self.slopes[:, np.newaxis, np.newaxis] * tf.cast(-distances, tf.float32)
        return falling[tf.newaxis]


def shift(x: tf.Tensor, length: tf.Tensor | int) -> tf.Tensor:
    """Moves row i by i - S + 1 columns: [B, H, S, 2 * S] -> [B, H, S, S].

    Rows read as one sequence and cut one element shorter drift by one element a row. This is three
    times as fast as a gather, which would need an index for each element of each head.

        S = 2:  a b c d  ->  b c d | e f g  ->  b c
                e f g h                         e f
    """
    heads = x.shape[1]
    line = tf.reshape(x, [-1, heads, 2 * length * length])
    line = line[:, :, length - 1 : 2 * length * length - 1]
    return tf.reshape(line, [-1, heads, length, 2 * length - 1])[..., :length]
