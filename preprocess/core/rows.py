"""Doing rare work on the rare rows that need it."""

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
