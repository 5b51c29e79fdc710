"""MobileBERT (https://arxiv.org/abs/2004.02984): BERT with narrow blocks.

A block narrows its input (from D to C) twice: once for queries and keys, once for the residual sums
within, where several feed-forward parts follow the attention. What they give is widened again and
added to the input. In the place of norms, vectors are scaled and shifted.

A vector is made of those of a word and its neighbours (E each). Behind the last token of
a row there is none, whatever padding follows: a text has the vectors that `transformers` gives it
alone. (In a padded batch, it takes padding for a neighbour there.)
"""

import dataclasses
from typing import Any, ClassVar

import tensorflow as tf

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.attention.attention import Attention, Projected
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, Linear
from encoders.core.config import check_heads
from encoders.core.declared import declare
from encoders.core.encoder import Encoder, Pooler
from encoders.core.layout.layout import Layout
from encoders.core.rows import Row, linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class MobileBertConfig(bert.BertConfig):
    """Options of `transformers.MobileBertConfig` that change what is computed."""

    hidden_size: int = 512
    num_hidden_layers: int = 24
    num_attention_heads: int = 4
    intermediate_size: int = 512
    hidden_act: str = "relu"
    hidden_dropout_prob: float = 0.0
    embedding_size: int = 128
    intra_bottleneck_size: int = 128
    num_feedforward_networks: int = 4
    classifier_activation: bool = True

    fixed: ClassVar = {
        **bert.BertConfig.fixed,
        "key_query_shared_bottleneck": True,
        "normalization_type": "no_norm",
        "trigram_input": True,
        "use_bottleneck": True,
        "use_bottleneck_attention": False,
    }
    ignored: ClassVar = ("classifier_dropout",)
    renamed: ClassVar = {"true_hidden_size": "intra_bottleneck_size"}

    def check(self) -> None:
        super().check()
        check_heads(self.intra_bottleneck_size, self.num_attention_heads)


class NoNorm(tf.Module):
    """Scales and shifts, [N, D] -> [N, D]."""

    gamma: tf.Variable
    beta: tf.Variable

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = declare(width)
        self.beta = declare(width)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return x * self.gamma + self.beta


class TrigramEmbeddings(Embeddings):
    """Embeddings of a word and its neighbours, [N, 3 * E] -> [N, D], in the place of a word's."""

    def __init__(self, trigram: Linear, **parts: Any) -> None:
        super().__init__(**parts)
        self.trigram = trigram

    def words(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """int32 [B, S], or vectors float32 [B, S, E] -> float32 [N, D]; zeros beyond the ends."""
        x = word_ids[:, : layout.length]
        x = x if x.dtype.is_floating else self.word(x, training)
        behind = tf.cumsum(layout.to_batch(layout.real), axis=1, reverse=True)
        x = tf.where(behind > 0, x, 0.0)
        padded = tf.pad(x, [[0, 0], [1, 1], [0, 0]])
        joined = tf.concat([padded[:, 2:], x, padded[:, :-2]], axis=-1)
        return self.trigram(layout.to_tokens(joined))


class Bottleneck(tf.Module):
    """[N, D] -> [N, C]."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.dense = Linear(width, narrow)
        self.layer_norm = NoNorm(narrow)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.layer_norm(self.dense(x))


class NarrowAttention(Attention):
    """Attention whose queries and keys are made of narrow vectors, its values of wide ones."""

    def __init__(self, width: int, narrow: int, heads: int, dropout: float) -> None:
        super().__init__(narrow, heads, dropout)
        self.bottleneck = Bottleneck(width, narrow)
        self.query = Linear(narrow, narrow)
        self.key = Linear(narrow, narrow)
        self.value = Linear(width, narrow)

    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""
        del layout
        shared = self.bottleneck(x)
        return (
            self.split(self.query(shared)),
            self.split(self.key(shared)),
            self.split(self.value(x)),
        )


class Residual(tf.Module):
    """A feed-forward part with its residual sum, [N, C] -> [N, C]."""

    def __init__(self, feed_forward: FeedForward, layer_norm: NoNorm) -> None:
        super().__init__()
        self.feed_forward = feed_forward
        self.layer_norm = layer_norm

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return self.layer_norm(x + self.feed_forward(x, training))


class NarrowBlock(tf.Module):
    """Attention and feed-forward parts between narrowing and widening."""

    def __init__(self, config: MobileBertConfig) -> None:
        super().__init__()
        width, narrow = config.hidden_size, config.intra_bottleneck_size
        heads, dropout = config.num_attention_heads, config.attention_probs_dropout_prob
        inner, function = config.intermediate_size, activation(config.hidden_act)
        self.bottleneck = Bottleneck(width, narrow)
        self.attention = NarrowAttention(width, narrow, heads, dropout)
        self.attention_layer_norm = NoNorm(narrow)

        def residual() -> Residual:
            return Residual(FeedForward(narrow, inner, function), NoNorm(narrow))

        self.parts = [residual() for _ in range(config.num_feedforward_networks - 1)]
        self.last = residual()
        self.output = Linear(narrow, width)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.output_layer_norm = NoNorm(width)

    def __call__(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, D]."""
        attended = self.attention(x, layout, training)
        y = self.attention_layer_norm(self.bottleneck(x) + attended)
        for part in (*self.parts, self.last):
            y = part(y, training)
        return self.output_layer_norm(x + self.dropout(self.output(y), training))


_BLOCK = "encoder.layer.{layer}"
_ATTENTION = f"{_BLOCK}.attention"


def _residual(target: str, source: str) -> tuple[Row, ...]:
    """The rows of a feed-forward part with its residual sum."""
    return (
        *linear(f"{target}.feed_forward.inner", f"{source}.intermediate.dense"),
        *linear(f"{target}.feed_forward.output", f"{source}.output.dense"),
        *norm(f"{target}.layer_norm", f"{source}.output.LayerNorm"),
    )


def _bottleneck(target: str, source: str) -> tuple[Row, ...]:
    return (
        *linear(f"{target}.dense", f"{source}.dense"),
        *norm(f"{target}.layer_norm", f"{source}.LayerNorm"),
    )


TABLE = Table(
    rows=(
        *bert.EMBEDDING_ROWS,
        *linear("embeddings.trigram", "embeddings.embedding_transformation"),
        *_bottleneck("blocks.{layer}.bottleneck", f"{_BLOCK}.bottleneck.input"),
        *_bottleneck("blocks.{layer}.attention.bottleneck", f"{_BLOCK}.bottleneck.attention"),
        *linear("blocks.{layer}.attention.query", f"{_ATTENTION}.self.query"),
        *linear("blocks.{layer}.attention.key", f"{_ATTENTION}.self.key"),
        *linear("blocks.{layer}.attention.value", f"{_ATTENTION}.self.value"),
        *linear("blocks.{layer}.attention.output", f"{_ATTENTION}.output.dense"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_ATTENTION}.output.LayerNorm"),
        *_residual("blocks.{layer}.parts.{part}", f"{_BLOCK}.ffn.{{part}}"),
        *_residual("blocks.{layer}.last", _BLOCK),
        *linear("blocks.{layer}.output", f"{_BLOCK}.output.bottleneck.dense"),
        *norm("blocks.{layer}.output_layer_norm", f"{_BLOCK}.output.bottleneck.LayerNorm"),
        *bert.POOLER_ROWS,
    ),
    prefix="mobilebert.",
    buffers={**bert.TABLE.buffers, r"pooler\..*": "classifier_activation turns it off"},
)


def build(config: MobileBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, narrow = config.hidden_size, config.embedding_size
    embeddings = bert.embeddings(
        config,
        TrigramEmbeddings,
        word=Embedding(config.vocab_size, narrow, padding=config.pad_token_id),
        layer_norm=NoNorm(width),
        trigram=Linear(3 * narrow, width),
    )
    blocks = [NarrowBlock(config) for _ in range(config.num_hidden_layers)]
    pooler = Pooler(width) if config.classifier_activation else None
    return Encoder(config.dimensions, embeddings, blocks, pooler)


ARCHITECTURE = Architecture(("mobilebert",), MobileBertConfig, build, TABLE)
