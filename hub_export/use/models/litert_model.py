"""A LiteRT copy, asked as `SavedTextModel` asks a SavedModel."""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hub_export import litert
from hub_export.contract import CHOICES, SERVING
from hub_export.errors import SourceError
from hub_export.litert import description
from hub_export.use.models.strings import utf8
from hub_export.use.models.text_model import Arrays, Signature, Text, batches

_CHUNK = 1 << 20
_TOGETHER = 256  # rows: a batch for each of many threads


class LiteRtTextModel:
    """A LiteRT copy by its folder, or by one of its files; loaded when it is first asked.

    It can be pickled: only what the folder is called goes along.
    """

    def __init__(self, place: Path, threads: int | None = None) -> None:
        """Reads the description.

        Args:
            place: the folder, whose most exact file is taken, or a file.
            threads: how many cores it may use; by default all that the process has.

        Raises:
            SourceError: there is no such copy, or it takes no texts.
            ExportError: `threads` is less than one.
        """
        self._place, self._threads = place, threads
        precision = place.stem.rpartition("_")[2] if place.suffix == description.SUFFIX else None
        folder = place if precision is None else place.parent
        self._model = litert.TextModel(folder, precision, threads)

    def __reduce__(self) -> tuple[type["LiteRtTextModel"], tuple[Path, int | None]]:
        return LiteRtTextModel, (self._place, self._threads)

    def __str__(self) -> str:
        return str(self._place)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Differs between any two models."""
        found = hashlib.sha256()
        folder, precision = self._model.model.folder, self._model.model.precision
        for name in (description.model_file(precision), description.FILE, description.TOKENIZER):
            with (folder / name).open("rb") as file:
                while chunk := file.read(_CHUNK):
                    found.update(chunk)
        return found.hexdigest()

    @functools.cached_property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        found = {}
        for name, (inputs, ask) in self._model.signatures.items():
            outputs = ask(*([[""]] if each == CHOICES else [""] for each in inputs))
            shapes = {key: (None, *np.shape(each)[1:]) for key, each in outputs.items()}
            found[name] = Signature(inputs, shapes, True)
        return found

    def __call__(
        self, signature: str, texts: Mapping[str, Sequence[Text]], batch_size: int
    ) -> Iterator[tuple[npt.NDArray[np.intp], Arrays]]:
        """Answers rows of similar length together; see `SavedTextModel`.

        Batches are large: the copy itself computes some of their rows at once, on each thread.
        """
        inputs, ask = self._model.signatures[signature]
        for rows in batches([*texts.values()], max(batch_size, _TOGETHER)):
            found = ask(*([texts[name][row] for row in rows] for name in inputs))
            yield rows, {name: _as_saved(each) for name, each in found.items()}

    def tokens(self, texts: Sequence[bytes], batch_size: int) -> int:
        """How many tokens texts have, special ones included."""
        del batch_size  # its tokenizer reads each text by itself
        return sum(int(np.count_nonzero(row.mask)) for row in self._model.rows(texts))

    def unlike(self, error: Exception) -> SourceError:
        """What to raise where it is not what it should be."""
        return SourceError(
            f"{self._place}: expected the copy of a text embedding: {error}, but gives "
            f"{', '.join(sorted(self.signatures[SERVING].outputs))}"
        )


def _as_saved(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Strings as a SavedModel gives them, bytes in UTF-8; numbers as they are."""
    return np.vectorize(utf8, otypes=[object])(array) if array.dtype == object else array
