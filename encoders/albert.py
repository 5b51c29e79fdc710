"""ALBERT (https://arxiv.org/abs/1909.11942): BERT with few parameters.

The embeddings are narrow (E) and projected to the hidden width (D), and the layers share their
weights: a layer runs one of a few *groups*, and consecutive layers run the same one. A group is one
block, or some (`inner_group_num`) in a row. `Encoded.layers` has one entry a layer, the output of
its group's last block. There is no dropout after the feed-forward part.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import tensorflow as tf

from encoders.core.architecture import Architecture
from encoders.core.attention.attention import SelfAttention
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm, Linear
from encoders.core.config import Config, TokenId, check_heads, check_padding
from encoders.core.encoder import Encoder, Pooler
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class AlbertConfig(Config):
    """Options of `transformers.AlbertConfig` that change what is computed."""

    vocab_size: int = 30000
    embedding_size: int = 128
    hidden_size: int = 4096
    num_hidden_layers: int = 12
    num_hidden_groups: int = 1
    num_attention_heads: int = 64
    intermediate_size: int = 16384
    inner_group_num: int = 1
    hidden_act: str = "gelu_new"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    pad_token_id: TokenId = 0

    fixed: ClassVar = {"position_embedding_type": "absolute"}
    # All but the first come with Google's checkpoints, and no implementation reads them.
    ignored: ClassVar = (
        "classifier_dropout_prob",
        "down_scale_factor",
        "gap_size",
        "layers_to_keep",
        "net_structure_type",
        "num_memory_blocks",
    )

    def check(self) -> None:
        check_heads(self.hidden_size, self.num_attention_heads)
        check_padding(self.pad_token_id, self.vocab_size)
        if self.num_hidden_groups > self.num_hidden_layers:
            raise ConfigError(
                f"{self.num_hidden_groups} hidden groups for {self.num_hidden_layers} layers: "
                "some would never be used"
            )


class Group(tf.Module):
    """Blocks in a row, as one."""

    def __init__(self, blocks: list[PostNormBlock]) -> None:
        super().__init__()
        self.blocks = blocks

    def __call__(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, D]."""
        for block in self.blocks:
            x = block(x, layout, training)
        return x


class SharedBlocks(tf.Module):
    """Few groups that stand for many layers."""

    def __init__(self, groups: list[Group], layers: int) -> None:
        super().__init__()
        self.groups = groups
        self.layers = layers

    def __iter__(self) -> Iterator[Group]:
        """The group of every layer.

        >>> list(SharedBlocks(["a", "b"], layers=5))
        ['a', 'a', 'a', 'b', 'b']
        """
        # Divided in floating point, as `transformers` does: 18 layers in 14 groups show it.
        size = self.layers / len(self.groups)
        for layer in range(self.layers):
            yield self.groups[int(layer / size)]


_GROUP = "encoder.albert_layer_groups.{group}.albert_layers.{block}"
_BLOCK = "blocks.groups.{group}.blocks.{block}"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.word_embeddings"),
        *embedding("embeddings.position", "embeddings.position_embeddings"),
        *embedding("embeddings.type", "embeddings.token_type_embeddings"),
        *norm("embeddings.layer_norm", "embeddings.LayerNorm"),
        *linear("embeddings.projection", "encoder.embedding_hidden_mapping_in"),
        *linear(f"{_BLOCK}.attention.query", f"{_GROUP}.attention.query"),
        *linear(f"{_BLOCK}.attention.key", f"{_GROUP}.attention.key"),
        *linear(f"{_BLOCK}.attention.value", f"{_GROUP}.attention.value"),
        *linear(f"{_BLOCK}.attention.output", f"{_GROUP}.attention.dense"),
        *norm(f"{_BLOCK}.attention_layer_norm", f"{_GROUP}.attention.LayerNorm"),
        *linear(f"{_BLOCK}.feed_forward.inner", f"{_GROUP}.ffn"),
        *linear(f"{_BLOCK}.feed_forward.output", f"{_GROUP}.ffn_output"),
        *norm(f"{_BLOCK}.feed_forward_layer_norm", f"{_GROUP}.full_layer_layer_norm"),
        *linear("pooler.dense", "pooler", optional="pooler"),
    ),
    prefix="albert.",
    buffers={r"embeddings\.(position_ids|token_type_ids)": "counts positions, holds no weights"},
)


def build(config: AlbertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, narrow, epsilon = config.hidden_size, config.embedding_size, config.layer_norm_eps
    dropout = config.hidden_dropout_prob

    def block() -> PostNormBlock:
        return PostNormBlock(
            SelfAttention(width, config.num_attention_heads, config.attention_probs_dropout_prob),
            Dropout(dropout),
            LayerNorm(width, epsilon),
            FeedForward(width, config.intermediate_size, activation(config.hidden_act)),
            Dropout(0.0),
            LayerNorm(width, epsilon),
        )

    groups = [
        Group([block() for _ in range(config.inner_group_num)])
        for _ in range(config.num_hidden_groups)
    ]
    return Encoder(
        config.dimensions,
        Embeddings(
            word=Embedding(config.vocab_size, narrow, padding=config.pad_token_id),
            position=Embedding(config.max_position_embeddings, narrow),
            type=Embedding(config.type_vocab_size, narrow),
            layer_norm=LayerNorm(narrow, epsilon),
            dropout=Dropout(dropout),
            projection=Linear(narrow, width),
        ),
        SharedBlocks(groups, config.num_hidden_layers),
        Pooler(width),
    )


ARCHITECTURE = Architecture(("albert",), AlbertConfig, build, TABLE)
