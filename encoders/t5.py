"""T5 (https://arxiv.org/abs/1910.10683): the encoder of an encoder and a decoder.

Blocks normalise their inputs by the root mean square alone, and the output of the last block is
normalised. There are neither absolute positions nor token types, nor biases in dense layers. All
blocks add the same bias by distance to the scores of attention, which are not scaled. Feed-forward
parts are gated from T5 1.1 on (https://arxiv.org/abs/2002.05202).

Of a checkpoint's two halves, the encoder is read, as `transformers.T5EncoderModel` does.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import tensorflow as tf

from encoders.core.architecture import Architecture
from encoders.core.attention.attention import SelfAttention
from encoders.core.attention.relative import RelativeBias
from encoders.core.blocks.activations import Activation, activation
from encoders.core.blocks.blocks import FeedForward, Gated, PreNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, Linear, RMSNorm
from encoders.core.config import Config, TokenId, at_least, check_padding
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.rows import Row, embedding, linear, norm
from encoders.core.weights import Table

REFERENCE = "AutoModelForTextEncoding"
GATED = "gated"


@dataclasses.dataclass(frozen=True)
class T5Config(Config):
    """Options of `transformers.T5Config` that change what is computed.

    Distances have no end, and no table bounds a row: `n_positions`, which `transformers` does not
    read, is the longest one that the published checkpoints were trained on.
    """

    vocab_size: int = 32128
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 2048
    num_layers: int = 6
    num_heads: int = 8
    relative_attention_num_buckets: int = at_least(4, default=32)
    relative_attention_max_distance: int = 128
    dropout_rate: float = 0.1
    layer_norm_epsilon: float = 1e-6
    feed_forward_proj: str = "relu"
    n_positions: int = 512
    pad_token_id: TokenId = 0
    is_encoder_decoder: bool = True
    # What `feed_forward_proj` says, once more: where the two differ, these count.
    dense_act_fn: str | None = None
    is_gated_act: bool | None = None

    # The first two are the decoder's, the third is of random weights.
    ignored: ClassVar = (
        "num_decoder_layers",
        "scale_decoder_outputs",
        "initializer_factor",
        "classifier_dropout",
    )
    sizes: ClassVar = {
        "layers": "num_layers",
        "width": "d_model",
        "heads": "num_heads",
        "positions": "n_positions",
    }

    @property
    def is_gated(self) -> bool:
        """Whether feed-forward parts have a gate."""
        if self.is_gated_act is not None:
            return self.is_gated_act
        return self.feed_forward_proj.startswith(f"{GATED}-")

    @property
    def activation(self) -> str:
        """The activation in feed-forward parts; a gate's GELU is the approximate one."""
        named = self.feed_forward_proj.rpartition("-")[2]
        approximate = self.feed_forward_proj == f"{GATED}-gelu"
        return self.dense_act_fn or ("gelu_new" if approximate else named)

    def check(self) -> None:
        check_padding(self.pad_token_id, self.vocab_size)
        if self.feed_forward_proj.rpartition("-")[0] not in ("", GATED):
            raise ConfigError(
                f"feed_forward_proj: expected an activation, or {GATED}- and an activation, found "
                f"{self.feed_forward_proj!r}"
            )
        nearest = self.relative_attention_num_buckets // 4
        if self.relative_attention_max_distance <= nearest:
            raise ConfigError(
                f"relative_attention_max_distance: expected more than the {nearest} distances that "
                f"have buckets of their own, found {self.relative_attention_max_distance}"
            )


class T5Attention(SelfAttention):
    """Attention whose scores are not scaled."""

    def __init__(self, config: T5Config) -> None:
        super().__init__(config.d_model, config.num_heads, config.dropout_rate, False, config.d_kv)
        self.scale = 1.0


class UngatedFeedForward(FeedForward):
    """A feed-forward part of the first T5."""

    gate = linear = None


class GatedFeedForward(Gated):
    """A feed-forward part of T5 1.1, whose `linear` is no `inner`: its tensor has another name."""

    inner = None

    def __init__(
        self, width: int, inner: int, activation: Activation, bias: bool, dropout: float
    ) -> None:
        super().__init__(width, inner, activation, bias, dropout)
        self.gate = Linear(width, inner, bias)
        self.linear = Linear(width, inner, bias)

    def both(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N, D] -> what is activated and what it is multiplied by, each [N, F]."""
        return self.gate.narrow(x), self.linear.narrow(x)


_ATTENTION = "encoder.block.{layer}.layer.0"
_FEED_FORWARD = "encoder.block.{layer}.layer.1"
_DENSE = f"{_FEED_FORWARD}.DenseReluDense"
BIAS = f"{_ATTENTION}.SelfAttention.relative_attention_bias"
_DECODER = "belongs to the decoder, of which nothing is exported"

ROWS = (
    Row("embeddings.word.table", ("shared.weight", "encoder.embed_tokens.weight")),
    *norm("blocks.{layer}.attention_layer_norm", f"{_ATTENTION}.layer_norm"),
    *linear("blocks.{layer}.attention.query", f"{_ATTENTION}.SelfAttention.q"),
    *linear("blocks.{layer}.attention.key", f"{_ATTENTION}.SelfAttention.k"),
    *linear("blocks.{layer}.attention.value", f"{_ATTENTION}.SelfAttention.v"),
    *linear("blocks.{layer}.attention.output", f"{_ATTENTION}.SelfAttention.o"),
    *norm("blocks.{layer}.feed_forward_layer_norm", f"{_FEED_FORWARD}.layer_norm"),
    *linear("blocks.{layer}.feed_forward.gate", f"{_DENSE}.wi_0"),
    *linear("blocks.{layer}.feed_forward.linear", f"{_DENSE}.wi_1"),
    *linear("blocks.{layer}.feed_forward.inner", f"{_DENSE}.wi"),
    *linear("blocks.{layer}.feed_forward.output", f"{_DENSE}.wo"),
    *norm("layer_norm", "encoder.final_layer_norm"),
)
TABLE = Table(
    rows=(*ROWS, *embedding("added_scores.buckets", BIAS.format(layer=0))),
    prefix="transformer.",
    buffers={
        r"encoder\.embed_tokens\.weight": "the same as shared.weight",
        r"(decoder|lm_head)\..*": _DECODER,
        r"qa_outputs\..*": "belongs to a task head",
    },
)


def relative_bias(config: T5Config) -> RelativeBias:
    """The bias by distance, its variable declared."""
    count = config.relative_attention_num_buckets
    return RelativeBias(count, config.num_heads, count, config.relative_attention_max_distance)


def encoder(
    config: T5Config,
    attention: Callable[[T5Config], T5Attention],
    added_scores: RelativeBias | None = None,
) -> Encoder:
    """The encoder, its variables declared.

    Args:
        config: the options.
        attention: makes that of a block.
        added_scores: the bias by distance that all blocks have in common.
    """
    width, dropout = config.d_model, config.dropout_rate
    feed_forward = GatedFeedForward if config.is_gated else UngatedFeedForward

    def layer_norm() -> RMSNorm:
        return RMSNorm(width, config.layer_norm_epsilon)

    def block() -> PreNormBlock:
        return PreNormBlock(
            layer_norm(),
            attention(config),
            Dropout(dropout),
            layer_norm(),
            feed_forward(width, config.d_ff, activation(config.activation), False, dropout),
            Dropout(dropout),
        )

    return Encoder(
        config.dimensions,
        Embeddings(
            word=Embedding(config.vocab_size, width), layer_norm=None, dropout=Dropout(dropout)
        ),
        [block() for _ in range(config.num_layers)],
        added_scores=added_scores,
        layer_norm=layer_norm(),
        dropout=Dropout(dropout),
    )


def build(config: T5Config) -> Encoder:
    """The encoder, its variables declared."""
    return encoder(config, T5Attention, relative_bias(config))


ARCHITECTURE = Architecture(("t5",), T5Config, build, TABLE, REFERENCE)
