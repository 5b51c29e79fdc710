"""ModernBERT (https://arxiv.org/abs/2412.13663): rotary positions, mostly local attention.

Blocks normalise their inputs, the first one's being normalised by the embeddings; the output of
the last block is normalised. Feed-forward layers are gated. There are neither absolute positions
nor token types, nor biases by default. Some layers attend to all tokens, the others to a window.
"""

import dataclasses
from typing import Any, ClassVar

import tensorflow as tf

from encoders.core.architecture import Architecture
from encoders.core.attention.masks import FULL, SLIDING, Window
from encoders.core.attention.rotary import Rotary, RotaryAttention, check_rotary, theta
from encoders.core.blocks.activations import Activation, activation
from encoders.core.blocks.blocks import Gated, PreNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm, Linear
from encoders.core.config import Config, TokenId, at_least, check_kinds, check_padding
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table

GLOBAL, LOCAL = FULL, SLIDING


@dataclasses.dataclass(frozen=True)
class ModernBertConfig(Config):
    """Options of `transformers.ModernBertConfig` that change what is computed."""

    vocab_size: int = 50368
    hidden_size: int = 768
    intermediate_size: int = 1152
    num_hidden_layers: int = 22
    num_attention_heads: int = 12
    hidden_activation: str = "gelu"
    max_position_embeddings: int = 8192
    norm_eps: float = 1e-5
    norm_bias: bool = False
    attention_bias: bool = False
    attention_dropout: float = 0.0
    layer_types: list[str] | None = None
    rope_parameters: dict[str, Any] | None = None
    local_attention: int = 128
    embedding_dropout: float = 0.0
    mlp_bias: bool = False
    mlp_dropout: float = 0.0
    pad_token_id: TokenId = 50283
    # Before `transformers` 5, for `layer_types` and `rope_parameters`.
    global_attn_every_n_layers: int = 3
    global_rope_theta: float = at_least(1, default=160_000.0)
    local_rope_theta: float = at_least(1, default=10_000.0)

    fixed: ClassVar = {"rope_scaling": None}
    ignored: ClassVar = (
        "classifier_activation",
        "classifier_bias",
        "classifier_dropout",
        "classifier_pooling",
        "decoder_bias",
        "deterministic_flash_attn",
        "initializer_cutoff_factor",
        "reference_compile",
        "sparse_pred_ignore_index",
        "sparse_prediction",
    )

    @property
    def kinds(self) -> list[str]:
        """Whether each layer is GLOBAL or LOCAL."""
        every = self.global_attn_every_n_layers
        cycle = [LOCAL if layer % every else GLOBAL for layer in range(self.num_hidden_layers)]
        return self.layer_types or cycle

    def theta(self, kind: str) -> float:
        """The base of the wavelengths in layers of this kind."""
        default = self.global_rope_theta if kind == GLOBAL else self.local_rope_theta
        given = (self.rope_parameters or {}).get(kind) or {}
        return theta(given, default, f"rope_parameters.{kind}")

    def check(self) -> None:
        check_rotary(self.hidden_size, self.num_attention_heads)
        check_padding(self.pad_token_id, self.vocab_size)
        check_kinds(self.kinds, (GLOBAL, LOCAL), self.num_hidden_layers)
        if unknown := (self.rope_parameters or {}).keys() - {GLOBAL, LOCAL}:
            raise ConfigError(f"rope_parameters: unknown kinds of layers {sorted(unknown)}")


class LocalAttention(RotaryAttention):
    """Attention within a window."""

    def __init__(
        self, width: int, heads: int, dropout: float, rotary: Rotary, bias: bool, window: Window
    ) -> None:
        super().__init__(width, heads, dropout, rotary, bias)
        self.window = window


class JointFeedForward(Gated):
    """A gated feed-forward part with one dense layer for both, whose first half is activated."""

    def __init__(
        self, width: int, inner: int, activation: Activation, bias: bool, dropout: float
    ) -> None:
        super().__init__(width, inner, activation, bias, dropout)
        self.inner = Linear(width, 2 * inner, bias)

    def both(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N, D] -> what is activated and what it is multiplied by, each [N, F]."""
        activated, other = tf.split(self.inner.narrow(x), 2, axis=-1)
        return activated, other


_BLOCK = "layers.{layer}"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.tok_embeddings"),
        *norm("embeddings.layer_norm", "embeddings.norm"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.attn_norm"),
        *linear("blocks.{layer}.attention.input", f"{_BLOCK}.attn.Wqkv"),
        *linear("blocks.{layer}.attention.output", f"{_BLOCK}.attn.Wo"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.mlp_norm"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.mlp.Wi"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.mlp.Wo"),
        *norm("layer_norm", "final_norm"),
    ),
    prefix="model.",
    buffers={},
)


def build(config: ModernBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, heads = config.hidden_size, config.num_attention_heads
    rotary = {kind: Rotary(width // heads, config.theta(kind)) for kind in (GLOBAL, LOCAL)}
    reach = config.local_attention // 2
    window = Window(behind=reach, ahead=reach)

    def layer_norm() -> LayerNorm:
        return LayerNorm(width, config.norm_eps, beta=config.norm_bias)

    def attention(kind: str) -> RotaryAttention:
        sizes = width, heads, config.attention_dropout, rotary[kind], config.attention_bias
        return RotaryAttention(*sizes) if kind == GLOBAL else LocalAttention(*sizes, window)

    def block(layer: int, kind: str) -> PreNormBlock:
        return PreNormBlock(
            layer_norm() if layer else None,
            attention(kind),
            Dropout(config.attention_dropout),
            layer_norm(),
            JointFeedForward(
                width,
                config.intermediate_size,
                activation(config.hidden_activation),
                config.mlp_bias,
                config.mlp_dropout,
            ),
        )

    return Encoder(
        config.dimensions,
        Embeddings(
            word=Embedding(config.vocab_size, width, padding=config.pad_token_id),
            layer_norm=layer_norm(),
            dropout=Dropout(config.embedding_dropout),
        ),
        [block(layer, kind) for layer, kind in enumerate(config.kinds)],
        layer_norm=layer_norm(),
    )


ARCHITECTURE = Architecture(("modernbert",), ModernBertConfig, build, TABLE)
