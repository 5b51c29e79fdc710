"""The input side of the BERT family: word, position and type vectors, summed and normalised."""

import tensorflow as tf

from encoders.core.layers import Dropout, Embedding, LayerNorm
from encoders.core.layout import Padded


class Embeddings(tf.Module):
    """Sum of the embeddings of a token, layer-normalised, dropped out."""

    def __init__(
        self,
        word: Embedding,
        norm: LayerNorm,
        dropout: Dropout,
        position: Embedding | None = None,
        type: Embedding | None = None,
    ) -> None:
        super().__init__()
        self.word = word
        self.position = position
        self.type = type
        self.norm = norm
        self.dropout = dropout

    def __call__(
        self, word_ids: tf.Tensor, type_ids: tf.Tensor | None, layout: Padded, training: bool
    ) -> tf.Tensor:
        """int32 [B, S] twice (`type_ids` may be None, for zeros) -> float32 [N, D]."""
        return self.dropout(self.norm(self.sum(word_ids, type_ids, layout)), training)

    def sum(self, word_ids: tf.Tensor, type_ids: tf.Tensor | None, layout: Padded) -> tf.Tensor:
        """int32 [B, S] twice -> float32 [N, width of the tables]."""
        x = self.word(layout.to_tokens(word_ids))
        if self.position is not None:
            x += self.position(layout.positions)
        if self.type is not None and type_ids is None:
            x += self.type.table[0]
        elif self.type is not None:
            x += self.type(layout.to_tokens(type_ids))
        return x
