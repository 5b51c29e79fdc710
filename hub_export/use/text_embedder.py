"""An exported text embedding, as a program uses it."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_text  # noqa: F401 (its operations)

from hub_export import contract
from hub_export.errors import SourceError
from hub_export.use.vector_files import Floats

# What tells a model from another: the index has a checksum of every variable.
_FINGERPRINTED = ("saved_model.pb", "variables/variables.index")


class TextEmbedder:
    """An exported text embedding.

    Attributes:
        width: D.
        fingerprint: differs between any two models.
    """

    def __init__(self, folder: Path) -> None:
        """Loads it.

        Raises:
            SourceError: there is none.
        """
        try:
            self._model = tf.saved_model.load(str(folder))
            self._serve = self._model.signatures[contract.SERVING]
            if contract.TEXT not in self._serve.structured_input_signature[1]:
                raise KeyError(contract.TEXT)
            self.width: int = self._serve.structured_outputs[contract.DEFAULT].shape[1]
        except (OSError, KeyError, AttributeError, IndexError, tf.errors.OpError) as error:
            raise SourceError(
                f"{folder}: not a text embedding that hub_export wrote ({error}); expected "
                "<output_dir>/<name>_text_embedding/<version>"
            ) from error
        contents = (folder / file for file in _FINGERPRINTED)
        self.fingerprint = hashlib.sha256(
            b"".join(file.read_bytes() for file in contents)
        ).hexdigest()

    def __call__(
        self, lines: Sequence[bytes], batch_size: int
    ) -> Iterator[tuple[npt.NDArray[np.intp], Floats]]:
        """Embeds lines of similar length together.

        Returns:
            For each batch which of the lines it holds, [n], and their vectors, float32 [n, D].
        """
        order = np.argsort([len(line) for line in lines], kind="stable")
        for begin in range(0, len(lines), batch_size):
            rows = order[begin : begin + batch_size]
            texts = tf.constant([lines[row] for row in rows])
            yield rows, self._serve(text=texts)[contract.DEFAULT].numpy()
