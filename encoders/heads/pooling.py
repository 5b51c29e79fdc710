"""Pooling: from the vectors of a text's tokens to one vector.

The modes are those of sentence-transformers (https://arxiv.org/abs/1908.10084), `weightedmean`
that of SGPT (https://arxiv.org/abs/2202.08904).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from encoders.core.errors import ConfigError


class Pooled(NamedTuple):
    """What a mode makes a vector of.

    Attributes:
        sequence: float32 [B, S, D].
        chosen: bool [B, S], the tokens that take part.
        place: float32 [B, S], 1 for the first real token of a row, 2 for the second one, and so on.
    """

    sequence: tf.Tensor
    chosen: tf.Tensor
    place: tf.Tensor


def _first(x: Pooled) -> tf.Tensor:
    at = tf.argmax(tf.cast(x.chosen, tf.int32), axis=1)
    return tf.gather(x.sequence, at, axis=1, batch_dims=1)


def last_chosen(sequence: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """The vector of the last token that takes part; of the first position where none does.

    Args:
        sequence: float32 [B, S, D].
        chosen: bool [B, S].

    Returns:
        float32 [B, D].
    """
    ones = tf.cast(chosen, tf.int32)
    at = tf.argmax(tf.cumsum(ones, axis=1) * ones, axis=1)
    return tf.gather(sequence, at, axis=1, batch_dims=1)


def _last(x: Pooled) -> tf.Tensor:
    """The last token's vector; zeros where no token takes part."""
    found = tf.reduce_any(x.chosen, axis=1, keepdims=True)
    return tf.where(found, last_chosen(x.sequence, x.chosen), 0.0)


def _largest(x: Pooled) -> tf.Tensor:
    """The largest value of each column; zeros where no token takes part."""
    found = tf.reduce_any(x.chosen, axis=1, keepdims=True)
    only = tf.where(x.chosen[..., tf.newaxis], x.sequence, x.sequence.dtype.min)
    return tf.where(found, tf.reduce_max(only, axis=1), 0.0)


def _mean(x: Pooled) -> tf.Tensor:
    return _weighted(x, tf.ones_like(x.place))


def _weighted_mean(x: Pooled) -> tf.Tensor:
    return _weighted(x, x.place)


def _weighted(x: Pooled, weights: tf.Tensor) -> tf.Tensor:
    """Zeros where no token takes part."""
    weights = tf.where(x.chosen, weights, 0.0)
    total = tf.einsum("bs,bsd->bd", weights, x.sequence)
    return total / tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1e-9)


def _mean_by_root(x: Pooled) -> tf.Tensor:
    """The sum, divided by the square root of the number of tokens."""
    count = tf.reduce_sum(tf.cast(x.chosen, tf.float32), axis=1, keepdims=True)
    return _mean(x) * tf.sqrt(count)


MODES: Mapping[str, Callable[[Pooled], tf.Tensor]] = {
    "cls": _first,
    "max": _largest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}


class Pooling(tf.Module):
    """Pools in one or more modes, whose vectors are concatenated."""

    def __init__(self, modes: Sequence[str], prompt: int = 0) -> None:
        """Takes the modes.

        Args:
            modes: names of `MODES`, in the order of their vectors.
            prompt: how many tokens at the beginning of every row take no part.

        Raises:
            ConfigError: a mode is unknown.
        """
        super().__init__()
        self.modes = tuple(modes)
        if unknown := [mode for mode in modes if mode not in MODES]:
            raise ConfigError(f"unknown pooling {unknown}; supported: {', '.join(MODES)}")
        self._functions = [MODES[mode] for mode in modes]
        self._prompt = prompt

    def __call__(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Pools a batch.

        Args:
            sequence: float32 [B, S, D], the encoder's output.
            mask: int32 [B, S], 0 where a position is padding.

        Returns:
            float32 [B, modes * D].
        """
        real = tf.not_equal(mask, 0)
        place = tf.cumsum(tf.cast(real, tf.int32), axis=1)
        chosen = real & (place > self._prompt)
        pooled = Pooled(sequence, chosen, tf.cast(place, tf.float32))
        return tf.concat([mode(pooled) for mode in self._functions], axis=1)
