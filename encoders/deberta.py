"""DeBERTa (https://arxiv.org/abs/2006.03654): BERT with disentangled attention.

Positions are distances between tokens (`core/attention/disentangled.py`); embeddings of absolute
positions and of types are options. Query, key and value are one dense layer, ordered head by head,
with a bias for query and value only.
"""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from encoders.core.architecture import Architecture
from encoders.core.attention.attention import Projected
from encoders.core.attention.disentangled import DisentangledAttention, Distances, MaskedEmbeddings
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PostNormBlock
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm, Linear
from encoders.core.config import Config, TokenId, at_least, check_heads, check_padding
from encoders.core.declared import declare
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout
from encoders.core.rows import Row, embedding, linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class DebertaConfig(Config):
    """Options of `transformers.DebertaConfig` that change what is computed.

    The model also reads `embedding_size`, which its config class does not declare.
    """

    vocab_size: int = 50265
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = at_least(0, default=0)
    layer_norm_eps: float = 1e-7
    relative_attention: bool = False
    max_relative_positions: int = at_least(-1, default=-1)
    position_biased_input: bool = True
    pos_att_type: str | list[str] | None = None
    pad_token_id: TokenId = 0
    embedding_size: int | None = at_least(1, default=None)

    fixed: ClassVar = {"talking_head": False}
    # The pooler belongs to the classification head.
    ignored: ClassVar = (
        "cls_dropout",
        "legacy",
        "pooler_dropout",
        "pooler_hidden_act",
        "pooler_hidden_size",
    )

    def check(self) -> None:
        check_heads(self.hidden_size, self.num_attention_heads)
        check_padding(self.pad_token_id, self.vocab_size)
        if sorted(self.terms) not in ([], ["c2p"], ["p2c"], ["c2p", "p2c"]):
            raise ConfigError(f"pos_att_type: expected c2p, p2c or both, found {self.pos_att_type}")

    @property
    def terms(self) -> list[str]:
        """The terms of disentangled attention, of `c2p` and `p2c`."""
        found = self.pos_att_type or []
        return found if isinstance(found, list) else [x.strip() for x in found.lower().split("|")]

    @property
    def longest(self) -> int:
        """Where distances end: the table of distances has rows for -longest ... longest - 1."""
        given = self.max_relative_positions
        return given if given > 0 else self.max_position_embeddings


class Attention(DisentangledAttention):
    """Disentangled attention with one dense layer for query, key and value."""

    query_bias: tf.Variable
    value_bias: tf.Variable

    def __init__(self, config: DebertaConfig, distances: Distances | None) -> None:
        width = config.hidden_size
        super().__init__(
            width,
            config.num_attention_heads,
            config.attention_probs_dropout_prob,
            len(config.terms),
            distances,
            Dropout(config.hidden_dropout_prob),
        )
        self.input = Linear(width, 3 * width, bias=False)
        self.query_bias = declare(width)
        self.value_bias = declare(width)
        terms = config.terms if distances else []
        self.position_key = Linear(width, width, bias=False) if "c2p" in terms else None
        self.position_query = Linear(width, width) if "p2c" in terms else None

    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""
        del layout
        joined = tf.reshape(self.input(x), [-1, self.heads, 3 * self.head_width])
        query, key, value = tf.split(joined, 3, axis=-1)
        query += tf.reshape(self.query_bias, [self.heads, self.head_width])
        value += tf.reshape(self.value_bias, [self.heads, self.head_width])
        return query, key, value

    def distance_projections(self) -> tuple[Linear | None, Linear | None]:
        """What makes keys for c2p and queries for p2c of distances; None leaves the term out."""
        return self.position_key, self.position_query


_BLOCK = "encoder.layer.{layer}"

# What DeBERTa v2 has as well.
ROWS = (
    *embedding("embeddings.word", "embeddings.word_embeddings"),
    *embedding("embeddings.position", "embeddings.position_embeddings"),
    *embedding("embeddings.type", "embeddings.token_type_embeddings"),
    *linear("embeddings.projection", "embeddings.embed_proj"),
    *norm("embeddings.layer_norm", "embeddings.LayerNorm"),
    *embedding("shared.table", "encoder.rel_embeddings"),
    *linear("blocks.{layer}.attention.output", f"{_BLOCK}.attention.output.dense"),
    *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.attention.output.LayerNorm"),
    *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.intermediate.dense"),
    *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.output.dense"),
    *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.output.LayerNorm"),
)
BUFFERS = {
    r"embeddings\.position_ids": "counts positions, holds no weights",
    r"embeddings\.position_embeddings\.weight": "position_biased_input is false",
    r"encoder\.(rel_embeddings|LayerNorm)\..*": "relative_attention or pos_att_type turns it off",
}
_ATTENTION = f"{_BLOCK}.attention.self"

TABLE = Table(
    rows=(
        *ROWS,
        *linear("blocks.{layer}.attention.input", f"{_ATTENTION}.in_proj"),
        Row("blocks.{layer}.attention.query_bias", (f"{_ATTENTION}.q_bias",)),
        Row("blocks.{layer}.attention.value_bias", (f"{_ATTENTION}.v_bias",)),
        *linear("blocks.{layer}.attention.position_key", f"{_ATTENTION}.pos_proj"),
        *linear("blocks.{layer}.attention.position_query", f"{_ATTENTION}.pos_q_proj"),
    ),
    prefix="deberta.",
    buffers=BUFFERS,
)


Parts = tuple[DisentangledAttention, Dropout, LayerNorm, FeedForward, Dropout, LayerNorm]


def block_parts(config: DebertaConfig, attention: DisentangledAttention) -> Parts:
    """The parts of a block, their variables declared."""
    width, epsilon = config.hidden_size, config.layer_norm_eps
    return (
        attention,
        Dropout(config.hidden_dropout_prob),
        LayerNorm(width, epsilon),
        FeedForward(width, config.intermediate_size, activation(config.hidden_act)),
        Dropout(config.hidden_dropout_prob),
        LayerNorm(width, epsilon),
    )


def distances(
    config: DebertaConfig,
    span: int,
    places: npt.NDArray[np.int_],
    layer_norm: LayerNorm | None = None,
) -> Distances | None:
    """The vectors of the places -span ... span - 1; `places` has that of each distance."""
    if not (config.relative_attention and config.terms):
        return None
    rows = np.clip(places + span, 0, 2 * span - 1).astype(np.int32)
    return Distances(rows, Embedding(2 * span, config.hidden_size), layer_norm)


def reachable(config: DebertaConfig) -> npt.NDArray[np.int_]:
    """All distances, [2 * P + 1]."""
    return np.arange(-config.max_position_embeddings, config.max_position_embeddings + 1)


def encoder(
    config: DebertaConfig, blocks: Sequence[PostNormBlock], distances: Distances | None
) -> Encoder:
    """The encoder of these blocks, its variables declared."""
    hidden, positions = config.hidden_size, config.max_position_embeddings
    width, types = config.embedding_size or hidden, config.type_vocab_size
    return Encoder(
        config.dimensions,
        MaskedEmbeddings(
            word=Embedding(config.vocab_size, width, padding=config.pad_token_id),
            position=Embedding(positions, width) if config.position_biased_input else None,
            type=Embedding(types, width) if types else None,
            projection=Linear(width, hidden, bias=False) if width != hidden else None,
            layer_norm=LayerNorm(hidden, config.layer_norm_eps),
            dropout=Dropout(config.hidden_dropout_prob),
        ),
        blocks,
        shared=distances,
    )


def build(config: DebertaConfig) -> Encoder:
    """The encoder, its variables declared."""
    shared = distances(config, config.longest, reachable(config))
    blocks = [
        PostNormBlock(*block_parts(config, Attention(config, shared)))
        for _ in range(config.num_hidden_layers)
    ]
    return encoder(config, blocks, shared)


ARCHITECTURE = Architecture(("deberta",), DebertaConfig, build, TABLE)
