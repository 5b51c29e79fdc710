"""Jina BERT of Jina Embeddings 2 (https://arxiv.org/abs/2310.19923): BERT with ALiBi.

There are no absolute positions: scores fall with the distance of two tokens. The other part of a
block is gated; one dense layer makes both of its inputs, of which the first half is activated.
Folders say `bert` as their `model_type`, with ALiBi as `position_embedding_type`.
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from encoders import bert, gte
from encoders.core.architecture import Architecture
from encoders.core.attention.relative import LinearBias
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.encoder import Blocks, Encoder, Pooler
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class JinaBertConfig(bert.BertConfig):
    """Options that change what is computed, with the names that the checkpoints give them."""

    max_position_embeddings: int = 8192

    fixed: ClassVar = {"position_embedding_type": "alibi", "feed_forward_type": "geglu"}
    # `emb_pooler` and `attn_implementation` are about how the published code makes vectors.
    ignored: ClassVar = (*bert.BertConfig.ignored, "attn_implementation", "emb_pooler")

    def check(self) -> None:
        super().check()
        bert.check_gelu(self)


class FeedForward(gte.FeedForward):
    """A gated feed-forward part with one dense layer for both, whose first half is activated."""

    def both(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N, D] -> what is activated and what it is multiplied by, each [N, F]."""
        second, first = super().both(x)
        return first, second


_BLOCK = "encoder.layer.{layer}"

EMBEDDING_ROWS = (
    *embedding("embeddings.word", "embeddings.word_embeddings"),
    *embedding("embeddings.type", "embeddings.token_type_embeddings"),
    *norm("embeddings.layer_norm", "embeddings.LayerNorm"),
)
TABLE = Table(
    rows=(
        *EMBEDDING_ROWS,
        *bert.ATTENTION_ROWS,
        *bert.ATTENTION_NORM_ROWS,
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.mlp.gated_layers"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.mlp.wo"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.mlp.layernorm"),
        *bert.POOLER_ROWS,
    ),
    prefix=bert.TABLE.prefix,
    buffers=bert.TABLE.buffers,
)


def encoder(config: JinaBertConfig, blocks: Blocks) -> Encoder:
    """An encoder of these blocks, its variables declared."""
    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings, position=None),
        blocks,
        Pooler(config.hidden_size),
        added_scores=LinearBias(config.num_attention_heads),
    )


def build(config: JinaBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, inner = config.hidden_size, config.intermediate_size
    function, dropout = activation(config.hidden_act), config.hidden_dropout_prob
    blocks = bert.blocks(
        config,
        PostNormBlock,
        feed_forward=lambda: FeedForward(width, inner, function, dropout),
        feed_forward_dropout=0.0,
    )
    return encoder(config, blocks)


ARCHITECTURE = Architecture(("jina_bert",), JinaBertConfig, build, TABLE, reference="")
