"""A text embedder: an encoder, its pooling, and what follows."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from encoders.core.encoder import Encoder
from encoders.core.heads import Head
from encoders.core.layout import Layout, Padded
from encoders.core.pooling import Pooling


class Embedder(tf.Module):
    """From packed rows of tokens to a vector each."""

    def __init__(
        self, encoder: Encoder, pooling: Pooling | None = None, heads: Sequence[Head] = ()
    ) -> None:
        """Takes the parts.

        Args:
            encoder: the encoder; with a pooling, one without a pooler, to which no gradient would
                come.
            pooling: makes one vector of a row; None takes the encoder's pooled output.
            heads: the modules behind it, in their order.
        """
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.heads = list(heads)

    def __call__(
        self,
        word_ids: tf.Tensor,
        mask: tf.Tensor,
        type_ids: tf.Tensor | None = None,
        training: bool = False,
        arrange: Callable[[tf.Tensor], Layout] = Padded,
    ) -> tf.Tensor:
        """Embeds a batch; arguments and errors are those of the encoder.

        Returns:
            float32 [B, D], a vector a row; D is what the last module gives.
        """
        encoded = self.encoder(word_ids, mask, type_ids, training, arrange)
        mask = mask[:, : tf.shape(encoded.sequence)[1]]
        x = encoded.pooled if self.pooling is None else self.pooling(encoded.sequence, mask)
        for head in self.heads:
            x = head(x, training)
        return x
