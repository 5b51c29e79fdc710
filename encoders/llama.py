"""LLaMA (https://arxiv.org/abs/2302.13971): a causal decoder, here as an encoder of texts.

Every token sees those before it alone, so that the last one's vector is that of the text. Blocks
normalise their inputs, by root mean squares; the output of the last block is normalised.
Feed-forward layers are gated, positions rotary, keys and values shared by groups of heads. With
`is_causal: false`, tokens see the whole text. The family is that of Mistral, Qwen and EuroBERT.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from encoders.core.architecture import Architecture
from encoders.core.attention import rope_scaling
from encoders.core.attention.grouped import GroupedAttention
from encoders.core.attention.masks import Window, decoder_window
from encoders.core.attention.rope_scaling import Rope
from encoders.core.attention.rotary import Rotary, check_head_width
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import GatedFeedForward, PreNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, RMSNorm
from encoders.core.config import Config, TokenId, at_least, check_groups, check_heads, check_padding
from encoders.core.encoder import Encoder, TokenOfRow
from encoders.core.layout.layout import last_token
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class LlamaConfig(Config):
    """Options of `transformers.LlamaConfig` that change what is computed."""

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    attention_bias: bool = False
    attention_dropout: float = 0.0
    mlp_bias: bool = False
    is_causal: bool = True
    rope_parameters: dict[str, Any] | None = None
    pad_token_id: TokenId = None
    # Before `transformers` 5, for `rope_parameters`.
    rope_theta: float = at_least(1, default=10_000.0)
    rope_scaling: dict[str, Any] | None = None

    # Where models of both directions came with code of their own; `transformers` says `is_causal`.
    fixed: ClassVar[Mapping[str, Any]] = {"use_bidirectional_attention": False}
    # `transformers` 5 does not read it any longer; it never changed but roundings.
    ignored: ClassVar[tuple[str, ...]] = ("pretraining_tp",)

    @property
    def groups(self) -> int:
        """G, the number of heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_width(self) -> int:
        """K, the width of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def biases(self) -> tuple[bool, bool]:
        """Whether query, key and value have biases, and whether the attention's output has."""
        return self.attention_bias, self.attention_bias

    @property
    def rope(self) -> Rope:
        """What RoPE turns by."""
        option = "rope_scaling" if self.rope_scaling else "rope_parameters"
        given = getattr(self, option) or {}
        return rope_scaling.read(given, self.rope_theta, self.max_position_embeddings, option)

    @property
    def windows(self) -> list[Window]:
        """Which keys a query of each layer attends to."""
        return [decoder_window(None, self.is_causal)] * self.num_hidden_layers

    def check(self) -> None:
        if self.head_dim is None:
            check_heads(self.hidden_size, self.num_attention_heads)
        check_groups(self.num_attention_heads, self.groups)
        check_head_width(self.head_width)
        check_padding(self.pad_token_id, self.vocab_size)
        _ = self.rope, self.windows


_BLOCK = "layers.{layer}"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embed_tokens"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.input_layernorm"),
        *linear("blocks.{layer}.attention.query", f"{_BLOCK}.self_attn.q_proj"),
        *linear("blocks.{layer}.attention.key", f"{_BLOCK}.self_attn.k_proj"),
        *linear("blocks.{layer}.attention.value", f"{_BLOCK}.self_attn.v_proj"),
        *linear("blocks.{layer}.attention.output", f"{_BLOCK}.self_attn.o_proj"),
        *norm("blocks.{layer}.attention.query_layer_norm", f"{_BLOCK}.self_attn.q_norm"),
        *norm("blocks.{layer}.attention.key_layer_norm", f"{_BLOCK}.self_attn.k_norm"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.post_attention_layernorm"),
        *linear("blocks.{layer}.feed_forward.gate", f"{_BLOCK}.mlp.gate_proj"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.mlp.up_proj"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.mlp.down_proj"),
        *norm("layer_norm", "norm"),
    ),
    prefix="model.",
    buffers={r"(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq": "turns positions, is no weight"},
)


def build(
    config: LlamaConfig,
    token: TokenOfRow = last_token,
    head_norm: Callable[[int], RMSNorm] | None = None,
) -> Encoder:
    """The encoder, its variables declared.

    Args:
        config: its options.
        token: takes the vector of one token of each row.
        head_norm: what normalises the queries and keys of each head; None for nothing.
    """
    width = config.hidden_size
    rotary = Rotary(config.head_width, config.rope.theta, config.rope.scaling)

    def layer_norm() -> RMSNorm:
        return RMSNorm(width, config.rms_norm_eps)

    def block(window: Window) -> PreNormBlock:
        return PreNormBlock(
            layer_norm(),
            GroupedAttention(
                width,
                config.num_attention_heads,
                config.groups,
                config.head_width,
                config.attention_dropout,
                rotary,
                window,
                *config.biases,
                head_norm,
            ),
            Dropout(0.0),
            layer_norm(),
            GatedFeedForward(
                width, config.intermediate_size, activation(config.hidden_act), config.mlp_bias
            ),
        )

    return Encoder(
        config.dimensions,
        Embeddings(
            word=Embedding(config.vocab_size, width, padding=config.pad_token_id),
            layer_norm=None,
            dropout=Dropout(0.0),
        ),
        [block(window) for window in config.windows],
        layer_norm=layer_norm(),
        token=token,
    )


ARCHITECTURE = Architecture(("llama",), LlamaConfig, build, TABLE)
