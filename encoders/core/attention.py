"""Multi-head self-attention (https://arxiv.org/abs/1706.03762, section 3.2)."""

import tensorflow as tf

from encoders.core.layers import Dropout, Linear
from encoders.core.layout import Padded


class SelfAttention(tf.Module):
    """Scaled dot-product attention of each row's tokens to each other."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.query = Linear(width, width)
        self.key = Linear(width, width)
        self.value = Linear(width, width)
        self.output = Linear(width, width)
        self.dropout = Dropout(dropout)

    def __call__(self, x: tf.Tensor, layout: Padded, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, D]."""
        query = self._split(self.query(x) * self.head_width**-0.5, layout)
        key = self._split(self.key(x), layout)
        value = self._split(self.value(x), layout)
        scores = tf.matmul(query, key, transpose_b=True) + layout.bias  # [B, H, S, S]
        weights = self.dropout(tf.nn.softmax(scores), training)
        mixed = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])  # [B, S, H, K]
        tokens = layout.to_tokens(mixed)
        return self.output(tf.reshape(tokens, [-1, self.heads * self.head_width]))

    def _split(self, x: tf.Tensor, layout: Padded) -> tf.Tensor:
        """[N, D] -> [B, H, S, K]."""
        x = tf.reshape(x, [-1, self.heads, self.head_width])
        return tf.transpose(layout.to_batch(x), [0, 2, 1, 3])
