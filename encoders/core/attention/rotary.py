"""Rotary position embedding (RoPE, https://arxiv.org/abs/2104.09864).

Queries and keys are turned by an angle that grows with their position, so that their product
depends on the distance. Element k of a head's first half forms a pair with element k of its second.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from encoders.core.attention.attention import JoinedAttention, Projected, SelfAttention
from encoders.core.attention.rope_scaling import PLAIN, Scaling
from encoders.core.config import check_heads
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout


def check_rotary(width: int, heads: int) -> None:
    """Raises ConfigError unless each head has pairs to turn."""
    check_heads(width, heads)
    check_head_width(width // heads)


def check_head_width(width: int) -> None:
    """Raises ConfigError unless a head of this width has pairs to turn."""
    if width % 2:
        raise ConfigError(f"RoPE needs heads of even width, found {width}")


def theta(parameters: Mapping[str, Any], default: float, option: str) -> float:
    """The base of the wavelengths, as an object of `rope_parameters` gives it.

    Raises:
        ConfigError: the object asks for more than plain RoPE; `option` names it.
    """
    plain = parameters.get("rope_type", parameters.get("type", "default")) == "default"
    found = parameters.get("rope_theta", default)
    if not plain or not parameters.keys() <= {"rope_type", "type", "rope_theta"}:
        raise ConfigError(
            f"{option}: only rope_type default with a rope_theta is supported, found {parameters}"
        )
    if not isinstance(found, (int, float)) or found < 1:
        raise ConfigError(f"{option}: expected a rope_theta of 1 or more, found {found!r}")
    return found


Turning = Callable[[Layout], Any]
"""Makes of a layout what turns the heads of its tokens, float32 [N, H, K] -> float32 [N, H, K]."""


class Rotation(NamedTuple):
    """Cosine and sine of the angles of each token, float32 [N, 1, K / 2]."""

    cosine: tf.Tensor
    sine: tf.Tensor

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """float32 [N, H, K] -> float32 [N, H, K]."""
        first, second = tf.split(x, 2, axis=-1)
        turned = first * self.cosine - second * self.sine, second * self.cosine + first * self.sine
        return tf.concat(turned, axis=-1)


class Rotary:
    """Gives the rotation of each token, for heads of this width."""

    def __init__(self, head_width: int, theta: float, scaling: Scaling = PLAIN) -> None:
        steps = np.arange(0, head_width, 2, dtype=np.float32) / np.float32(head_width)
        # To the last bit, as torch nearly always has it: far positions turn many times.
        wavelengths = np.power(float(theta), steps.astype(np.float64)).astype(np.float32)
        self._frequencies = scaling(wavelengths, theta)
        self._length = scaling.length

    def __call__(self, layout: Layout) -> Rotation:
        """Computes them at the layout's positions."""
        positions = tf.cast(layout.positions, tf.float32)
        angles = positions[:, tf.newaxis, tf.newaxis] * self._frequencies
        return Rotation(tf.cos(angles) * self._length, tf.sin(angles) * self._length)


class RotaryAttention(JoinedAttention):
    """Attention with one dense layer for query, key and value, of which RoPE turns the former."""

    def __init__(
        self, width: int, heads: int, dropout: float, rotary: Rotary, bias: bool = False
    ) -> None:
        super().__init__(width, heads, dropout, bias)
        self.rotary = rotary

    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""
        query, key, value = super().project(x, layout)
        rotate = layout.once(self.rotary)
        return rotate(query), rotate(key), value


class RotarySelfAttention(SelfAttention):
    """Attention with a dense layer each for query, key and value, which RoPE turns.

    Attributes:
        turns_values: whether it turns values as well.
    """

    def __init__(
        self, width: int, heads: int, dropout: float, rotary: Turning, turns_values: bool = False
    ) -> None:
        super().__init__(width, heads, dropout)
        self.rotary = rotary
        self.turns_values = turns_values

    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""
        query, key, value = super().project(x, layout)
        rotate = layout.once(self.rotary)
        return rotate(query), rotate(key), rotate(value) if self.turns_values else value
