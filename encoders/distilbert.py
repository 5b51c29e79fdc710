"""DistilBERT (https://arxiv.org/abs/1910.01108): BERT without token types and without a pooler.

Attention has no dropout on its output, and the layer norms' epsilon is not an option. Where the
positions are sinusoidal, their table stays as it is in training.
"""

import dataclasses
from typing import ClassVar

from encoders.core.architecture import Architecture
from encoders.core.attention.attention import SelfAttention
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm
from encoders.core.config import Config, TokenId, check_heads, check_padding
from encoders.core.encoder import Encoder
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table

EPSILON = 1e-12


@dataclasses.dataclass(frozen=True)
class DistilBertConfig(Config):
    """Options of `transformers.DistilBertConfig` that change what is computed."""

    vocab_size: int = 30522
    max_position_embeddings: int = 512
    sinusoidal_pos_embds: bool = False
    n_layers: int = 6
    n_heads: int = 12
    dim: int = 768
    hidden_dim: int = 3072
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation: str = "gelu"
    pad_token_id: TokenId = 0

    sizes: ClassVar = {"layers": "n_layers", "width": "dim", "heads": "n_heads"}
    ignored: ClassVar = ("qa_dropout", "seq_classif_dropout")

    def check(self) -> None:
        check_heads(self.dim, self.n_heads)
        check_padding(self.pad_token_id, self.vocab_size)


_BLOCK = "transformer.layer.{layer}"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.word_embeddings"),
        *embedding("embeddings.position", "embeddings.position_embeddings"),
        *norm("embeddings.layer_norm", "embeddings.LayerNorm"),
        *linear("blocks.{layer}.attention.query", f"{_BLOCK}.attention.q_lin"),
        *linear("blocks.{layer}.attention.key", f"{_BLOCK}.attention.k_lin"),
        *linear("blocks.{layer}.attention.value", f"{_BLOCK}.attention.v_lin"),
        *linear("blocks.{layer}.attention.output", f"{_BLOCK}.attention.out_lin"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.sa_layer_norm"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.ffn.lin1"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.ffn.lin2"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.output_layer_norm"),
    ),
    prefix="distilbert.",
    buffers={r"embeddings\.position_ids": "counts positions, holds no weights"},
)


def build(config: DistilBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width = config.dim

    def block() -> PostNormBlock:
        return PostNormBlock(
            SelfAttention(width, config.n_heads, config.attention_dropout),
            Dropout(0.0),
            LayerNorm(width, EPSILON),
            FeedForward(width, config.hidden_dim, activation(config.activation)),
            Dropout(config.dropout),
            LayerNorm(width, EPSILON),
        )

    return Encoder(
        config.dimensions,
        Embeddings(
            word=Embedding(config.vocab_size, width, padding=config.pad_token_id),
            position=Embedding(
                config.max_position_embeddings, width, trainable=not config.sinusoidal_pos_embds
            ),
            layer_norm=LayerNorm(width, EPSILON),
            dropout=Dropout(config.dropout),
        ),
        [block() for _ in range(config.n_layers)],
    )


ARCHITECTURE = Architecture(("distilbert",), DistilBertConfig, build, TABLE)
