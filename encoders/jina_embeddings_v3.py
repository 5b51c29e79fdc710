"""Jina Embeddings v3 (https://arxiv.org/abs/2409.10173): XLM-RoBERTa with rotary positions.

There are no absolute positions. The LoRA adapters of its tasks are no part of the encoder: one is
merged before, or none.
"""

import dataclasses
from typing import ClassVar

from encoders import bert, gte
from encoders.core.architecture import Architecture
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.encoder import Encoder, Pooler
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class JinaEmbeddingsV3Config(gte.GteConfig):
    """Options of `transformers.JinaEmbeddingsV3Config` that change what is computed."""

    vocab_size: int = 250002
    hidden_size: int = 1024
    attention_probs_dropout_prob: float = 0.1
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096
    max_position_embeddings: int = 8194
    type_vocab_size: int = 1
    layer_norm_eps: float = 1e-5

    ignored: ClassVar = ("classifier_dropout",)
    usual_theta: ClassVar[float] = 20_000.0


_BLOCK = "encoder.layers.{layer}"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.word_embeddings"),
        *embedding("embeddings.type", "embeddings.token_type_embeddings"),
        *norm("embeddings.layer_norm", "emb_ln"),
        *linear("blocks.{layer}.attention.input", f"{_BLOCK}.mixer.Wqkv"),
        *linear("blocks.{layer}.attention.output", f"{_BLOCK}.mixer.out_proj"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.norm1"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.mlp.fc1"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.mlp.fc2"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.norm2"),
        *bert.POOLER_ROWS,
    ),
    prefix="roberta.",
    buffers=bert.TABLE.buffers,
)


def build(config: JinaEmbeddingsV3Config) -> Encoder:
    """The encoder, its variables declared."""
    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings, position=None),
        bert.blocks(config, PostNormBlock, gte.attentions(config)),
        Pooler(config.hidden_size),
    )


ARCHITECTURE = Architecture(("jina_embeddings_v3",), JinaEmbeddingsV3Config, build, TABLE)
