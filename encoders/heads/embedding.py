"""Text embedding (https://arxiv.org/abs/1908.10084): one vector of a text."""

from collections.abc import Sequence

import tensorflow as tf

from encoders.core.encoder import Encoded
from encoders.heads.head import Head, Outputs
from encoders.heads.modules import VectorModule
from encoders.heads.pooling import Pooling

OUTPUT = "default"


class TextEmbedding(Head):
    """Pooling, and the modules behind it."""

    def __init__(
        self, pooling: Pooling | None = None, modules: Sequence[VectorModule] = ()
    ) -> None:
        """Takes the parts, their variables filled.

        Args:
            pooling: makes one vector of a row; None takes the encoder's pooled output. With a
                pooling, the encoder needs no pooler: no gradient would come to it.
            modules: what follows, in this order.
        """
        super().__init__()
        self.pooling = pooling
        self.modules = list(modules)

    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> Outputs:
        """`default`: float32 [B, D], a vector a row; D is what the last module gives."""
        x = encoded.pooled if self.pooling is None else self.pooling(encoded.sequence, mask)
        for module in self.modules:
            x = module(x, training)
        return {OUTPUT: x}
