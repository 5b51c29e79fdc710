"""Scores of the best paths through blocks of a text, from block to block.

Shapes: B blocks of L nodes; K characters that no piece is longer than.
"""

import tensorflow as tf

_EXPONENT = 0x7FF << 52
_UNIT = 2.0**-52
"""Of what is between 1 and 2: the difference between two float64 numbers there."""


def single(size: tf.Tensor) -> tf.Tensor:
    """One way to go on, or to have come so far: -inf but for a last 0, float64 [size]."""
    return tf.math.log(tf.one_hot(size - 1, size, dtype=tf.float64))


def advance(gains: tf.Tensor, windows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Goes through all blocks at once.

    Args:
        gains: float64 [B, L, K].
        windows: float64 [B, e, K], the scores of the K nodes before each block, in e versions.

    Returns:
        The scores of the last K nodes, float64 [B, e, K]; the column of the best piece that ends at
        each node, int32 [B, e, L].
    """
    places = tf.TensorArray(tf.int32, gains.shape[1], element_shape=[None, None])

    def step(
        at: tf.Tensor, windows: tf.Tensor, places: tf.TensorArray
    ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
        sums = windows + gains[:, at, tf.newaxis]
        # Of equals, top_k gives the first; that is the longest piece.
        score, place = tf.math.top_k(sums, 1)
        windows = tf.concat([windows[:, :, 1:], score], 2)
        return at + 1, windows, places.write(at, place[:, :, 0])

    shapes = tf.TensorShape([]), tf.TensorShape([None] * 3), None
    _, windows, places = tf.while_loop(
        lambda at, *_: at < gains.shape[1], step, (0, windows, places), shape_invariants=shapes
    )
    return windows, tf.transpose(places.stack(), [1, 2, 0])


def chain(
    gains: tf.Tensor, additive: tf.Tensor, begins: tf.Tensor, alone: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The scores of the K nodes before each block, and of the last K ones there.

    Args:
        gains: float64 [B, L, K].
        additive: float64 [B, L, K], the same, such that they may be added in any order.
        begins: bool [B, 1], whether a block begins a word.
        alone: bool [B, 1], whether it is gone through by itself, with `gains`.

    Returns:
        float64 [B, K] twice.
    """
    count, longest = tf.shape(gains)[0], tf.shape(gains)[2]
    each = tf.math.log(tf.eye(longest, batch_shape=[count], dtype=tf.float64))
    through, _ = advance(additive, each)
    fresh = single(longest)

    def step(ends: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        start = tf.where(begins[at], fresh, ends)
        return tf.cond(
            alone[at, 0],
            lambda: advance(gains[at : at + 1], start[tf.newaxis, tf.newaxis])[0][0, 0],
            lambda: tf.reduce_max(start[:, tf.newaxis] + through[at], 0),
        )

    ends = tf.scan(step, tf.range(count), fresh)
    before = tf.concat([fresh[tf.newaxis], ends[:-1]], 0)
    return tf.where(begins, fresh, before), ends


def rounded(gains: tf.Tensor, around: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rounds scores to what sums change by.

    Args:
        gains: float64 [B, L, K].
        around: float64 [B, 2 K], the sums before and behind each block, roughly.

    Returns:
        The rounded scores, float64 [B, L, K]; the blocks in which sums may change by something
        else, bool [B, 1].
    """
    power = _power(around)
    unit = _UNIT * power[:, -1:, tf.newaxis]
    exact = gains / unit
    whole = tf.round(exact)
    uneven = tf.reduce_any(tf.not_equal(power, power[:, -1:]), 1, keepdims=True)
    tied = tf.reduce_any(tf.equal(tf.abs(exact - whole), 0.5), [1, 2])
    return whole * unit, uneven | tied[:, tf.newaxis]


def _power(scores: tf.Tensor) -> tf.Tensor:
    """The power of two at or below the size of each score, float64."""
    bits = tf.bitwise.bitwise_and(tf.bitcast(scores, tf.int64), tf.constant(_EXPONENT, tf.int64))
    return tf.bitcast(bits, tf.float64)
