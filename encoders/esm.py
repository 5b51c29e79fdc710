"""ESM-1b (https://doi.org/10.1073/pnas.2016239118) and ESM-2: encoders of protein sequences.

BERT with norms before the parts; positions are counted as in RoBERTa or rotary. There are no token
types. `token_dropout` makes up for words that are masked: the others' vectors grow with the part of
the row that is. Vectors given for words take the place of all that embedding does.

The frequencies of rotary positions are a checkpoint's own, which may be rounded.
"""

import dataclasses
from typing import Any, ClassVar

import tensorflow as tf

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.attention.rotary import RotarySelfAttention, Rotation, check_rotary
from encoders.core.blocks.blocks import PreNormBlock
from encoders.core.blocks.embeddings import Embeddings, after_padding
from encoders.core.blocks.layers import Embedding, LayerNorm
from encoders.core.config import TokenId, at_least, check_heads, check_padding
from encoders.core.declared import declare
from encoders.core.encoder import Encoder, Pooler
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout
from encoders.core.rows import Row, embedding, norm
from encoders.core.weights import Table

MASKED = 0.15 * 0.8
"""The part of all tokens that was masked in the training of every checkpoint."""


@dataclasses.dataclass(frozen=True)
class EsmConfig(bert.BertConfig):
    """Options of `transformers.EsmConfig` that change what is computed."""

    vocab_size: int | None = None  # type: ignore[assignment]
    max_position_embeddings: int = 1026
    position_embedding_type: str = "absolute"
    rope_theta: float = at_least(1, default=10_000.0)
    emb_layer_norm_before: bool | None = None
    token_dropout: bool | None = False
    mask_token_id: TokenId = None
    pad_token_id: TokenId = None

    fixed: ClassVar = {"esmfold_config": None, "is_folding_model": False, "vocab_list": None}
    ignored: ClassVar = ()
    sizes: ClassVar = {"positions": "positions", "types": "no_types"}
    no_types: ClassVar = 0

    @property
    def is_rotary(self) -> bool:
        """Whether positions are rotary; else they are absolute."""
        return self.position_embedding_type == "rotary"

    @property
    def positions(self) -> int:
        """How many tokens the position table has a row for."""
        if self.is_rotary:
            return self.max_position_embeddings
        return self.max_position_embeddings - (self.pad_token_id or 0) - 1

    def check(self) -> None:
        if self.position_embedding_type not in ("absolute", "rotary"):
            raise ConfigError(
                "position_embedding_type: expected absolute or rotary, found "
                f"{self.position_embedding_type}"
            )
        if self.is_rotary:
            check_rotary(self.hidden_size, self.num_attention_heads)
        check_heads(self.hidden_size, self.num_attention_heads)
        bert.check_gelu(self)
        if self.vocab_size is not None:
            check_padding(self.pad_token_id, self.vocab_size)
        if self.token_dropout and self.mask_token_id is None:
            raise ConfigError("mask_token_id: token_dropout needs an id, found None")


class EsmEmbeddings(Embeddings):
    """Embeddings without dropout that are zero for padding."""

    def __init__(self, mask_token: int | None, **parts: Any) -> None:
        """Takes the parts; `mask_token` is the id that `token_dropout` looks for, if it does."""
        super().__init__(**parts)
        self.mask_token = mask_token

    def __call__(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """int32 [B, S], or vectors float32 [B, S, D] -> float32 [N, D]."""
        if word_ids.dtype.is_floating:
            return layout.to_tokens(word_ids)
        x = self.sum(word_ids, layout, training)
        return (x if self.layer_norm is None else self.layer_norm(x)) * layout.real

    def words(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """int32 [B, S] -> float32 [N, D]; zero for masked words where others make up for them."""
        x = super().words(word_ids, layout, training)
        if self.mask_token is None:
            return x
        masked = tf.equal(word_ids, self.mask_token)
        counts = tf.reduce_sum(tf.cast(masked, tf.float32), axis=1, keepdims=True)
        lengths = tf.reduce_sum(layout.to_batch(layout.real)[..., 0], axis=1, keepdims=True)
        left = tf.broadcast_to(1 - tf.math.divide_no_nan(counts, lengths), tf.shape(word_ids))
        masked, left = (layout.to_tokens(each)[:, tf.newaxis] for each in (masked, left))
        return tf.math.divide_no_nan(tf.where(masked, 0.0, x) * (1 - MASKED), left)


class Rotary(tf.Module):
    """Gives the rotation of each token, for heads of this width, by frequencies that are stored."""

    frequencies: tf.Variable

    def __init__(self, head_width: int) -> None:
        super().__init__()
        self.frequencies = declare(head_width // 2, trainable=False)

    def __call__(self, layout: Layout) -> Rotation:
        """Computes them at the layout's positions."""
        positions = tf.cast(layout.positions, tf.float32)
        angles = positions[:, tf.newaxis, tf.newaxis] * self.frequencies
        return Rotation(tf.cos(angles), tf.sin(angles))


_OWN = "attention.self.rotary_embeddings.inv_freq"
# `transformers` 5 has one for all layers, and saves it under a name with a star.
_FREQUENCIES = (
    "rotary_embeddings.inv_freq",
    f"encoder.layer.*.{_OWN}",
    f"encoder.layer.0.{_OWN}",
)

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.word_embeddings"),
        *embedding("embeddings.position", "embeddings.position_embeddings"),
        *norm("embeddings.layer_norm", "embeddings.layer_norm"),
        Row("shared.frequencies", _FREQUENCIES),
        *bert.pre_norm_rows("attention.LayerNorm", "LayerNorm", "emb_layer_norm_after"),
    ),
    prefix="esm.",
    buffers={
        **bert.TABLE.buffers,
        r".*\.rotary_embeddings\.inv_freq": "the same for all layers",
        r"embeddings\.position_embeddings\.weight": "positions are rotary",
        r"contact_head\..*": "predicts contacts from attentions",
    },
)


def build(config: EsmConfig) -> Encoder:
    """The encoder, its variables declared.

    Raises:
        ConfigError: there is no vocabulary, or positions are to be counted from no padding id.
    """
    width, heads, padding = config.hidden_size, config.num_attention_heads, config.pad_token_id
    if config.vocab_size is None:
        raise ConfigError("vocab_size: expected a positive integer, found None")
    if padding is None and not config.is_rotary:
        raise ConfigError("pad_token_id: expected an id to count positions from, found None")
    rotary, dropout = Rotary(width // heads), config.attention_probs_dropout_prob
    position = Embedding(config.max_position_embeddings, width, padding=padding)
    norms = {} if config.emb_layer_norm_before else {"layer_norm": None}
    return Encoder(
        config.dimensions,
        bert.embeddings(
            config,
            EsmEmbeddings,
            mask_token=config.mask_token_id if config.token_dropout else None,
            position=None if config.is_rotary else position,
            places=after_padding(padding or 0),
            type=None,
            **norms,
        ),
        bert.blocks(
            config,
            PreNormBlock,
            (lambda: RotarySelfAttention(width, heads, dropout, rotary))
            if config.is_rotary
            else None,
        ),
        Pooler(width),
        layer_norm=LayerNorm(width, config.layer_norm_eps),
        shared=rotary if config.is_rotary else None,
    )


ARCHITECTURE = Architecture(("esm",), EsmConfig, build, TABLE)
