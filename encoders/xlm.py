"""XLM (https://arxiv.org/abs/1901.07291): BERT with languages in the place of token types.

Where a checkpoint tells languages apart (`use_lang_emb`, of several), type ids are those of the
languages, as its `lang2id` numbers them. Without any, each token is of language 0, as of type 0 in
BERT, where `transformers` without `langs` adds no vector of a language. All vectors of padding are
zero. Positions, learned or sinusoidal, are in a table, which stays as it is in training if they are
the latter. There is no pooler.

The words that its tokenizers split texts into are Moses'.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, TypeVar

import tensorflow as tf

from encoders.core.architecture import Architecture
from encoders.core.attention.attention import SelfAttention
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import B, FeedForward, PostNormBlock, blocks_of
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm
from encoders.core.config import Config, TokenId, check_heads, check_padding
from encoders.core.encoder import Encoder
from encoders.core.layout.layout import Layout
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table

X = TypeVar("X", bound="XLMConfig")


@dataclasses.dataclass(frozen=True)
class XLMConfig(Config):
    """Options of `transformers.XLMConfig` that change what is computed."""

    vocab_size: int = 30145
    emb_dim: int = 2048
    n_layers: int = 12
    n_heads: int = 16
    dropout: float = 0.1
    attention_dropout: float = 0.1
    gelu_activation: bool = True
    sinusoidal_embeddings: bool = False
    n_langs: int = 1
    use_lang_emb: bool = True
    max_position_embeddings: int = 512
    layer_norm_eps: float = 1e-12
    pad_token_id: TokenId = 2

    fixed: ClassVar = {"causal": False, "is_encoder": True}
    # The summary, the log softmax (asm) and the numbers of answers are those of heads.
    ignored: ClassVar[tuple[str, ...]] = (
        "asm",
        "bos_index",
        "embed_init_std",
        "end_n_top",
        "eos_index",
        "id2lang",
        "init_std",
        "lang2id",
        "lang_id",
        "mask_index",
        "start_n_top",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "unk_index",
    )
    renamed: ClassVar = {"n_words": "vocab_size", "pad_index": "pad_token_id"}
    sizes: ClassVar = {
        "layers": "n_layers",
        "width": "emb_dim",
        "heads": "n_heads",
        "types": "languages",
    }

    @classmethod
    def read(cls: type[X], source: Mapping[str, Any], handled: Collection[str] = ()) -> X:
        """Reads a `config.json` mapping, old names where new ones are absent; see `Config`."""
        old = {new: source[old] for old, new in cls.renamed.items() if old in source}
        return super().read({**old, **source}, handled)

    @property
    def languages(self) -> int:
        """How many have a vector of their own."""
        return self.n_langs if self.use_lang_emb and self.n_langs > 1 else 0

    def check(self) -> None:
        check_heads(self.emb_dim, self.n_heads)
        check_padding(self.pad_token_id, self.vocab_size)


class ZeroPadding(tf.Module):
    """What makes the output of the class behind it zero for padding."""

    def __call__(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """What the class takes -> float32 [N, D]."""
        return super().__call__(x, layout, training) * layout.real


class XLMEmbeddings(ZeroPadding, Embeddings):
    """Embeddings that are zero for padding."""


class XLMBlock(ZeroPadding, PostNormBlock):
    """A block whose output is zero for padding."""


TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings"),
        *embedding("embeddings.position", "position_embeddings"),
        *embedding("embeddings.type", "lang_embeddings"),
        *norm("embeddings.layer_norm", "layer_norm_emb"),
        *linear("blocks.{layer}.attention.query", "attentions.{layer}.q_lin"),
        *linear("blocks.{layer}.attention.key", "attentions.{layer}.k_lin"),
        *linear("blocks.{layer}.attention.value", "attentions.{layer}.v_lin"),
        *linear("blocks.{layer}.attention.output", "attentions.{layer}.out_lin"),
        *norm("blocks.{layer}.attention_layer_norm", "layer_norm1.{layer}"),
        *linear("blocks.{layer}.feed_forward.inner", "ffns.{layer}.lin1"),
        *linear("blocks.{layer}.feed_forward.output", "ffns.{layer}.lin2"),
        *norm("blocks.{layer}.feed_forward_layer_norm", "layer_norm2.{layer}"),
    ),
    prefix="transformer.",
    buffers={r"position_ids": "counts positions, holds no weights"},
)


def encoder_of(config: XLMConfig, kind: type[B]) -> Encoder:
    """An encoder of blocks of this kind, its variables declared."""
    width, epsilon, rate = config.emb_dim, config.layer_norm_eps, config.dropout
    activated = activation("gelu" if config.gelu_activation else "relu")
    rows, is_learned = config.max_position_embeddings, not config.sinusoidal_embeddings
    return Encoder(
        config.dimensions,
        XLMEmbeddings(
            word=Embedding(config.vocab_size, width, padding=config.pad_token_id),
            position=Embedding(rows, width, trainable=is_learned),
            type=Embedding(config.languages, width) if config.languages else None,
            layer_norm=LayerNorm(width, epsilon),
            dropout=Dropout(rate),
        ),
        blocks_of(
            kind,
            config.n_layers,
            width,
            epsilon,
            rate,
            lambda: SelfAttention(width, config.n_heads, config.attention_dropout),
            lambda: FeedForward(width, 4 * width, activated),
        ),
    )


def build(config: XLMConfig) -> Encoder:
    """The encoder, its variables declared."""
    return encoder_of(config, XLMBlock)


ARCHITECTURE = Architecture(("xlm",), XLMConfig, build, TABLE)
