"""ERNIE (https://arxiv.org/abs/1904.09223): BERT trained on masked words and entities.

Where a checkpoint has task types (ERNIE 2.0, https://arxiv.org/abs/1907.12412), every token is of
type 0, as in `transformers` where nobody passes task types.
"""

import dataclasses
from typing import Any

import tensorflow as tf

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Embedding
from encoders.core.encoder import Encoder, Pooler
from encoders.core.layout.layout import Layout
from encoders.core.rows import embedding


@dataclasses.dataclass(frozen=True)
class ErnieConfig(bert.BertConfig):
    """Options of `transformers.ErnieConfig` that change what is computed."""

    task_type_vocab_size: int = 3
    use_task_id: bool = False


class TaskEmbeddings(Embeddings):
    """Embeddings with the vector of the first task type, where there is any, in every sum."""

    def __init__(self, task: Embedding | None, **parts: Any) -> None:
        super().__init__(**parts)
        self.task = task

    def sum(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """int32 [B, S], or vectors float32 [B, S, D] -> float32 [N, D], before norm and dropout."""
        x = super().sum(word_ids, layout, training)
        return x if self.task is None else x + self.task[0]


TABLE = dataclasses.replace(
    bert.TABLE,
    rows=(*bert.TABLE.rows, *embedding("embeddings.task", "embeddings.task_type_embeddings")),
    prefix="ernie.",
)


def build(config: ErnieConfig) -> Encoder:
    """The encoder, its variables declared."""
    width = config.hidden_size
    return Encoder(
        config.dimensions,
        bert.embeddings(
            config,
            TaskEmbeddings,
            task=Embedding(config.task_type_vocab_size, width) if config.use_task_id else None,
        ),
        bert.blocks(config, PostNormBlock),
        Pooler(width),
    )


ARCHITECTURE = Architecture(("ernie",), ErnieConfig, build, TABLE)
