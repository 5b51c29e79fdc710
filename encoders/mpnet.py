"""MPNet (https://arxiv.org/abs/2004.09297): BERT with relative positions besides the absolute ones.

A learned bias for each head and bucket of distances (T5's, https://arxiv.org/abs/1910.10683) is
added to the attention scores of every block. Positions are counted as in RoBERTa. There are no
token types.

`transformers` reads neither `pad_token_id` nor `relative_attention_num_buckets` in the forward
pass: padding is 1, and there are 32 buckets, whatever a config says.
"""

import dataclasses
from typing import ClassVar

from encoders.core.architecture import Architecture
from encoders.core.attention.attention import SelfAttention
from encoders.core.attention.relative import RelativeBias
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PostNormBlock, blocks_of
from encoders.core.blocks.embeddings import Embeddings, after_padding
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm
from encoders.core.config import Config, check_heads
from encoders.core.encoder import Encoder, Pooler
from encoders.core.errors import ConfigError
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table

PADDING, BUCKETS = 1, 32


@dataclasses.dataclass(frozen=True)
class MPNetConfig(Config):
    """Options of `transformers.MPNetConfig` that change what is computed."""

    vocab_size: int = 30527
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    layer_norm_eps: float = 1e-12
    relative_attention_num_buckets: int = 32

    sizes: ClassVar = {"positions": "positions", "padding": "padding"}

    @property
    def padding(self) -> int:
        """The padding id, which is no option."""
        return PADDING

    @property
    def positions(self) -> int:
        """How many tokens the position table has a row for."""
        return self.max_position_embeddings - PADDING - 1

    def check(self) -> None:
        check_heads(self.hidden_size, self.num_attention_heads)
        if self.relative_attention_num_buckets < BUCKETS:
            raise ConfigError(
                f"relative_attention_num_buckets: expected {BUCKETS} or more, which are used, "
                f"found {self.relative_attention_num_buckets}"
            )
        if self.positions < 1:
            raise ConfigError(
                f"max_position_embeddings: expected more than {PADDING + 1}, "
                f"found {self.max_position_embeddings}"
            )


_BLOCK = "encoder.layer.{layer}"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.word_embeddings"),
        *embedding("embeddings.position", "embeddings.position_embeddings"),
        *norm("embeddings.layer_norm", "embeddings.LayerNorm"),
        *embedding("added_scores.buckets", "encoder.relative_attention_bias"),
        *linear("blocks.{layer}.attention.query", f"{_BLOCK}.attention.attn.q"),
        *linear("blocks.{layer}.attention.key", f"{_BLOCK}.attention.attn.k"),
        *linear("blocks.{layer}.attention.value", f"{_BLOCK}.attention.attn.v"),
        *linear("blocks.{layer}.attention.output", f"{_BLOCK}.attention.attn.o"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.attention.LayerNorm"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.intermediate.dense"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.output.dense"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.output.LayerNorm"),
        *linear("pooler.dense", "pooler.dense", optional="pooler"),
    ),
    prefix="mpnet.",
    buffers={r"embeddings\.position_ids": "counts positions, holds no weights"},
)


def build(config: MPNetConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, heads, epsilon = config.hidden_size, config.num_attention_heads, config.layer_norm_eps
    return Encoder(
        config.dimensions,
        Embeddings(
            word=Embedding(config.vocab_size, width, padding=PADDING),
            position=Embedding(config.max_position_embeddings, width, padding=PADDING),
            places=after_padding(PADDING),
            layer_norm=LayerNorm(width, epsilon),
            dropout=Dropout(config.hidden_dropout_prob),
        ),
        blocks_of(
            PostNormBlock,
            config.num_hidden_layers,
            width,
            epsilon,
            config.hidden_dropout_prob,
            lambda: SelfAttention(width, heads, config.attention_probs_dropout_prob),
            lambda: FeedForward(width, config.intermediate_size, activation(config.hidden_act)),
        ),
        Pooler(width),
        RelativeBias(config.relative_attention_num_buckets, heads, BUCKETS),
    )


ARCHITECTURE = Architecture(("mpnet",), MPNetConfig, build, TABLE)
