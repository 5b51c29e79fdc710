"""Grouped-query attention (https://arxiv.org/abs/2305.13245): heads that share keys and values."""

from collections.abc import Callable

import tensorflow as tf

from encoders.core.attention.attention import Attention, Projected
from encoders.core.attention.masks import Window
from encoders.core.attention.rotary import Rotary
from encoders.core.blocks.layers import Linear, Norm
from encoders.core.layout.layout import Layout


class GroupedAttention(Attention):
    """Attention of H heads to G keys and values; RoPE turns queries and keys."""

    def __init__(
        self,
        width: int,
        heads: int,
        groups: int,
        head_width: int,
        dropout: float,
        rotary: Rotary,
        window: Window,
        bias: bool = False,
        output_bias: bool = False,
        norm: Callable[[int], Norm] | None = None,
    ) -> None:
        """Takes sizes and parts.

        Args:
            width: D.
            heads: H.
            groups: G, which divides H.
            head_width: K, which need not be D / H.
            dropout: the rate for the weights.
            rotary: shared by all blocks.
            window: which keys a query attends to.
            bias: whether query, key and value have a bias.
            output_bias: whether the output has.
            norm: makes of K what normalises each head's query, and each group's key, before they
                are turned; None leaves them as they are.
        """
        super().__init__(width, heads, dropout, output_bias, head_width)
        self.groups = groups
        self.rotary = rotary
        self.window = window
        self.query = Linear(width, heads * head_width, bias)
        self.key = Linear(width, groups * head_width, bias)
        self.value = Linear(width, groups * head_width, bias)
        self.query_layer_norm = norm(head_width) if norm else None
        self.key_layer_norm = norm(head_width) if norm else None

    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""
        rotate = layout.once(self.rotary)
        query, key = self.split(self.query(x)), self._grouped(self.key(x))
        query = query if self.query_layer_norm is None else self.query_layer_norm(query)
        key = key if self.key_layer_norm is None else self.key_layer_norm(key)
        return rotate(query), self._shared(rotate(key)), self._shared(self._grouped(self.value(x)))

    def _grouped(self, x: tf.Tensor) -> tf.Tensor:
        """[N, G * K] -> [N, G, K]."""
        return tf.reshape(x, [-1, self.groups, self.head_width])

    def _shared(self, x: tf.Tensor) -> tf.Tensor:
        """[N, G, K] -> [N, H, K]: each for as many heads in turn."""
        times = self.heads // self.groups
        return self.split(tf.tile(x[:, :, tf.newaxis], [1, 1, times, 1])) if times > 1 else x
