"""GTE (https://arxiv.org/abs/2407.19669): BERT with rotary positions and gated layers.

There are no absolute positions, and there may be no token types. The gated part of a block has one
dense layer for both of its inputs, whose second half is activated. There is no pooler. Folders of
the version 1.5 say `new` as their `model_type`; their tensors have the names below.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import tensorflow as tf

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.attention import rope_scaling
from encoders.core.attention.rope_scaling import Rope
from encoders.core.attention.rotary import Rotary, RotaryAttention, check_rotary
from encoders.core.blocks.activations import Activation, activation
from encoders.core.blocks.blocks import Gated, PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Embedding, Linear
from encoders.core.config import TokenId, at_least
from encoders.core.encoder import Encoder
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class GteConfig(bert.BertConfig):
    """Options of `transformers.GteConfig` that change what is computed."""

    vocab_size: int = 250048
    attention_probs_dropout_prob: float = 0.0
    max_position_embeddings: int = 8192
    type_vocab_size: int = at_least(0, default=1)
    rope_parameters: dict[str, Any] | None = None
    pad_token_id: TokenId = 1

    usual_theta: ClassVar[float] = 160_000.0

    @property
    def rope(self) -> Rope:
        """What RoPE turns by."""
        given, positions = self.rope_parameters or {}, self.max_position_embeddings
        return rope_scaling.read(given, self.usual_theta, positions, "rope_parameters")

    def check(self) -> None:
        super().check()
        check_rotary(self.hidden_size, self.num_attention_heads)
        _ = self.rope


class FeedForward(Gated):
    """A gated feed-forward part with one dense layer for both, whose second half is activated."""

    def __init__(self, width: int, inner: int, activation: Activation, dropout: float) -> None:
        super().__init__(width, inner, activation, True, dropout)
        self.inner = Linear(width, 2 * inner, bias=False)

    def both(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N, D] -> what is activated and what it is multiplied by, each [N, F]."""
        other, activated = tf.split(self.inner.narrow(x), 2, axis=-1)
        return activated, other


_BLOCK = "encoder.layer.{layer}"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.word_embeddings"),
        *embedding("embeddings.type", "embeddings.token_type_embeddings"),
        *norm("embeddings.layer_norm", "embeddings.LayerNorm"),
        *linear("blocks.{layer}.attention.input", f"{_BLOCK}.attention.qkv_proj"),
        *linear("blocks.{layer}.attention.output", f"{_BLOCK}.attention.o_proj"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.attn_ln"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.mlp.up_gate_proj"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.mlp.down_proj"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.mlp_ln"),
    ),
    prefix="gte.",
    buffers={r"pooler\..*": "of a classifier alone"},
)


def attentions(config: GteConfig) -> Callable[[], RotaryAttention]:
    """Makes the attention of a block, whose rotation they share."""
    width, heads = config.hidden_size, config.num_attention_heads
    dropout, rope = config.attention_probs_dropout_prob, config.rope
    rotary = Rotary(width // heads, rope.theta, rope.scaling)
    return lambda: RotaryAttention(width, heads, dropout, rotary, bias=True)


def build(config: GteConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, inner, types = config.hidden_size, config.intermediate_size, config.type_vocab_size
    function, dropout = activation(config.hidden_act), config.hidden_dropout_prob
    type = Embedding(types, width) if types else None
    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings, position=None, type=type),
        bert.blocks(
            config,
            PostNormBlock,
            attentions(config),
            lambda: FeedForward(width, inner, function, dropout),
        ),
    )


ARCHITECTURE = Architecture(("gte",), GteConfig, build, TABLE)
