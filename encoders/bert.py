"""BERT (https://arxiv.org/abs/1810.04805): the reference of this package.

Word, position and type embeddings; post-norm blocks; a tanh pooler over the first token, which
checkpoints saved from a masked language model lack.
"""

import dataclasses
from typing import ClassVar

from encoders.core.activations import activation
from encoders.core.architecture import Architecture
from encoders.core.attention import SelfAttention
from encoders.core.blocks import FeedForward, PostNormBlock
from encoders.core.config import Config, Dimensions, check_heads
from encoders.core.embeddings import Embeddings
from encoders.core.encoder import Encoder, Pooler
from encoders.core.layers import Dropout, Embedding, LayerNorm
from encoders.core.weights import Table, embedding, linear, norm


@dataclasses.dataclass(frozen=True)
class BertConfig(Config):
    """Options of `transformers.BertConfig` that change what is computed."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12

    fixed: ClassVar = {"position_embedding_type": "absolute"}
    # The pooler_* options and `directionality` come with Google's multilingual checkpoints.
    ignored: ClassVar = (
        "classifier_dropout",
        "directionality",
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
    )

    def check(self) -> None:
        check_heads(self.hidden_size, self.num_attention_heads)


_BLOCK = "encoder.layer.{layer}"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.word_embeddings"),
        *embedding("embeddings.position", "embeddings.position_embeddings"),
        *embedding("embeddings.type", "embeddings.token_type_embeddings"),
        *norm("embeddings.norm", "embeddings.LayerNorm"),
        *linear("blocks.{layer}.attention.query", f"{_BLOCK}.attention.self.query"),
        *linear("blocks.{layer}.attention.key", f"{_BLOCK}.attention.self.key"),
        *linear("blocks.{layer}.attention.value", f"{_BLOCK}.attention.self.value"),
        *linear("blocks.{layer}.attention.output", f"{_BLOCK}.attention.output.dense"),
        *norm("blocks.{layer}.attention_norm", f"{_BLOCK}.attention.output.LayerNorm"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.intermediate.dense"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.output.dense"),
        *norm("blocks.{layer}.feed_forward_norm", f"{_BLOCK}.output.LayerNorm"),
        *linear("pooler.dense", "pooler.dense", optional="pooler"),
    ),
    prefix="bert.",
    buffers={r"embeddings\.(position_ids|token_type_ids)": "counts positions, holds no weights"},
)


def build(config: BertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, epsilon = config.hidden_size, config.layer_norm_eps
    dropout = config.hidden_dropout_prob

    def block() -> PostNormBlock:
        return PostNormBlock(
            SelfAttention(width, config.num_attention_heads, config.attention_probs_dropout_prob),
            Dropout(dropout),
            LayerNorm(width, epsilon),
            FeedForward(width, config.intermediate_size, activation(config.hidden_act)),
            Dropout(dropout),
            LayerNorm(width, epsilon),
        )

    return Encoder(
        Dimensions(
            layers=config.num_hidden_layers,
            width=width,
            heads=config.num_attention_heads,
            vocabulary=config.vocab_size,
            positions=config.max_position_embeddings,
            types=config.type_vocab_size,
        ),
        Embeddings(
            word=Embedding(config.vocab_size, width),
            position=Embedding(config.max_position_embeddings, width),
            type=Embedding(config.type_vocab_size, width),
            norm=LayerNorm(width, epsilon),
            dropout=Dropout(dropout),
        ),
        [block() for _ in range(config.num_hidden_layers)],
        Pooler(width),
    )


ARCHITECTURE = Architecture(("bert",), BertConfig, build, TABLE)
