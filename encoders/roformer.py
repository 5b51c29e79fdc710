"""RoFormer (https://arxiv.org/abs/2104.09864): BERT with rotary positions, the first model of them.

Pairs to turn are neighbours here, and values may be turned as well. There are no absolute
positions, and no pooler. The embeddings may be narrower (E) than the blocks (D) and are projected
then. Checkpoints hold the sines and cosines of positions, which may be rounded; where one does not,
they are computed. Its Chinese checkpoints split texts into words by a dictionary (Jieba), which is
no tokenizer of this package.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.attention.rotary import RotarySelfAttention, check_rotary
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Linear
from encoders.core.declared import declare
from encoders.core.encoder import Encoder
from encoders.core.layout.layout import Layout
from encoders.core.rows import Row, embedding, linear, norm
from encoders.core.weights import Table

THETA = 10_000.0


@dataclasses.dataclass(frozen=True)
class RoFormerConfig(bert.BertConfig):
    """Options of `transformers.RoFormerConfig` that change what is computed."""

    vocab_size: int = 50000
    embedding_size: int | None = None
    max_position_embeddings: int = 1536
    rotary_value: bool = False

    # The summary is a task head.
    ignored: ClassVar = (
        "summary_activation",
        "summary_first_dropout",
        "summary_last_dropout",
        "summary_type",
        "summary_use_proj",
    )

    def check(self) -> None:
        super().check()
        check_rotary(self.hidden_size, self.num_attention_heads)


class Rotation(NamedTuple):
    """Cosine and sine of the angles of each token, float32 [N, 1, K / 2]."""

    cosine: tf.Tensor
    sine: tf.Tensor

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Turns neighbours, float32 [N, H, K] -> float32 [N, H, K]."""
        even, odd = x[..., ::2], x[..., 1::2]
        turned = even * self.cosine - odd * self.sine, odd * self.cosine + even * self.sine
        return tf.reshape(tf.stack(turned, axis=-1), tf.shape(x))


class Rotary(tf.Module):
    """Gives the rotation of each token, of sines and cosines that are stored, sines first."""

    table: tf.Variable | None

    def __init__(self, head_width: int, positions: int) -> None:
        super().__init__()
        self.table = declare(positions, head_width, trainable=False)
        wavelengths = np.power(THETA, np.arange(0, head_width, 2) / head_width)
        angles = np.arange(positions)[:, np.newaxis] / wavelengths
        self._computed = np.concatenate([np.sin(angles), np.cos(angles)], 1).astype(np.float32)

    def __call__(self, layout: Layout) -> Rotation:
        """Looks them up at the layout's positions."""
        table = self._computed if self.table is None else self.table
        found = tf.gather(table, layout.positions)[:, tf.newaxis]
        sines, cosines = tf.split(found, 2, axis=-1)
        return Rotation(cosines, sines)


TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.word_embeddings"),
        *embedding("embeddings.type", "embeddings.token_type_embeddings"),
        *norm("embeddings.layer_norm", "embeddings.LayerNorm"),
        *linear("embeddings.projection", "embeddings_project"),
        Row("shared.table", ("encoder.embed_positions.weight",), optional="shared.table"),
        *bert.BLOCK_ROWS,
    ),
    prefix="roformer.",
    buffers={r"encoder\.embed_positions\.weight": "sines and cosines, computed where missing"},
)


def build(config: RoFormerConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, heads = config.hidden_size, config.num_attention_heads
    narrow, dropout = config.embedding_size or width, config.attention_probs_dropout_prob
    projection = Linear(narrow, width) if narrow != width else None
    rotary = Rotary(width // heads, config.max_position_embeddings)

    def attention() -> RotarySelfAttention:
        return RotarySelfAttention(width, heads, dropout, rotary, config.rotary_value)

    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings, narrow, position=None, projection=projection),
        bert.blocks(config, PostNormBlock, attention),
        shared=rotary,
    )


ARCHITECTURE = Architecture(("roformer",), RoFormerConfig, build, TABLE)
