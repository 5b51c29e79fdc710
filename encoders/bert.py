"""BERT (https://arxiv.org/abs/1810.04805): the reference of this package.

Word, position and type embeddings; post-norm blocks; a tanh pooler over the first token, which
checkpoints saved from a masked language model lack.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import tensorflow as tf

from encoders.core.architecture import Architecture
from encoders.core.attention.attention import Attention, SelfAttention
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import B, FeedForward, PostNormBlock, blocks_of
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm
from encoders.core.config import Config, TokenId, check_heads, check_padding
from encoders.core.encoder import Encoder, Pooler
from encoders.core.errors import ConfigError
from encoders.core.rows import Row, embedding, linear, norm
from encoders.core.weights import Table


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
    pad_token_id: TokenId = 0

    fixed: ClassVar = {"position_embedding_type": "absolute"}
    # The pooler_* options and `directionality` come with Google's multilingual checkpoints.
    ignored: ClassVar[tuple[str, ...]] = (
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
        check_padding(self.pad_token_id, self.vocab_size)


def check_gelu(config: BertConfig) -> None:
    """Raises ConfigError unless the activation is GELU, for models that know no other."""
    if config.hidden_act != "gelu":
        raise ConfigError(f"hidden_act: only 'gelu' is supported, found {config.hidden_act!r}")


E = TypeVar("E", bound=Embeddings)
_BLOCK = "encoder.layer.{layer}"

SUM_ROWS = (
    *embedding("embeddings.word", "embeddings.word_embeddings"),
    *embedding("embeddings.position", "embeddings.position_embeddings"),
    *embedding("embeddings.type", "embeddings.token_type_embeddings"),
)
EMBEDDING_ROWS = (*SUM_ROWS, *norm("embeddings.layer_norm", "embeddings.LayerNorm"))
ATTENTION_ROWS = (
    *linear("blocks.{layer}.attention.query", f"{_BLOCK}.attention.self.query"),
    *linear("blocks.{layer}.attention.key", f"{_BLOCK}.attention.self.key"),
    *linear("blocks.{layer}.attention.value", f"{_BLOCK}.attention.self.value"),
    *linear("blocks.{layer}.attention.output", f"{_BLOCK}.attention.output.dense"),
)
LINEAR_ROWS = (
    *ATTENTION_ROWS,
    *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.intermediate.dense"),
    *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.output.dense"),
)
ATTENTION_NORM_ROWS = norm(
    "blocks.{layer}.attention_layer_norm", f"{_BLOCK}.attention.output.LayerNorm"
)
BLOCK_ROWS = (
    *LINEAR_ROWS,
    *ATTENTION_NORM_ROWS,
    *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.output.LayerNorm"),
)
POOLER_ROWS = linear("pooler.dense", "pooler.dense", optional="pooler")


def pre_norm_rows(attention: str, feed_forward: str, last: str) -> tuple[Row, ...]:
    """Those of blocks that normalise first, and of the pooler.

    Args:
        attention: the name of the norm before the attention, within a layer.
        feed_forward: of that before the feed-forward part.
        last: of the one behind all layers.
    """
    return (
        *LINEAR_ROWS,
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.{attention}"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.{feed_forward}"),
        *norm("layer_norm", f"encoder.{last}"),
        *POOLER_ROWS,
    )


TABLE = Table(
    rows=(*EMBEDDING_ROWS, *BLOCK_ROWS, *POOLER_ROWS),
    prefix="bert.",
    buffers={r"embeddings\.(position_ids|token_type_ids)": "counts positions, holds no weights"},
)


def embeddings(config: BertConfig, kind: type[E], width: int | None = None, **parts: Any) -> E:
    """The embeddings, their variables declared.

    Args:
        config: the options.
        kind: what sums them.
        width: E, where it is not D.
        parts: those that are not BERT's, by the names of the constructor.
    """
    width = width or config.hidden_size
    usual: dict[str, Any] = {
        "word": Embedding(config.vocab_size, width, padding=config.pad_token_id),
        "position": Embedding(config.max_position_embeddings, width),
        "type": Embedding(config.type_vocab_size, width),
        "layer_norm": LayerNorm(width, config.layer_norm_eps),
        "dropout": Dropout(config.hidden_dropout_prob),
    }
    return kind(**{**usual, **parts})


def blocks(
    config: BertConfig,
    kind: type[B],
    attention: Callable[[], Attention] | None = None,
    feed_forward: Callable[[], Callable[[tf.Tensor, bool], tf.Tensor]] | None = None,
    feed_forward_dropout: float | None = None,
) -> list[B]:
    """The blocks, their variables declared.

    Args:
        config: the options.
        kind: where they normalise.
        attention: makes that of a block, where it is not BERT's.
        feed_forward: makes the other part of a block, where it is not BERT's.
        feed_forward_dropout: the rate after the latter, where it is not that after the attention.
    """
    width, heads, inner = config.hidden_size, config.num_attention_heads, config.intermediate_size
    weights_dropout, function = config.attention_probs_dropout_prob, activation(config.hidden_act)
    return blocks_of(
        kind,
        config.num_hidden_layers,
        width,
        config.layer_norm_eps,
        config.hidden_dropout_prob,
        attention or (lambda: SelfAttention(width, heads, weights_dropout)),
        feed_forward or (lambda: FeedForward(width, inner, function)),
        feed_forward_dropout,
    )


def build(config: BertConfig) -> Encoder:
    """The encoder, its variables declared."""
    return Encoder(
        config.dimensions,
        embeddings(config, Embeddings),
        blocks(config, PostNormBlock),
        Pooler(config.hidden_size),
    )


ARCHITECTURE = Architecture(("bert",), BertConfig, build, TABLE)
