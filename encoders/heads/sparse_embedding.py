"""Sparse embedding: a weight for each word of the vocabulary (SPLADE).

The weights are made of the logits of a masked language model (https://arxiv.org/abs/2107.05720,
https://arxiv.org/abs/2109.10086).
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from encoders.core.encoder import Encoded, Encoder
from encoders.heads.fill_mask import FillMask
from encoders.heads.head import Outputs

WEIGHTS = "weights"


class SparseEmbedding(FillMask):
    """Gives `weights`, float32 [B, V], of V words: zero for most.

    Attributes:
        is_sum: whether the weights of a row's positions are added up; else the largest counts.
        is_doubled: whether the logarithm is taken twice (https://arxiv.org/abs/2504.14839).
    """

    task = "sparse-embedding"

    def __init__(self, config: Mapping[str, Any], encoder: Encoder) -> None:
        super().__init__(config, encoder)
        self.is_sum = self.is_doubled = False

    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> Outputs:
        """`weights`: float32 [B, V]."""
        del training
        x = self.logits(encoded.sequence)
        x = tf.where(tf.equal(mask, 0)[..., tf.newaxis], 0.0, x)
        if self.is_sum:
            return {WEIGHTS: tf.reduce_sum(self._weights(x), 1)}
        # The largest logit has the largest weight, and of padding, none is larger than zero.
        return {WEIGHTS: self._weights(tf.reduce_max(x, 1))}

    def _weights(self, logits: tf.Tensor) -> tf.Tensor:
        x = tf.math.log1p(tf.nn.relu(logits))
        return tf.math.log1p(x) if self.is_doubled else x
