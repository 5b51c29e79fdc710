"""The text encoder of CLIP (https://arxiv.org/abs/2103.00020).

Every token sees those before it alone, so that the vector of the token which ends the text is that
of the text. It is found by its id: the first one of the row; or, as the first checkpoints have it
(an `eos_token_id` of 2), the highest id of the row. Padding is never it, whatever its id. Blocks
normalise their inputs; the output of the last block is normalised.
"""

import dataclasses
from typing import ClassVar

from encoders.core.architecture import Architecture
from encoders.core.attention.attention import SelfAttention
from encoders.core.attention.masks import Window
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PreNormBlock, blocks_of
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm
from encoders.core.config import Config, TokenId, at_least, check_heads
from encoders.core.encoder import Encoder
from encoders.core.layout.layout import TokenById
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table

HIGHEST = 2
"""The `eos_token_id` of checkpoints whose texts end with the highest id."""


@dataclasses.dataclass(frozen=True)
class ClipTextConfig(Config):
    """Options of `transformers.CLIPTextConfig` that change what is computed."""

    vocab_size: int = 49408
    hidden_size: int = 512
    intermediate_size: int = 2048
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    attention_dropout: float = 0.0
    pad_token_id: TokenId = 1
    eos_token_id: int = at_least(0, default=49407)

    # The projection is behind the encoder; `dropout` stands in older files, and nothing reads it.
    ignored: ClassVar = ("dropout", "initializer_factor", "projection_dim")

    @property
    def token(self) -> TokenById:
        """What takes the vector that stands for a text."""
        return TokenById(None if self.eos_token_id == HIGHEST else self.eos_token_id)

    def check(self) -> None:
        check_heads(self.hidden_size, self.num_attention_heads)


_BLOCK = "encoder.layers.{layer}"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.token_embedding"),
        *embedding("embeddings.position", "embeddings.position_embedding"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.layer_norm1"),
        *linear("blocks.{layer}.attention.query", f"{_BLOCK}.self_attn.q_proj"),
        *linear("blocks.{layer}.attention.key", f"{_BLOCK}.self_attn.k_proj"),
        *linear("blocks.{layer}.attention.value", f"{_BLOCK}.self_attn.v_proj"),
        *linear("blocks.{layer}.attention.output", f"{_BLOCK}.self_attn.out_proj"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.layer_norm2"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.mlp.fc1"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.mlp.fc2"),
        *norm("layer_norm", "final_layer_norm"),
    ),
    prefix="text_model.",
    buffers={r"embeddings\.position_ids": "counts positions, holds no weights"},
)


def build(config: ClipTextConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, epsilon = config.hidden_size, config.layer_norm_eps
    heads, dropout = config.num_attention_heads, config.attention_dropout
    causal, function = Window(ahead=0), activation(config.hidden_act)
    return Encoder(
        config.dimensions,
        Embeddings(
            word=Embedding(config.vocab_size, width),
            position=Embedding(config.max_position_embeddings, width),
            layer_norm=None,
            dropout=Dropout(0.0),
        ),
        blocks_of(
            PreNormBlock,
            config.num_hidden_layers,
            width,
            epsilon,
            0.0,
            lambda: SelfAttention(width, heads, dropout, window=causal),
            lambda: FeedForward(width, config.intermediate_size, function),
        ),
        layer_norm=LayerNorm(width, epsilon),
        token=config.token,
    )


ARCHITECTURE = Architecture(("clip_text_model",), ClipTextConfig, build, TABLE)
