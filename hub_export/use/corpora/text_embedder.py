"""An exported text embedding, as a program uses it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hub_export import contract
from hub_export.use.corpora.vectors import Floats
from hub_export.use.models.portable import TextModel
from hub_export.use.models.text_model import Signature


class TextEmbedder:
    """An exported text embedding.

    Attributes:
        width: D.
        fingerprint: differs between any two models.
    """

    def __init__(self, folder: Path, batch_size: int, threads: int | None = None) -> None:
        """Loads it.

        Args:
            folder: of the SavedModel, or of its LiteRT copy, or a file of that.
            batch_size: how many texts are embedded together.
            threads: as `TextModel` has them.

        Raises:
            SourceError: there is none.
        """
        self._model = TextModel(
            folder,
            batch_size=batch_size,
            threads=threads,
            kind="text embedding",
            where="<name>_text_embedding",
        )
        model = self._model.model
        width = _width(model.signatures.get(contract.SERVING))
        if width is None:
            wanted = f"{contract.TEXT} -> {contract.DEFAULT}"
            raise model.unlike(ValueError(f"its {contract.SERVING} is not {wanted}"))
        self.width, self.fingerprint = width, model.fingerprint

    def __call__(self, lines: Sequence[bytes], advance: Callable[[int], object]) -> Floats:
        """Embeds lines, those of similar length together; tells `advance` of every batch.

        Returns:
            float32 [n, D].
        """
        vectors = np.empty((len(lines), self.width), np.float32)
        texts = {contract.TEXT: lines}
        for rows, outputs in self._model.batches(contract.SERVING, texts):
            vectors[rows] = outputs[contract.DEFAULT]
            advance(len(rows))
        return vectors

    def tokens(self, lines: Sequence[bytes]) -> int:
        """How many tokens lines have, special ones included.

        It is 0 where the model does not say so.
        """
        return self._model.tokens(lines)


def _width(signature: Signature | None) -> int | None:
    """D of a signature from texts to vectors; None of any other."""
    if signature is None or contract.TEXT not in signature.inputs:
        return None
    shape = signature.outputs.get(contract.DEFAULT, ())
    return shape[1] if len(shape) > 1 else None
