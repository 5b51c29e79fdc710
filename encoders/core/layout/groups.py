"""Rows of similar length are computed together.

Attention compares every position of a row with every other, up to the end of the longest row.
Sorted by length and cut into groups, short rows do not pay for long ones; and memory depends on the
size of a group, not on that of the batch.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from encoders.core.layout.host import planned

TOKENS = 2048
"""A group is complete when it has as many: more would not make matrix products faster."""

_ENDS = [64 * 2**power + 1 for power in range(16)]
"""The lengths at which a group begins in any case: attention grows with the length's square."""

Compute = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Sequence[tf.Tensor]]


def by_length(
    compute: Compute,
    word_ids: tf.Tensor,
    mask: tf.Tensor,
    type_ids: tf.Tensor,
    tokens: int = TOKENS,
    border: int = 0,
) -> list[tf.Tensor]:
    """Computes, group by group, what does not depend on a row's neighbours.

    Args:
        compute: makes of some rows of the next three what belongs to these rows; where that is
            [B, S or less, D], zeros are added.
        word_ids: int32 [B, S].
        mask: int32 [B, S], 0 where a position is padding.
        type_ids: int32 [B, S].
        tokens: when a group is complete.
        border: rows up to this length are in no group with longer ones.

    Returns:
        The results, [B, ...], in the order of the inputs.
    """
    with planned():
        lengths = _ends(mask)
        order = tf.argsort(lengths, stable=True)
        splits = _splits(tf.gather(lengths, order), tokens, border)
        inputs = [tf.gather(each, order) for each in (word_ids, mask, type_ids)]
        count, back = tf.size(splits) - 1, tf.math.invert_permutation(order)
    specs = [tf.TensorSpec([None, *each.shape[1:]], each.dtype) for each in inputs]
    traced = tf.function(compute, autograph=False).get_concrete_function(*specs)
    arrays = [
        tf.TensorArray(each.dtype, count, element_shape=each.shape, infer_shape=False)
        for each in traced.structured_outputs
    ]

    def step(group: tf.Tensor, arrays: list[tf.TensorArray]) -> list[object]:
        with planned():
            begin, end = splits[group], splits[group + 1]
            rows = [each[begin:end] for each in inputs]
        found = traced(*rows)
        whole = (_widened(each, tf.shape(mask)[1]) for each in found)
        pairs = zip(arrays, whole, strict=True)
        return [group + 1, [array.write(group, each) for array, each in pairs]]

    _, arrays = tf.while_loop(
        lambda group, _: group < count, step, [0, arrays], parallel_iterations=1
    )
    return [tf.gather(array.concat(), back) for array in arrays]


def _ends(mask: tf.Tensor) -> tf.Tensor:
    """Where each row ends: int32 [B, S] -> int32 [B], at least 1.

    >>> _ends(tf.constant([[1, 0, 1, 0], [0, 0, 0, 0]])).numpy()
    array([3, 1], dtype=int32)
    """
    places = tf.range(1, tf.shape(mask)[1] + 1)
    return tf.maximum(tf.reduce_max(tf.where(tf.equal(mask, 0), 0, places), axis=1), 1)


def _splits(lengths: tf.Tensor, tokens: int, border: int = 0) -> tf.Tensor:
    """Rising int32 [B] -> int32 [G + 1], where groups begin and end; at least one group.

    >>> _splits(tf.constant([1, 2, 2, 3, 31, 33, 64, 65]), 64).numpy()
    array([0, 6, 7, 8], dtype=int32)
    >>> _splits(tf.constant([1, 2, 2, 3]), 64, border=2).numpy()
    array([0, 3, 4], dtype=int32)
    """
    complete = tf.cumsum(lengths, exclusive=True) // tokens
    wider = tf.raw_ops.Bucketize(input=lengths, boundaries=sorted({*_ENDS, border + 1}))
    ends = (complete[1:] != complete[:-1]) | (wider[1:] != wider[:-1])
    starts = tf.cast(tf.where(ends)[:, 0], tf.int32) + 1
    return tf.concat([[0], starts, [tf.size(lengths)]], axis=0)


def _widened(x: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Float [B, S or less, D] -> [B, S, D], with zeros; anything else stays as it is."""
    if x.shape.rank != 3:
        return x
    return tf.pad(x, [[0, 0], [0, length - tf.shape(x)[1]], [0, 0]])
