"""RemBERT (https://arxiv.org/abs/2010.12821): BERT with narrow embeddings of its input.

They have a width of their own (E) and are projected to that of the blocks (D). Those of its output,
which a masked language model compares with, have another width, and are never shared.
"""

import dataclasses
from typing import ClassVar

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Linear
from encoders.core.encoder import Encoder, Pooler
from encoders.core.rows import linear


@dataclasses.dataclass(frozen=True)
class RemBertConfig(bert.BertConfig):
    """Options of `transformers.RemBertConfig` that change what is computed."""

    vocab_size: int = 250300
    hidden_size: int = 1152
    num_hidden_layers: int = 32
    num_attention_heads: int = 18
    input_embedding_size: int = 256
    intermediate_size: int = 4608
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0

    ignored: ClassVar = ("classifier_dropout_prob", "output_embedding_size")


TABLE = dataclasses.replace(
    bert.TABLE,
    rows=(
        *bert.TABLE.rows,
        *linear("embeddings.projection", "encoder.embedding_hidden_mapping_in"),
    ),
    prefix="rembert.",
)


def build(config: RemBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, narrow = config.hidden_size, config.input_embedding_size
    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings, narrow, projection=Linear(narrow, width)),
        bert.blocks(config, PostNormBlock),
        Pooler(width),
    )


ARCHITECTURE = Architecture(("rembert",), RemBertConfig, build, TABLE)
