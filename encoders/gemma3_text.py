"""Gemma 3 (https://arxiv.org/abs/2503.19786), its text model.

EmbeddingGemma (https://arxiv.org/abs/2509.20354) is one whose tokens see the whole text. Blocks
normalise what goes into attention and feed-forward layers and what comes out of them; norms
multiply by one plus what is learned. Word vectors are multiplied by the square root of their width.
Most layers attend to a window; these and the others have wavelengths of RoPE of their own.
"""

import dataclasses
from typing import Any, ClassVar

import tensorflow as tf

from encoders import llama
from encoders.core.architecture import Architecture
from encoders.core.attention import rope_scaling
from encoders.core.attention.grouped import GroupedAttention
from encoders.core.attention.masks import FULL, SLIDING, Window
from encoders.core.attention.rope_scaling import Rope
from encoders.core.attention.rotary import Rotary, check_head_width
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import GatedFeedForward
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, RMSNorm
from encoders.core.config import (
    Config,
    TokenId,
    at_least,
    check_groups,
    check_kinds,
    check_padding,
)
from encoders.core.declared import declare
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout, last_token
from encoders.core.rows import Row
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class Gemma3TextConfig(Config):
    """Options of `transformers.Gemma3TextConfig` that change what is computed."""

    vocab_size: int = 262_208
    hidden_size: int = 2304
    intermediate_size: int = 9216
    num_hidden_layers: int = 26
    num_attention_heads: int = 8
    num_key_value_heads: int = 4
    head_dim: int = 256
    hidden_activation: str = "gelu_pytorch_tanh"
    max_position_embeddings: int = 131_072
    rms_norm_eps: float = 1e-6
    attention_bias: bool = False
    attention_dropout: float | None = 0.0
    query_pre_attn_scalar: float = at_least(1, default=256)
    sliding_window: int | None = at_least(1, default=4096)
    layer_types: list[str] | None = None
    use_bidirectional_attention: bool | None = False
    rope_parameters: dict[str, Any] | None = None
    pad_token_id: TokenId = 0
    # Before `transformers` 5, for `layer_types` and `rope_parameters`.
    sliding_window_pattern: int = 6
    rope_theta: float = at_least(1, default=1_000_000.0)
    rope_local_base_freq: float = at_least(1, default=10_000.0)
    rope_scaling: dict[str, Any] | None = None

    fixed: ClassVar = {"attn_logit_softcapping": None}
    # The latter is of the head that gives logits.
    ignored: ClassVar = ("_sliding_window_pattern", "final_logit_softcapping")

    @property
    def kinds(self) -> list[str]:
        """Whether each layer is FULL or SLIDING."""
        every = self.sliding_window_pattern
        cycle = [SLIDING if at % every else FULL for at in range(1, self.num_hidden_layers + 1)]
        return self.layer_types or cycle

    @property
    def windows(self) -> dict[str, Window]:
        """Which keys a query attends to, by the kind of the layer."""
        reach = self.sliding_window or 1
        if self.use_bidirectional_attention:
            return {FULL: Window(), SLIDING: Window(reach // 2, reach // 2)}
        return {FULL: Window(ahead=0), SLIDING: Window(reach - 1, ahead=0)}

    def rope(self, kind: str) -> Rope:
        """What RoPE turns by in layers of this kind."""
        given = dict((self.rope_parameters or {}).get(kind) or {})
        if kind == FULL:
            given |= self.rope_scaling or {}
        theta = self.rope_theta if kind == FULL else self.rope_local_base_freq
        option = f"rope_parameters.{kind}"
        return rope_scaling.read(given, theta, self.max_position_embeddings, option)

    def check(self) -> None:
        check_groups(self.num_attention_heads, self.num_key_value_heads)
        check_head_width(self.head_dim)
        check_padding(self.pad_token_id, self.vocab_size)
        check_kinds(self.kinds, (FULL, SLIDING), self.num_hidden_layers)
        if self.sliding_window is None and SLIDING in self.kinds:
            raise ConfigError(f"sliding_window: expected a number for layers of {SLIDING}")
        if unknown := (self.rope_parameters or {}).keys() - {FULL, SLIDING}:
            raise ConfigError(f"rope_parameters: unknown kinds of layers {sorted(unknown)}")
        _ = [self.rope(kind) for kind in (FULL, SLIDING)]


class ShiftedNorm(RMSNorm):
    """Multiplies by one plus what is learned."""

    shift: tf.Variable

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__(width, epsilon)
        self.gamma = None
        self.shift = declare(width)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.normalised(x) * (1.0 + self.shift)


class ScaledEmbedding(Embedding):
    """A table of vectors that are multiplied by the square root of their width."""

    def __call__(self, ids: tf.Tensor, training: bool = False) -> tf.Tensor:
        vectors = super().__call__(ids, training)
        return vectors * tf.sqrt(tf.cast(vectors.shape[-1], tf.float32))


class SandwichBlock(tf.Module):
    """Normalises what goes into attention and feed-forward layers, and what comes out of them."""

    def __init__(
        self,
        attention_layer_norm: ShiftedNorm,
        attention: GroupedAttention,
        attention_output_layer_norm: ShiftedNorm,
        feed_forward_layer_norm: ShiftedNorm,
        feed_forward: GatedFeedForward,
        feed_forward_output_layer_norm: ShiftedNorm,
    ) -> None:
        super().__init__()
        self.attention_layer_norm = attention_layer_norm
        self.attention = attention
        self.attention_output_layer_norm = attention_output_layer_norm
        self.feed_forward_layer_norm = feed_forward_layer_norm
        self.feed_forward = feed_forward
        self.feed_forward_output_layer_norm = feed_forward_output_layer_norm

    def __call__(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, D]."""
        attended = self.attention(self.attention_layer_norm(x), layout, training)
        x += self.attention_output_layer_norm(attended)
        fed = self.feed_forward(self.feed_forward_layer_norm(x), training)
        return x + self.feed_forward_output_layer_norm(fed)


_BLOCK = "layers.{layer}"
_NORMS = {
    "blocks.{layer}.attention_layer_norm": f"{_BLOCK}.input_layernorm",
    "blocks.{layer}.attention_output_layer_norm": f"{_BLOCK}.post_attention_layernorm",
    "blocks.{layer}.attention.query_layer_norm": f"{_BLOCK}.self_attn.q_norm",
    "blocks.{layer}.attention.key_layer_norm": f"{_BLOCK}.self_attn.k_norm",
    "blocks.{layer}.feed_forward_layer_norm": f"{_BLOCK}.pre_feedforward_layernorm",
    "blocks.{layer}.feed_forward_output_layer_norm": f"{_BLOCK}.post_feedforward_layernorm",
    "layer_norm": "norm",
}

TABLE = Table(
    rows=(
        *(row for row in llama.TABLE.rows if "norm" not in row.target),
        *(Row(f"{target}.shift", (f"{source}.weight",)) for target, source in _NORMS.items()),
    ),
    prefix=llama.TABLE.prefix,
    buffers=llama.TABLE.buffers,
)


def build(config: Gemma3TextConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, windows = config.hidden_size, config.windows
    ropes = {kind: config.rope(kind) for kind in (FULL, SLIDING)}
    rotary = {
        kind: Rotary(config.head_dim, rope.theta, rope.scaling) for kind, rope in ropes.items()
    }

    def layer_norm(width: int = width) -> ShiftedNorm:
        return ShiftedNorm(width, config.rms_norm_eps)

    def attention(kind: str) -> GroupedAttention:
        made = GroupedAttention(
            width,
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
            config.attention_dropout or 0.0,
            rotary[kind],
            windows[kind],
            config.attention_bias,
            config.attention_bias,
            layer_norm,
        )
        made.scale = config.query_pre_attn_scalar**-0.5
        return made

    def block(kind: str) -> SandwichBlock:
        inner, activated = config.intermediate_size, activation(config.hidden_activation)
        return SandwichBlock(
            layer_norm(),
            attention(kind),
            layer_norm(),
            layer_norm(),
            GatedFeedForward(width, inner, activated),
            layer_norm(),
        )

    return Encoder(
        config.dimensions,
        Embeddings(
            word=ScaledEmbedding(config.vocab_size, width, padding=config.pad_token_id),
            layer_norm=None,
            dropout=Dropout(0.0),
        ),
        [block(kind) for kind in config.kinds],
        layer_norm=layer_norm(),
        token=last_token,
    )


ARCHITECTURE = Architecture(("gemma3_text",), Gemma3TextConfig, build, TABLE)
