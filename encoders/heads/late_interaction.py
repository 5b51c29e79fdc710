"""Late interaction (ColBERT, https://arxiv.org/abs/2004.12832): a vector of each token."""

from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf

from encoders.core.encoder import Encoded, Encoder
from encoders.heads.head import Outputs, TaskHead

VECTORS = "vectors"


class LateInteraction(TaskHead):
    """Gives `vectors`, float32 [B, S, D], of padding too; D is what the last module gives.

    Attributes:
        modules: make a vector of each that the encoder gives.
    """

    takes_modules = True
    task = "late-interaction"
    ending = "HF_ColBERT"
    forms: ClassVar[Mapping[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.modules = []

    @classmethod
    def of(
        cls, config: Mapping[str, Any], encoder: Encoder, outputs: int, form: Any = None
    ) -> "LateInteraction":
        """The head of a checkpoint of any architecture."""
        del config, encoder, outputs, form
        return cls()

    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> Outputs:
        """`vectors`: float32 [B, S, D]."""
        del mask
        x = encoded.sequence
        for module in self.modules:
            x = module(x, training)
        return {VECTORS: x}
