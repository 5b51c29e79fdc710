"""An exported text embedding, as a program uses it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hub_export import contract
from hub_export.use.corpora.vector_files import Floats
from hub_export.use.models.opening import opened


class TextEmbedder:
    """An exported text embedding.

    Attributes:
        width: D.
        fingerprint: differs between any two models.
    """

    def __init__(self, folder: Path, batch_size: int) -> None:
        """Loads it.

        Args:
            folder: of the SavedModel, or of its LiteRT copy, or a file of that.
            batch_size: how many texts are embedded together.

        Raises:
            SourceError: there is none.
        """
        self._batch_size = batch_size
        self._model = opened(folder, "text embedding", "<name>_text_embedding")
        try:
            signature = self._model.signatures[contract.SERVING]
            width = signature.outputs[contract.DEFAULT][1]
            if contract.TEXT not in signature.inputs or width is None:
                raise KeyError(contract.TEXT)
        except (KeyError, IndexError) as error:
            raise self._model.unlike(error) from error
        self.width, self.fingerprint = width, self._model.fingerprint

    def __call__(self, lines: Sequence[bytes], advance: Callable[[int], object]) -> Floats:
        """Embeds lines, those of similar length together; tells `advance` of every batch.

        Returns:
            float32 [n, D].
        """
        vectors = np.empty((len(lines), self.width), np.float32)
        texts = {contract.TEXT: lines}
        for rows, outputs in self._model(contract.SERVING, texts, self._batch_size):
            vectors[rows] = outputs[contract.DEFAULT]
            advance(len(rows))
        return vectors
