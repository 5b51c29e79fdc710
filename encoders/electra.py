"""ELECTRA (https://arxiv.org/abs/2003.10555): BERT trained as a discriminator.

The embeddings may be narrower (E) than the blocks (D) and are projected then. There is no pooler.
The generator, which comes with published checkpoints, has the same architecture.
"""

import dataclasses
from typing import ClassVar

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Linear
from encoders.core.encoder import Encoder
from encoders.core.rows import linear
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class ElectraConfig(bert.BertConfig):
    """Options of `transformers.ElectraConfig` that change what is computed."""

    embedding_size: int = 128
    hidden_size: int = 256
    num_attention_heads: int = 4
    intermediate_size: int = 1024

    # The summary is a task head.
    ignored: ClassVar = (
        "classifier_dropout",
        "summary_activation",
        "summary_last_dropout",
        "summary_type",
        "summary_use_proj",
    )


TABLE = Table(
    rows=(
        *bert.EMBEDDING_ROWS,
        *linear("embeddings.projection", "embeddings_project"),
        *bert.BLOCK_ROWS,
    ),
    prefix="electra.",
    buffers=bert.TABLE.buffers,
)


def build(config: ElectraConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, narrow = config.hidden_size, config.embedding_size
    projection = None if narrow == width else Linear(narrow, width)
    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings, narrow, projection=projection),
        bert.blocks(config, PostNormBlock),
    )


ARCHITECTURE = Architecture(("electra",), ElectraConfig, build, TABLE)
