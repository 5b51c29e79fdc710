"""Transformer blocks: attention, feed-forward, and how they are joined."""

import abc
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from encoders.core.activations import Activation
from encoders.core.layers import Dropout, LayerNorm, Linear, Norm
from encoders.core.layout import Layout

Mixing = Callable[[tf.Tensor, Layout, bool], tf.Tensor]
"""What makes tokens see each other, float32 [N, D] -> float32 [N, D]; mostly an `Attention`."""
Join = Callable[[tf.Tensor, tf.Tensor, LayerNorm, bool], tf.Tensor]


def add_and_norm(
    x: tf.Tensor, given: tf.Tensor, layer_norm: LayerNorm, training: bool
) -> tf.Tensor:
    """Joins what a part gets with what it gives, float32 [N, D] twice -> float32 [N, D]."""
    del training
    return layer_norm(x + given)


class FeedForward(tf.Module):
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

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Float32 [N, D] -> float32 [N, D]."""
        return self.output(self.dropout(self.activation(self.inner.narrow(x)), training))


class Gated(tf.Module, abc.ABC):
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

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Float32 [N, D] -> float32 [N, D]."""
        activated, other = self.both(x)
        return self.output(self.dropout(self.activation(activated) * other, training))

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


class PostNormBlock(tf.Module):
    """Normalises after each residual sum, as the original transformer does.

    Attributes:
        attention_join: joins the input of the attention, its output and its norm; an adapter where
            it has one.
        feed_forward_join: the same of the feed-forward part.
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
        self.attention_join: Join = add_and_norm
        self.feed_forward_join: Join = add_and_norm

    def __call__(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, D]."""
        attended = self.attention_dropout(self.attention(x, layout, training), training)
        x = self.attention_join(x, attended, self.attention_layer_norm, training)
        fed = self.feed_forward_dropout(self.feed_forward(x, training), training)
        return self.feed_forward_join(x, fed, self.feed_forward_layer_norm, training)


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
        x += self.attention_dropout(self.attention(normed, layout, training), training)
        fed = self.feed_forward(self.feed_forward_layer_norm(x), training)
        return x + self.feed_forward_dropout(fed, training)


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
