"""Transformer blocks: attention, feed-forward, and how they are joined."""

import abc
from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

from encoders.core.blocks.activations import Activation
from encoders.core.blocks.layers import Dropout, LayerNorm, Linear, Norm, Part
from encoders.core.layout.layout import Layout

Mixing = Callable[[tf.Tensor, Layout, bool], tf.Tensor]
"""What makes tokens see each other, float32 [N, D] -> float32 [N, D]; mostly an `Attention`."""
Join = Callable[[tf.Tensor, tf.Tensor, LayerNorm, bool], tf.Tensor]


class FeedForward(Part):
    """Two dense layers with an activation between them, [N, D] -> [N, F] -> [N, D]."""

    def __init__(
        self,
        width: int,
        inner: int,
        activation: Activation,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        """Takes sizes and parts.

        Args:
            width: D.
            inner: F.
            activation: of what is F wide.
            bias: whether the layers have one.
            dropout: the rate for what is F wide.
        """
        super().__init__()
        self.activation = activation
        self.inner = Linear(width, inner, bias)
        self.output = Linear(inner, width, bias)
        self.dropout = Dropout(dropout)

    def before(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Float32 [N, D] -> [N, F]."""
        return self.dropout(self.activation(self.inner.narrow(x)), training)


class Gated(Part):
    """[N, D] -> [N, F], activated, times another [N, F] -> [N, D] (https://arxiv.org/abs/2002.05202).

    How the two come about is left to those below.
    """

    def __init__(
        self, width: int, inner: int, activation: Activation, bias: bool, dropout: float
    ) -> None:
        super().__init__()
        self.activation = activation
        self.output = Linear(inner, width, bias)
        self.dropout = Dropout(dropout)

    def before(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Float32 [N, D] -> [N, F]."""
        activated, other = self.both(x)
        return self.dropout(self.activation(activated) * other, training)

    @abc.abstractmethod
    def both(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N, D] -> what is activated and what it is multiplied by, each [N, F]."""


class GatedFeedForward(Gated):
    """With a dense layer for each; what `gate` gives is activated."""

    def __init__(
        self,
        width: int,
        inner: int,
        activation: Activation,
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(width, inner, activation, bias, dropout)
        self.gate = Linear(width, inner, bias)
        self.inner = Linear(width, inner, bias)

    def both(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N, D] -> what is activated and what it is multiplied by, each [N, F]."""
        return self.gate.narrow(x), self.inner.narrow(x)


def added(
    x: tf.Tensor,
    part: Callable[..., tf.Tensor],
    dropout: Dropout,
    inputs: tuple[Any, ...],
    training: bool,
) -> tf.Tensor:
    """A residual sum: float32 [N, D], and what a part makes of its inputs, dropped out."""
    if isinstance(part, Part) and not (training and dropout.rate):
        return part.onto(x, *inputs)
    return x + dropout(part(*inputs), training)


def _joined(
    x: tf.Tensor,
    part: Callable[..., tf.Tensor],
    dropout: Dropout,
    inputs: tuple[Any, ...],
    layer_norm: LayerNorm,
    join: Join | None,
    training: bool,
) -> tf.Tensor:
    """The same, normalised; or what an adapter makes of both."""
    if join is None:
        return layer_norm(added(x, part, dropout, inputs, training))
    return join(x, dropout(part(*inputs), training), layer_norm, training)


class PostNormBlock(tf.Module):
    """Normalises after each residual sum, as the original transformer does.

    Attributes:
        attention_join: the adapter of the attention, where it has one: it joins input and output
            in the place of a sum that is normalised.
        feed_forward_join: that of the feed-forward part.
    """

    def __init__(
        self,
        attention: Mixing,
        attention_dropout: Dropout,
        attention_layer_norm: LayerNorm,
        feed_forward: Callable[[tf.Tensor, bool], tf.Tensor],
        feed_forward_dropout: Dropout,
        feed_forward_layer_norm: LayerNorm,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.attention_dropout = attention_dropout
        self.attention_layer_norm = attention_layer_norm
        self.feed_forward = feed_forward
        self.feed_forward_dropout = feed_forward_dropout
        self.feed_forward_layer_norm = feed_forward_layer_norm
        self.attention_join: Join | None = None
        self.feed_forward_join: Join | None = None

    def __call__(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, D]."""
        attended = self.attention, self.attention_dropout, (x, layout, training)
        x = _joined(x, *attended, self.attention_layer_norm, self.attention_join, training)
        fed = self.feed_forward, self.feed_forward_dropout, (x, training)
        return _joined(x, *fed, self.feed_forward_layer_norm, self.feed_forward_join, training)


class PreNormBlock(tf.Module):
    """Normalises what goes into attention and feed-forward layers, and not their sums."""

    def __init__(
        self,
        attention_layer_norm: Norm | None,
        attention: Mixing,
        attention_dropout: Dropout,
        feed_forward_layer_norm: Norm,
        feed_forward: Callable[[tf.Tensor, bool], tf.Tensor],
        feed_forward_dropout: Dropout | None = None,
    ) -> None:
        super().__init__()
        self.attention_layer_norm = attention_layer_norm
        self.attention = attention
        self.attention_dropout = attention_dropout
        self.feed_forward_layer_norm = feed_forward_layer_norm
        self.feed_forward = feed_forward
        self.feed_forward_dropout = feed_forward_dropout or Dropout(0.0)

    def __call__(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, D]."""
        normed = x if self.attention_layer_norm is None else self.attention_layer_norm(x)
        attended = self.attention, self.attention_dropout, (normed, layout, training)
        x = added(x, *attended, training)
        fed = self.feed_forward, self.feed_forward_dropout
        return added(x, *fed, (self.feed_forward_layer_norm(x), training), training)


B = TypeVar("B", PostNormBlock, PreNormBlock)


def blocks_of(
    kind: type[B],
    count: int,
    width: int,
    epsilon: float,
    dropout: float,
    attention: Callable[[], Mixing],
    feed_forward: Callable[[], Callable[[tf.Tensor, bool], tf.Tensor]],
    feed_forward_dropout: float | None = None,
) -> list[B]:
    """Blocks that are all alike.

    Args:
        kind: where they normalise.
        count: L.
        width: D.
        epsilon: of the norms.
        dropout: the rate after attention and after feed-forward part.
        attention: makes that of a block.
        feed_forward: makes the other part of a block.
        feed_forward_dropout: the rate after the latter, where it has one of its own.
    """
    last = dropout if feed_forward_dropout is None else feed_forward_dropout

    def block() -> B:
        return kind(
            attention=attention(),
            attention_dropout=Dropout(dropout),
            attention_layer_norm=LayerNorm(width, epsilon),
            feed_forward=feed_forward(),
            feed_forward_dropout=Dropout(last),
            feed_forward_layer_norm=LayerNorm(width, epsilon),
        )

    return [block() for _ in range(count)]
