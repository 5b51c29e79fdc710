"""Static embeddings: an encoder of no layers, a vector of each token whatever its neighbours.

A text's vector is the mean of its tokens', as fastText's (https://arxiv.org/abs/1607.04606) is.
Published as a module of sentence-transformers, and by model2vec, which distils encoders into them.
`transformers` has none.
"""

import dataclasses
from typing import ClassVar

from encoders.core.architecture import Architecture
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding
from encoders.core.config import Config
from encoders.core.encoder import Encoder
from encoders.core.rows import embedding
from encoders.core.weights import Table

POSITIONS = 2**16


@dataclasses.dataclass(frozen=True)
class StaticEmbeddingConfig(Config):
    """The sizes of the table, which only the table tells."""

    vocab_size: int
    hidden_size: int

    sizes: ClassVar = {"positions": "positions"}

    @property
    def positions(self) -> int:
        """The longest row: the longest that is packed, as nothing here bounds it."""
        return POSITIONS


TABLE = Table(embedding("embeddings.word", "embedding"), prefix="", buffers={})


def build(config: StaticEmbeddingConfig) -> Encoder:
    """The encoder, its variables declared."""
    words = Embedding(config.vocab_size, config.hidden_size)
    embeddings = Embeddings(word=words, layer_norm=None, dropout=Dropout(0.0))
    return Encoder(config.dimensions, embeddings, blocks=())


ARCHITECTURE = Architecture(
    ("static_embedding",), StaticEmbeddingConfig, build, TABLE, reference=""
)
