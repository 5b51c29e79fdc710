"""FNet (https://arxiv.org/abs/2105.03824): Fourier transforms in the place of attention.

A block takes the real part of the transform over a row's tokens and over the columns of their
vectors, which makes every token see every other; nothing in it is learned. The embeddings are
projected, even where widths agree.

The transform is that of the row by itself, up to its last token: a text has the vectors that
`transformers` gives it alone. FNet knows no mask there, and in a padded batch, padding changes the
vectors of all tokens; a mask of ones has them computed so.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import tensorflow as tf

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PostNormBlock, blocks_of
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm, Linear
from encoders.core.config import Config, TokenId, check_padding
from encoders.core.encoder import Encoder, Pooler
from encoders.core.layout.layout import Layout
from encoders.core.rows import linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class FNetConfig(Config):
    """Options of `transformers.FNetConfig` that change what is computed."""

    vocab_size: int = 32000
    hidden_size: int = 768
    num_hidden_layers: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu_new"
    hidden_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 4
    layer_norm_eps: float = 1e-12
    pad_token_id: TokenId = 3

    # How the transform is computed on some machines, for rows of one length alone.
    ignored: ClassVar = ("use_tpu_fourier_optimizations", "tpu_short_seq_length")

    def check(self) -> None:
        check_padding(self.pad_token_id, self.vocab_size)


class ProjectedEmbeddings(Embeddings):
    """Embeddings that are normalised, projected and only then dropped out."""

    layer_norm: LayerNorm
    projection: Linear

    def __call__(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """int32 [B, S] -> float32 [N, D]."""
        x = self.layer_norm(self.sum(word_ids, layout, training))
        return self.dropout(self.projection(x), training)


class Waves(NamedTuple):
    """Cosines and sines of a transform, of frequency and place, float32 [..., C, C] of C places."""

    cosine: tf.Tensor
    sine: tf.Tensor


def waves(places: tf.Tensor, period: tf.Tensor | int) -> Waves:
    """Those of places, int32 [C], of which as many as the period, int32 [...], count."""
    turns = places * places[:, tf.newaxis] % period  # whole numbers: far angles stay exact
    angles = 2 * math.pi * tf.cast(turns, tf.float32) / tf.cast(period, tf.float32)
    return Waves(tf.cos(angles), tf.sin(angles))


class OfRows(NamedTuple):
    """What a transform needs to know of the rows of a batch.

    Attributes:
        waves: of each row's tokens, float32 [B, S, S].
        counts: 1 for a place before a row's end, else 0, float32 [B, S, 1].
    """

    waves: Waves
    counts: tf.Tensor


def _of_rows(layout: Layout) -> OfRows:
    """Computes it, each row as long as up to its last token; of one of padding nothing counts."""
    places = tf.range(layout.length)
    real = layout.to_batch(layout.real) > 0  # [B, S, 1]
    ends = tf.where(real, places[:, tf.newaxis] + 1, 0)
    period = tf.reduce_max(ends, axis=1, keepdims=True)  # [B, 1, 1]
    counts = tf.cast(places[:, tf.newaxis] < period, tf.float32)
    return OfRows(waves(places, tf.maximum(period, 1)), counts)


class Fourier(tf.Module):
    """The real part of a row's transform over tokens and columns, float32 [N, D] -> [N, D]."""

    def __init__(self, across: Callable[[Layout], Waves]) -> None:
        """Takes what gives the waves of columns, float32 [D, D]."""
        super().__init__()
        self._across = across

    def __call__(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, D]; zero behind a row's last token."""
        del training
        (cosine, sine), counts = layout.once(_of_rows)
        across = layout.once(self._across)
        rows = layout.to_batch(x * layout.real)
        mixed = tf.matmul(cosine, tf.matmul(rows, across.cosine))
        mixed -= tf.matmul(sine, tf.matmul(rows, across.sine))
        return layout.to_tokens(mixed * counts)


TABLE = Table(
    rows=(
        *bert.EMBEDDING_ROWS,
        *linear("embeddings.projection", "embeddings.projection"),
        *norm(
            "blocks.{layer}.attention_layer_norm", "encoder.layer.{layer}.fourier.output.LayerNorm"
        ),
        *linear("blocks.{layer}.feed_forward.inner", "encoder.layer.{layer}.intermediate.dense"),
        *linear("blocks.{layer}.feed_forward.output", "encoder.layer.{layer}.output.dense"),
        *norm("blocks.{layer}.feed_forward_layer_norm", "encoder.layer.{layer}.output.LayerNorm"),
        *bert.POOLER_ROWS,
    ),
    prefix="fnet.",
    buffers={
        **bert.TABLE.buffers,
        r"encoder\.layer\.\d+\.fourier\.self\.dft_mat_\w+": "cosines and sines, which are computed",
    },
)


def build(config: FNetConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, epsilon = config.hidden_size, config.layer_norm_eps
    inner, function = config.intermediate_size, activation(config.hidden_act)
    embeddings = ProjectedEmbeddings(
        word=Embedding(config.vocab_size, width, padding=config.pad_token_id),
        position=Embedding(config.max_position_embeddings, width),
        type=Embedding(config.type_vocab_size, width),
        layer_norm=LayerNorm(width, epsilon),
        projection=Linear(width, width),
        dropout=Dropout(config.hidden_dropout_prob),
    )

    def across(layout: Layout) -> Waves:
        """The waves of columns: computed once, for all blocks."""
        del layout
        return waves(tf.range(width), width)

    blocks = blocks_of(
        PostNormBlock,
        config.num_hidden_layers,
        width,
        epsilon,
        0.0,
        lambda: Fourier(across),
        lambda: FeedForward(width, inner, function),
        config.hidden_dropout_prob,
    )
    return Encoder(config.dimensions, embeddings, blocks, Pooler(width))


ARCHITECTURE = Architecture(("fnet",), FNetConfig, build, TABLE)
