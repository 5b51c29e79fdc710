"""The encoder as a part of an export."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from encoders import Encoder
from hub_export import contract
from hub_export.models.encoder import EncoderModel
from hub_export.models.part import Part, naming, not_compared, write
from hub_export.publish.report import Check
from hub_export.sources.formats import torch_files
from hub_export.terminal import Progress
from hub_export.verify import numbers, reference


class EncoderPart(Part):
    """The encoder."""

    @property
    def folder(self) -> str:
        size = self.size
        return f"{self.settings.name}_L-{size.layers}_H-{size.width}_A-{size.heads}"

    def save(self, path: Path) -> None:
        with naming(self.checkpoint.weights_file):
            # The tensors are let go as soon as the encoder has them.
            encoder, filled = self.build()
        self._pooler = encoder.pooler is not None
        unused = {**filled.unused, **self.checkpoint.unused}
        self.notes = {contract.POOLED: _pooled(encoder), "unused_tensors": unused}
        write(EncoderModel(encoder), path)

    def verify(self, path: Path, progress: Progress) -> list[Check]:
        if not torch_files.available():
            return [not_compared("numbers")]
        # The source's model is let go before the export is loaded: never both in memory.
        source = reference.Reference(self.checkpoint, self.size, self._pooler)
        answers = numbers.expected(source, self.size)
        del source
        model = tf.saved_model.load(str(path))
        return numbers.verify(model, answers, self.closeness, progress)


def _pooled(encoder: Encoder) -> str:
    """What the encoder's pooled output is, in words."""
    if encoder.pooler is None:
        return "the first token's vector"
    if not np.any(encoder.pooler.dense.bias):
        # `transformers` starts from zeros; no training leaves every one of them as it was.
        return "the output of the pooler, whose bias is zero: it has probably not been trained"
    return "the pooler's output"
