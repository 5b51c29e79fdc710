"""Multi-head self-attention (https://arxiv.org/abs/1706.03762, section 3.2)."""

import abc

import tensorflow as tf

from encoders.core.attention.masks import Window
from encoders.core.blocks.layers import Dropout, Linear, Part
from encoders.core.layout.layout import Layout

Projected = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


class Attention(Part):
    """Scaled dot-product attention of each row's tokens to each other.

    Attributes:
        window: which keys a query attends to; None for all that are no padding.
    """

    window: Window | None = None

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        bias: bool = True,
        head_width: int | None = None,
    ) -> None:
        """Takes sizes.

        Args:
            width: D.
            heads: H.
            dropout: the rate for the weights.
            bias: whether the output has one.
            head_width: K, where it is not D / H.
        """
        super().__init__()
        self.heads = heads
        self.head_width = head_width or width // heads
        self.scale = self.head_width**-0.5
        self.output = Linear(heads * self.head_width, width, bias)
        self.dropout = Dropout(dropout)

    def before(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, H * K]."""
        attended = self.attend(self.project(x, layout), layout, training)
        return tf.reshape(attended, [-1, self.heads * self.head_width])

    def attend(self, projected: Projected, layout: Layout, training: bool) -> tf.Tensor:
        """Query, key and value, each [N, H, K] -> the sums of values, [N, H, K]."""
        query, key, value = map(layout.to_heads, projected)
        scores = self.scores(query * self.scale, key, layout, training)
        weights = layout.attending(self.dropout(self.weights(scores, layout), training))
        return layout.from_heads(tf.matmul(weights, value))

    @abc.abstractmethod
    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""

    def scores(self, query: tf.Tensor, key: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """Scaled query and key, both [B, H, S, K] -> the logits of the weights, [B, H, S, S]."""
        del training
        bias = layout.bias if self.window is None else layout.once(self.window)
        return tf.matmul(query, key, transpose_b=True) + bias

    def weights(self, scores: tf.Tensor, layout: Layout) -> tf.Tensor:
        """What each query gives each key, made of logits; float32 [B, H, S, S] twice."""
        del layout
        return tf.nn.softmax(scores)

    def split(self, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [N, H, K]."""
        return tf.reshape(x, [-1, self.heads, self.head_width])


class JoinedAttention(Attention):
    """Attention with one dense layer for query, key and value."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool = True) -> None:
        super().__init__(width, heads, dropout, bias)
        self.input = Linear(width, 3 * width, bias)

    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""
        del layout
        joined = tf.reshape(self.input(x), [-1, 3, self.heads, self.head_width])
        query, key, value = tf.unstack(joined, axis=1)
        return query, key, value


class SelfAttention(Attention):
    """Attention with a dense layer each for query, key and value."""

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        bias: bool = True,
        head_width: int | None = None,
        window: Window | None = None,
    ) -> None:
        super().__init__(width, heads, dropout, bias, head_width)
        self.window = window
        inner = heads * self.head_width
        self.query = Linear(width, inner, bias)
        self.key = Linear(width, inner, bias)
        self.value = Linear(width, inner, bias)

    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""
        del layout
        return self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
