"""The input side of the BERT family: word, position and type vectors, summed and normalised."""

import tensorflow as tf

from encoders.core.layers import Dropout, Embedding, LayerNorm
from encoders.core.layout import Padded


class Embeddings(tf.Module):
    """Sum of the embeddings of a token, layer-normalised, dropped out."""

    def __init__(
        self,
        word: Embedding,
        position: Embedding,
        norm: LayerNorm,
        dropout: Dropout,
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
        """int32 [B, S] twice (`type_ids` may be None, for zeros) -> float32 [N, D].

        Raises:
            ValueError, tf.errors.InvalidArgumentError: S exceeds the position table.
        """
        tf.debugging.assert_less_equal(
            layout.length,
            self.position.rows,
            message="the sequence length exceeds the number of positions",
        )
        x = self.word(layout.to_tokens(word_ids)) + self.position(layout.positions)
        if self.type is not None and type_ids is None:
            x += self.type.table[0]
        elif self.type is not None:
            x += self.type(layout.to_tokens(type_ids))
        return self.dropout(self.norm(x), training)
