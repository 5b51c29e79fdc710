"""Stretches of a flat text side by side, so that a loop takes a step in all of them at once."""

from typing import NamedTuple

import tensorflow as tf


class Lanes(NamedTuple):
    """One lane a unit, the longest first: the units that have a step are always the first ones.

    Attributes:
        firsts: int32 [u], the node from which each unit starts.
        sizes: int32 [steps], how many units have each step.
        nodes: int32 [sum of sizes], the nodes of all units in step 0, in step 1, and so on.
    """

    firsts: tf.Tensor
    sizes: tf.Tensor
    nodes: tf.Tensor


def lay_out(firsts: tf.Tensor, lasts: tf.Tensor) -> Lanes:
    """Lays out units.

    Args:
        firsts: int32 [u], the node from which each unit starts, not one of its own.
        lasts: int32 [u], the last node of each; the same as its first if it has none.
    """
    lengths, order = tf.math.top_k(lasts - firsts, tf.size(firsts))
    steps = tf.reduce_max(tf.concat([lengths[:1], [0]], 0))
    sizes = tf.cumsum(count(lengths, steps + 1), reverse=True)[1:]
    step = repeat_index(sizes)
    lane = tf.range(tf.size(step)) - tf.gather(tf.cumsum(sizes, exclusive=True), step)
    firsts = tf.gather(firsts, order)
    return Lanes(firsts, sizes, tf.gather(firsts, lane) + step + 1)


def positions(mask: tf.Tensor) -> tf.Tensor:
    """Where a mask [n] is true, int32 [found], ascending."""
    return tf.cast(tf.where(mask)[:, 0], tf.int32)


def marks(places: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """The mask [size] that is true at these places, int32 [n]."""
    return count(places, size) > 0


def count(values: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """How often each number below `size` occurs among the values, int32 [size]."""
    return tf.raw_ops.DenseBincount(input=values, size=size, weights=tf.constant([], tf.int32))


def repeat_index(counts: tf.Tensor) -> tf.Tensor:
    """Each index as often as its count; `tf.repeat` needs memory for n times the largest count.

    >>> repeat_index(tf.constant([2, 0, 3])).numpy()
    array([0, 0, 2, 2, 2], dtype=int32)
    """
    return tf.cumsum(count(tf.cumsum(counts), tf.reduce_sum(counts)))
