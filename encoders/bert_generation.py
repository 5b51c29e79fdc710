"""BERT for generation (https://arxiv.org/abs/1907.12461): its encoder, BERT without types.

There is no pooler.
"""

import dataclasses
from typing import ClassVar

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.encoder import Encoder
from encoders.core.rows import embedding, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class BertGenerationConfig(bert.BertConfig):
    """Options of `transformers.BertGenerationConfig` that change what is computed."""

    vocab_size: int = 50358
    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096

    types: ClassVar[int] = 0
    """T: `type_vocab_size` stands in some files, and nothing reads it."""
    ignored: ClassVar = ()
    sizes: ClassVar = {"types": "types"}


TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.word_embeddings"),
        *embedding("embeddings.position", "embeddings.position_embeddings"),
        *norm("embeddings.layer_norm", "embeddings.LayerNorm"),
        *bert.BLOCK_ROWS,
    ),
    prefix="bert.",
    buffers=bert.TABLE.buffers,
)


def build(config: BertGenerationConfig) -> Encoder:
    """The encoder, its variables declared."""
    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings, type=None),
        bert.blocks(config, PostNormBlock),
    )


ARCHITECTURE = Architecture(("bert-generation",), BertGenerationConfig, build, TABLE)
