"""BigBird (https://arxiv.org/abs/2007.14062), for rows that it attends to in full.

A checkpoint with sparse attention (`block_sparse`) attends to whole rows as long as they are no
longer than what a token would see of them, (5 + 2 * `num_random_blocks`) blocks: 704 tokens of a
published one, which is the longest row here. With `original_full` it always does.
"""

import dataclasses
import math
from typing import ClassVar

import tensorflow as tf

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import LayerNorm
from encoders.core.encoder import Encoder, Pooler
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout
from encoders.core.rows import linear

FULL, SPARSE = "original_full", "block_sparse"


@dataclasses.dataclass(frozen=True)
class BigBirdConfig(bert.BertConfig):
    """Options of `transformers.BigBirdConfig` that change what is computed."""

    vocab_size: int = 50358
    hidden_act: str = "gelu_new"
    max_position_embeddings: int = 4096
    attention_type: str = SPARSE
    block_size: int = 64
    num_random_blocks: int = 3
    rescale_embeddings: bool = False

    fixed: ClassVar = {**bert.BertConfig.fixed, "use_bias": True}
    ignored: ClassVar = ("classifier_dropout",)
    sizes: ClassVar = {"positions": "positions"}

    @property
    def positions(self) -> int:
        """How many tokens a row has that is attended to in full."""
        if self.attention_type == FULL:
            return self.max_position_embeddings
        seen = (5 + 2 * self.num_random_blocks) * self.block_size
        return min(self.max_position_embeddings, seen)

    def check(self) -> None:
        super().check()
        if self.attention_type not in (FULL, SPARSE):
            raise ConfigError(
                f"attention_type: expected {FULL} or {SPARSE}, found {self.attention_type}"
            )


class ScaledEmbeddings(Embeddings):
    """Embeddings whose words may be scaled, and which drop out before they are normalised."""

    layer_norm: LayerNorm
    scale: float = 1.0

    def __call__(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """int32 [B, S], or vectors float32 [B, S, D] -> float32 [N, D]."""
        return self.layer_norm(self.dropout(self.sum(word_ids, layout, training), training))

    def words(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """What stands for the words alone, int32 [B, S] or float32 [B, S, D] -> float32 [N, D]."""
        return super().words(word_ids, layout, training) * self.scale


TABLE = dataclasses.replace(
    bert.TABLE,
    rows=(
        *bert.EMBEDDING_ROWS,
        *bert.BLOCK_ROWS,
        *linear("pooler.dense", "pooler", optional="pooler"),
    ),
)


def build(config: BigBirdConfig) -> Encoder:
    """The encoder, its variables declared."""
    embeddings = bert.embeddings(config, ScaledEmbeddings)
    if config.rescale_embeddings:
        embeddings.scale = math.sqrt(config.hidden_size)
    blocks = bert.blocks(config, PostNormBlock)
    return Encoder(config.dimensions, embeddings, blocks, Pooler(config.hidden_size))


ARCHITECTURE = Architecture(("big_bird",), BigBirdConfig, build, TABLE)
