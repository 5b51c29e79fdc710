"""Work on some rows of a batch, and on rows of different lengths.

TensorFlow's own `value_rowids`, `repeat` and `boolean_mask` of ragged tensors may need memory for
as many rows as there are, all as long as the longest one.
"""

from collections.abc import Callable

import tensorflow as tf


def on_rows(chosen: tf.Tensor, change: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Applies `change` to the rows of `x` that are chosen.

    Args:
        chosen: bool [B].
        change: string [b] -> string [b].
        x: string [B].
    """

    def changed() -> tf.Tensor:
        rows = tf.where(chosen)
        return tf.tensor_scatter_nd_update(x, rows, change(tf.gather_nd(x, rows)))

    return tf.cond(tf.reduce_any(chosen), changed, lambda: x)


def contains(x: tf.Tensor, pattern: str) -> tf.Tensor:
    """Whether RE2 `pattern` matches anywhere in each row: string [B] -> bool [B]."""
    return tf.strings.regex_full_match(x, f"(?s).*(?:{pattern}).*")


def owners(splits: tf.Tensor) -> tf.Tensor:
    """The row of each element, for rows that begin and end at `splits`.

    >>> owners(tf.constant([0, 2, 2, 3])).numpy()
    array([0, 0, 2], dtype=int32)
    """
    none = tf.constant([], splits.dtype)
    return tf.cumsum(tf.raw_ops.DenseBincount(input=splits[1:], size=splits[-1], weights=none))


def stretches(begins: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The places of stretches of a flat list, one stretch after the other.

    Args:
        begins: int64 [W], the first place of each; stretches may overlap.
        lengths: int64 [W].

    Returns:
        Places, int64 [n], and where those of each stretch begin and end, int64 [W + 1].

    >>> places, splits = stretches(tf.constant([5, 0], tf.int64), tf.constant([2, 3], tf.int64))
    >>> places.numpy(), splits.numpy()
    (array([5, 6, 0, 1, 2]), array([0, 2, 5]))
    """
    splits = tf.concat([tf.zeros([1], tf.int64), tf.cumsum(lengths)], axis=0)
    moved = tf.gather(begins - splits[:-1], owners(splits))
    return tf.range(splits[-1]) + moved, splits


def only(x: tf.RaggedTensor, kept: tf.Tensor) -> tf.RaggedTensor:
    """The elements of [n, (m)] that are kept: bool, one for each element of all rows."""
    counts = tf.cumsum(tf.cast(kept, x.row_splits.dtype))
    splits = tf.gather(tf.concat([tf.zeros([1], counts.dtype), counts], axis=0), x.row_splits)
    values = tf.boolean_mask(x.values, kept)
    return tf.RaggedTensor.from_row_splits(values, splits, validate=False)
