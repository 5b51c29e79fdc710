"""XLNet (https://arxiv.org/abs/1906.08237): attention by relative positions alone.

A score has a term of contents, one of distance and one that tells whether two tokens are of the
same segment. The token that stands for a text is its last one; rows are padded at their beginning.
A token that is padding attends to itself as well. There is no memory of texts before, and nothing
is predicted in a permuted order: that was for training.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from encoders.core.architecture import Architecture
from encoders.core.attention.attention import Attention, Projected
from encoders.core.attention.relative import shift
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PostNormBlock, blocks_of
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LinearBase
from encoders.core.config import Config, TokenId, check_heads
from encoders.core.declared import declare
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout, last_token
from encoders.core.rows import Row, embedding, linear, norm
from encoders.core.weights import Table

THETA = 10_000.0


@dataclasses.dataclass(frozen=True)
class XLNetConfig(Config):
    """Options of `transformers.XLNetConfig` that change what is computed.

    Distances have no end, and no table bounds a row: `n_positions`, which `transformers` does not
    read, is the longest one that the published checkpoints were trained on.
    """

    vocab_size: int = 32000
    d_model: int = 1024
    n_layer: int = 24
    n_head: int = 16
    d_head: int | None = None
    d_inner: int = 4096
    ff_activation: str = "gelu"
    layer_norm_eps: float = 1e-12
    dropout: float = 0.1
    clamp_len: int | None = dataclasses.field(default=-1, metadata={"least": -1})
    n_positions: int = 512
    pad_token_id: TokenId = 5

    fixed: ClassVar = {"attn_type": "bi", "bi_data": False}
    # Of memory, of training, and of heads.
    ignored: ClassVar = (
        "mem_len",
        "reuse_len",
        "use_mems_eval",
        "use_mems_train",
        "same_length",
        "untie_r",
        "start_n_top",
        "end_n_top",
        "summary_activation",
        "summary_last_dropout",
        "summary_type",
        "summary_use_proj",
    )
    sizes: ClassVar = {
        "layers": "n_layer",
        "width": "d_model",
        "heads": "n_head",
        "positions": "n_positions",
        "types": "segments",
    }

    segments: ClassVar[int] = 4
    """T: two texts, the token at the end, padding. Any number would do: only equality counts."""

    def check(self) -> None:
        check_heads(self.d_model, self.n_head)
        if self.d_head not in (None, self.d_model // self.n_head):
            raise ConfigError(
                f"d_head: expected the {self.d_model // self.n_head} of d_model / n_head, found "
                f"{self.d_head}"
            )
        if self.d_model % 2:
            raise ConfigError(f"d_model: expected an even number, found {self.d_model}")


class HeadsLinear(LinearBase):
    """A dense layer between vectors and heads, computed in the kernel's dtype."""

    bias = None

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.kernel = declare(width, heads, head_width, narrow=True)

    def product(self, x: tf.Tensor) -> tf.Tensor:
        """[N, H * K] -> [N, D], in the kernel's dtype."""
        return self._product(x, transpose_b=True)

    def to_heads(self, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> float32 [N, H, K]."""
        product = tf.cast(self._product(x, transpose_b=False), tf.float32)
        return tf.reshape(product, [-1, *self.kernel.shape[1:]])

    def _product(self, x: tf.Tensor, transpose_b: bool) -> tf.Tensor:
        kernel = tf.reshape(self.kernel, [self.kernel.shape[0], -1])
        return tf.matmul(tf.cast(x, kernel.dtype), kernel, transpose_b=transpose_b)


class Distances:
    """Gives the vectors of the distances S - 1 ... -S: sines and cosines, float32 [2 * S, D]."""

    def __init__(self, width: int, farthest: int) -> None:
        """Takes the width D, and the distance from which on all are alike, if it is more than 0."""
        steps = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
        # To the last bit, as torch nearly always has it.
        wavelengths = np.power(THETA, steps.astype(np.float64)).astype(np.float32)
        self._frequencies = np.float32(1) / wavelengths
        self._farthest = farthest

    def __call__(self, layout: Layout) -> tf.Tensor:
        """Computes them for the layout's length."""
        distances = tf.range(layout.length - 1, -layout.length - 1, -1)
        if self._farthest > 0:
            distances = tf.clip_by_value(distances, -self._farthest, self._farthest)
        angles = tf.cast(distances, tf.float32)[:, tf.newaxis] * self._frequencies
        return tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)


class RelativeAttention(Attention):
    """Attention by contents, distance and segment, each with a bias of the query."""

    output: HeadsLinear
    content_bias: tf.Variable
    distance_bias: tf.Variable
    segment_bias: tf.Variable
    segments: tf.Variable

    def __init__(self, config: XLNetConfig, distances: Distances) -> None:
        width, heads = config.d_model, config.n_head
        super().__init__(width, heads, config.dropout)
        sizes = width, heads, self.head_width
        self.query, self.key, self.value, self.distance, self.output = (
            HeadsLinear(*sizes) for _ in range(5)
        )
        self.content_bias, self.distance_bias, self.segment_bias = (
            declare(heads, self.head_width) for _ in range(3)
        )
        self.segments = declare(2, heads, self.head_width)
        self.distances = distances

    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""
        del layout
        return self.query.to_heads(x), self.key.to_heads(x), self.value.to_heads(x)

    def scores(self, query: tf.Tensor, key: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """Scaled query and key, both [B, H, S, K] -> the logits of the weights, [B, H, S, S]."""
        vectors = self.dropout(layout.once(self.distances), training)
        near = tf.transpose(self.distance.to_heads(vectors), [1, 2, 0])  # [H, K, 2 * S]
        segments = tf.transpose(self.segments, [1, 2, 0])  # [H, K, 2]
        contents = tf.matmul(self._biased(query, self.content_bias), key, transpose_b=True)
        distance = shift(tf.matmul(self._biased(query, self.distance_bias), near), layout.length)
        segment = tf.matmul(self._biased(query, self.segment_bias), segments)
        segment = tf.where(layout.once(_differ), segment[..., 1:], segment[..., :1])
        return contents + distance + segment + layout.once(_attended)

    def _biased(self, query: tf.Tensor, bias: tf.Variable) -> tf.Tensor:
        """Scaled query, [B, H, S, K], and what is added before it is scaled, [H, K]."""
        return query + self.scale * bias[:, tf.newaxis]


def _differ(layout: Layout) -> tf.Tensor:
    """Whether two tokens are of different segments, bool [B or 1, 1, S, S]."""
    if layout.type_ids is None:
        return tf.zeros([1, 1, layout.length, layout.length], tf.bool)
    types = layout.to_batch(layout.to_tokens(layout.type_ids))
    return tf.not_equal(types[:, tf.newaxis, :, tf.newaxis], types[:, tf.newaxis, tf.newaxis])


def _attended(layout: Layout) -> tf.Tensor:
    """The layout's bias, [B, 1, S, S], but that every token attends to itself."""
    return tf.where(tf.eye(layout.length, dtype=tf.bool), 0.0, layout.bias)


_BLOCK = "layer.{layer}"
_FROM, _TO = f"{_BLOCK}.rel_attn", "blocks.{layer}.attention"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "word_embedding"),
        Row(f"{_TO}.query.kernel", (f"{_FROM}.q",)),
        Row(f"{_TO}.key.kernel", (f"{_FROM}.k",)),
        Row(f"{_TO}.value.kernel", (f"{_FROM}.v",)),
        Row(f"{_TO}.distance.kernel", (f"{_FROM}.r",)),
        Row(f"{_TO}.output.kernel", (f"{_FROM}.o",)),
        Row(f"{_TO}.content_bias", (f"{_FROM}.r_w_bias",)),
        Row(f"{_TO}.distance_bias", (f"{_FROM}.r_r_bias",)),
        Row(f"{_TO}.segment_bias", (f"{_FROM}.r_s_bias",)),
        Row(f"{_TO}.segments", (f"{_FROM}.seg_embed",)),
        *norm("blocks.{layer}.attention_layer_norm", f"{_FROM}.layer_norm"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.ff.layer_1"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.ff.layer_2"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.ff.layer_norm"),
    ),
    prefix="transformer.",
    buffers={"mask_emb": "stands for tokens that are predicted in a permuted order"},
)


def build(config: XLNetConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, dropout, function = config.d_model, config.dropout, activation(config.ff_activation)
    distances = Distances(width, config.clamp_len or 0)
    return Encoder(
        config.dimensions,
        Embeddings(
            word=Embedding(config.vocab_size, width), layer_norm=None, dropout=Dropout(dropout)
        ),
        blocks_of(
            PostNormBlock,
            config.n_layer,
            width,
            config.layer_norm_eps,
            dropout,
            lambda: RelativeAttention(config, distances),
            lambda: FeedForward(width, config.d_inner, function, dropout=dropout),
        ),
        dropout=Dropout(dropout),
        token=last_token,
    )


ARCHITECTURE = Architecture(("xlnet",), XLNetConfig, build, TABLE)
