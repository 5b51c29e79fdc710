"""umT5 (https://arxiv.org/abs/2304.09151): mT5 whose blocks each have a bias by distance."""

import dataclasses

import tensorflow as tf

from encoders import t5
from encoders.core.architecture import Architecture
from encoders.core.encoder import Encoder
from encoders.core.layout.layout import Layout
from encoders.core.rows import embedding
from encoders.mt5 import MT5Config


class UMT5Attention(t5.T5Attention):
    """Attention with a bias by distance."""

    def __init__(self, config: t5.T5Config) -> None:
        super().__init__(config)
        self.relative = t5.relative_bias(config)

    def scores(self, query: tf.Tensor, key: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """Query and key, both [B, H, S, K] -> the logits of the weights, [B, H, S, S]."""
        return super().scores(query, key, layout, training) + self.relative(layout)


TABLE = dataclasses.replace(
    t5.TABLE, rows=(*t5.ROWS, *embedding("blocks.{layer}.attention.relative.buckets", t5.BIAS))
)


def build(config: MT5Config) -> Encoder:
    """The encoder, its variables declared."""
    return t5.encoder(config, UMT5Attention)


ARCHITECTURE = Architecture(("umt5",), MT5Config, build, TABLE, t5.REFERENCE)
