"""Nyströmformer (https://arxiv.org/abs/2102.03902): BERT with a convolution beside its attention.

Attention is in full, as `transformers` computes it with the options of published checkpoints (as
many landmarks as `segment_means_seq_len`); means over landmarks in the place of tokens, for which
rows are of one length, are not supported. Each head adds a convolution of its values. Positions
count from 2 on. There is no pooler.

Padding is no neighbour, here as beyond the ends of a row: a text has the vectors that
`transformers` gives it alone. (In a padded batch, it takes padding for neighbours.)
"""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.attention.attention import Projected, SelfAttention
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Embedding
from encoders.core.config import TokenId
from encoders.core.declared import declare
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout
from encoders.core.rows import Change, Row
from encoders.core.weights import Table

FIRST = 2
"""The row of the position table that the first token has."""


@dataclasses.dataclass(frozen=True)
class NystromformerConfig(bert.BertConfig):
    """Options of `transformers.NystromformerConfig` that change what is computed."""

    vocab_size: int = 30000
    hidden_act: str = "gelu_new"
    max_position_embeddings: int = 510
    layer_norm_eps: float = 1e-5
    pad_token_id: TokenId = 1
    segment_means_seq_len: int = 64
    num_landmarks: int = 64
    conv_kernel_size: int = 65

    ignored: ClassVar = ("classifier_dropout", "inv_coeff_init_option")

    def check(self) -> None:
        super().check()
        if self.num_landmarks != self.segment_means_seq_len:
            raise ConfigError(
                f"num_landmarks: only attention in full is supported, where it is the "
                f"segment_means_seq_len of {self.segment_means_seq_len}; found {self.num_landmarks}"
            )
        if self.conv_kernel_size % 2 == 0:
            raise ConfigError(
                f"conv_kernel_size: expected an odd number, found {self.conv_kernel_size}"
            )


class Convolution(tf.Module):
    """A convolution over tokens of each column by itself, all columns of a head alike."""

    kernel: tf.Variable

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.kernel = declare(size, heads)

    def __call__(self, x: tf.Tensor, layout: Layout) -> tf.Tensor:
        """float32 [N, H, K] -> float32 [N, H, K]."""
        _, heads, width = x.shape
        flat = tf.reshape(x, [-1, heads * width]) * layout.real
        kernel = tf.repeat(self.kernel, width, axis=1)[:, tf.newaxis, :, tf.newaxis]
        rows = layout.to_batch(flat)[:, :, tf.newaxis]  # [B, S, 1, D]
        found = tf.nn.depthwise_conv2d(rows, kernel, [1, 1, 1, 1], "SAME")
        return tf.reshape(layout.to_tokens(found[:, :, 0]), [-1, heads, width])


class ConvolvedAttention(SelfAttention):
    """Attention each of whose heads adds a convolution of its values."""

    def __init__(self, width: int, heads: int, dropout: float, size: int) -> None:
        super().__init__(width, heads, dropout)
        self.convolution = Convolution(size, heads)

    def attend(self, projected: Projected, layout: Layout, training: bool) -> tf.Tensor:
        """Query, key and value, each [N, H, K] -> the sums of values, [N, H, K]."""
        attended = super().attend(projected, layout, training)
        return attended + layout.masking(self.convolution(projected[-1], layout))


def _places(word_ids: tf.Tensor, layout: Layout) -> tf.Tensor:
    """The row of the position table for each token, int32 [N]."""
    del word_ids
    return layout.positions + FIRST


_KERNEL = Change(
    lambda x: x[:, 0, :, 0].T,
    lambda shape: (shape[1], 1, shape[0], 1),
    lambda x: x.T[:, np.newaxis, :, np.newaxis],
)
"""[size, H] -> torch's [H, 1, size, 1]."""

TABLE = Table(
    rows=(
        *bert.EMBEDDING_ROWS,
        *bert.BLOCK_ROWS,
        Row(
            "blocks.{layer}.attention.convolution.kernel",
            ("encoder.layer.{layer}.attention.self.conv.weight",),
            _KERNEL,
        ),
    ),
    prefix="nystromformer.",
    buffers=bert.TABLE.buffers,
)


def build(config: NystromformerConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, heads, size = config.hidden_size, config.num_attention_heads, config.conv_kernel_size
    dropout, positions = config.attention_probs_dropout_prob, config.max_position_embeddings
    table = Embedding(positions + FIRST, width)
    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings, position=table, places=_places),
        bert.blocks(config, PostNormBlock, lambda: ConvolvedAttention(width, heads, dropout, size)),
    )


ARCHITECTURE = Architecture(("nystromformer",), NystromformerConfig, build, TABLE)
