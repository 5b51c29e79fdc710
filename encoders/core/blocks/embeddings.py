"""The input side of the BERT family: word, position and type vectors, summed and normalised."""

from collections.abc import Callable

import tensorflow as tf

from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm, Linear
from encoders.core.layout.layout import Layout

Places = Callable[[tf.Tensor, Layout], tf.Tensor]


def in_row(word_ids: tf.Tensor, layout: Layout) -> tf.Tensor:
    """The row of the position table for each token: its place in its row, int32 [N]."""
    del word_ids
    return layout.positions


def after_padding(padding: int) -> Places:
    """Counts tokens from `padding + 1` on, as fairseq does; padding itself has row `padding`.

    What counts is the id, not the mask: so does `transformers`. The two agree on every row whose
    padding is at its end, whatever id stands there. They differ where a text contains the padding
    token (it has no place, and takes none), and where the mask has holes (what is masked within
    a row keeps its place).
    """

    def places(word_ids: tf.Tensor, layout: Layout) -> tf.Tensor:
        """int32 [B, S] -> int32 [N]; of vectors, none stands for padding."""
        if word_ids.dtype.is_floating:
            return layout.positions + padding + 1
        real = tf.cast(tf.not_equal(word_ids, padding), tf.int32)
        return layout.to_tokens(tf.cumsum(real, axis=1) * real + padding)

    return places


class Embeddings(tf.Module):
    """Sum of the embeddings of a token, layer-normalised, dropped out.

    Where the embeddings are narrower than the blocks (E instead of D), `projection` widens them.
    Where there is only one type, every token has it, whatever its type id.
    """

    def __init__(
        self,
        word: Embedding,
        layer_norm: LayerNorm | None,
        dropout: Dropout,
        position: Embedding | None = None,
        type: Embedding | None = None,
        places: Places = in_row,
        projection: Linear | None = None,
    ) -> None:
        super().__init__()
        self.word = word
        self.position = position
        self.places = places
        self.type = type
        self.layer_norm = layer_norm
        self.dropout = dropout
        self.projection = projection

    def __call__(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """int32 [B, S], or vectors float32 [B, S, E] -> float32 [N, D]."""
        x = self.sum(word_ids, layout, training)
        x = self.dropout(x if self.layer_norm is None else self.layer_norm(x), training)
        return x if self.projection is None else self.projection(x)

    def sum(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """The same, before norm and dropout."""
        type_ids = layout.type_ids
        x = self.words(word_ids, layout, training)
        if self.position is not None:
            x += self._of_places(self.position, word_ids, layout, training)
        if self.type is not None and (type_ids is None or self.type.rows == 1):
            x += self.type[0]
        elif self.type is not None:
            x += self.type(layout.to_tokens(type_ids))
        return x

    def words(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """What stands for the words alone, int32 [B, S] or float32 [B, S, E] -> float32 [N, E]."""
        x = layout.to_tokens(word_ids)
        return x if x.dtype.is_floating else self.word(x, training)

    def _of_places(
        self, position: Embedding, word_ids: tf.Tensor, layout: Layout, training: bool
    ) -> tf.Tensor:
        """The vectors of the tokens' places, float32 [N, D].

        LiteRT's converter to int8 rounds tables that are gathered from, all rows by one scale.
        """
        if layout.is_row and self.places is in_row:
            return position[: layout.length]
        return position(self.places(word_ids, layout), training)
