"""Viterbi's algorithm on the pieces of a text, a step in all units at once.

Shapes: N nodes, one before each word and one after each character; K characters that no piece is
longer than; P pieces; u units, words or parts of words.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from preprocess.graph.lanes import lay_out, marks, positions


class Path(NamedTuple):
    """The best paths of some units; zeros at the nodes of all others.

    Attributes:
        ends: bool [N], whether a piece of the path of its unit ends at a node.
        lengths: int32 [N], of the last piece of the best path to each node.
        scores: float64 [N], of the best path to each node.
    """

    ends: tf.Tensor
    lengths: tf.Tensor
    scores: tf.Tensor


def solve(
    pieces: tf.Tensor,
    scores: tf.Tensor,
    firsts: tf.Tensor,
    lasts: tf.Tensor,
    before: tf.Tensor,
) -> Path:
    """Finds the best path of each unit; of equals, that with the longest last piece.

    Args:
        pieces: int32 [N, K], at [n, K - length] the number of the piece of this length that ends at
            node n, or 0. There is one of length 1 at each node of a unit.
        scores: float64 [numbers], of the pieces; that of 0 is -inf.
        firsts: int32 [u], the node from which each unit starts, not one of its own.
        lasts: int32 [u], the last node of each; the same as its first if it has none.
        before: float64 [N], the score from which a unit starts, at its first.
    """
    total, longest = tf.unstack(tf.shape(pieces))
    lanes = lay_out(firsts, lasts)
    steps = tf.size(lanes.sizes)
    nodes = _array(tf.int32, steps).split(lanes.nodes, lanes.sizes)
    start = tf.gather(before, lanes.firsts)[:, tf.newaxis]
    window = tf.pad(start, [[0, 0], [longest - 1, 0]], constant_values=-math.inf)

    def advance(
        step: tf.Tensor, window: tf.Tensor, best: tf.TensorArray, places: tf.TensorArray
    ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
        """Goes to the next node; `window` has the scores of the last K nodes of each unit."""
        gains = tf.gather(scores, tf.gather(pieces, nodes.read(step)))
        window = tf.slice(window, [0, 0], tf.shape(gains))
        # Of equals, top_k gives the first; that is the longest piece.
        score, place = tf.math.top_k(window + gains, 1)
        window = tf.concat([window[:, 1:], score], 1)
        return step + 1, window, best.write(step, score), places.write(step, place)

    _, _, best, places = tf.while_loop(
        lambda step, *_: step < steps,
        advance,
        (0, window, _array(tf.float64, steps, 1), _array(tf.int32, steps, 1)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None]), None, None),
    )
    where = lanes.nodes[:, tf.newaxis]
    lengths = tf.scatter_nd(where, longest - places.concat()[:, 0], [total])
    reached = tf.scatter_nd(where, best.concat()[:, 0], [total])
    return Path(_trace(lengths, firsts, lasts, steps), lengths, reached)


def taken(
    pieces: tf.Tensor, ends: tf.Tensor, lengths: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The pieces of a path, in the order of the text.

    Args:
        pieces: int32 [N, K].
        ends: bool [N].
        lengths: int32 [N].

    Returns:
        Their ends, lengths and numbers, int32 [P].
    """
    nodes = positions(ends)
    lengths = tf.gather(lengths, nodes)
    place = tf.stack([nodes, tf.shape(pieces)[1] - lengths], 1)
    return nodes, lengths, tf.gather_nd(pieces, place)


def _trace(lengths: tf.Tensor, firsts: tf.Tensor, lasts: tf.Tensor, most: tf.Tensor) -> tf.Tensor:
    """Goes back from the last node of each unit, in `most` steps, and marks the ends, bool [N]."""
    first = marks(firsts, tf.size(lengths))
    nothing = _array(tf.int32, most).split(tf.zeros([0], tf.int32), tf.zeros([most], tf.int32))

    def step_back(
        step: tf.Tensor, nodes: tf.Tensor, found: tf.TensorArray
    ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
        before = nodes - tf.gather(lengths, nodes)
        before = tf.boolean_mask(before, ~tf.gather(first, before))
        return step + 1, before, found.write(step, nodes)

    _, _, found = tf.while_loop(
        lambda step, nodes, _: tf.size(nodes) > 0,
        step_back,
        (0, tf.boolean_mask(lasts, lasts > firsts), nothing),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), None),
    )
    return marks(found.concat(), tf.size(lengths))


def _array(dtype: tf.DType, size: tf.Tensor, *inner: int) -> tf.TensorArray:
    """An array of tensors of [any, *inner]; arrays that grow are unknown to TensorFlow 2.12."""
    return tf.TensorArray(dtype, size, infer_shape=False, element_shape=[None, *inner])
