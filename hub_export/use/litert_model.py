"""A LiteRT copy, asked as `TextModel` asks a SavedModel."""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hub_export import litert
from hub_export.contract import DEFAULT, SERVING, SERVING_PAIR, TEXT, TEXT_PAIR
from hub_export.errors import SourceError
from hub_export.litert import description
from hub_export.use.text_model import Arrays, Signature, Text

_CHUNK = 1 << 20
_TOGETHER = 256  # rows: a batch for each of many threads


class LiteRtTextModel:
    """A LiteRT copy by its folder, or by one of its files; loaded when it is first asked.

    It can be pickled: only what the folder is called goes along.
    """

    def __init__(self, place: Path) -> None:
        """Reads the description.

        Args:
            place: the folder, whose most exact file is taken, or a file.

        Raises:
            SourceError: there is no such copy, or it takes no texts.
        """
        self._place = place
        precision = place.stem.rpartition("_")[2] if place.suffix == description.SUFFIX else None
        self._model = litert.TextModel(place if precision is None else place.parent, precision)

    def __reduce__(self) -> tuple[type["LiteRtTextModel"], tuple[Path]]:
        return LiteRtTextModel, (self._place,)

    def __str__(self) -> str:
        return str(self._place)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Differs between any two models."""
        found = hashlib.sha256()
        folder, precision = self._model.folder, self._model.precision
        for name in (description.model_file(precision), description.FILE, description.TOKENIZER):
            with (folder / name).open("rb") as file:
                while chunk := file.read(_CHUNK):
                    found.update(chunk)
        return found.hexdigest()

    @functools.cached_property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        outputs = {
            name: (None, *np.shape(each)[1:]) for name, each in self._model.outputs([""]).items()
        }
        pairs = {SERVING_PAIR: (TEXT, TEXT_PAIR)} if self._model.takes_pairs else {}
        inputs: Mapping[str, tuple[str, ...]] = {SERVING: (TEXT,), **pairs}
        return {name: Signature(each, outputs, True) for name, each in inputs.items()}

    def __call__(
        self, signature: str, texts: Mapping[str, Sequence[Text]], batch_size: int
    ) -> Iterator[tuple[npt.NDArray[np.intp], Arrays]]:
        """Answers rows of similar length together; see `TextModel`.

        The copy itself brings rows of similar length together, and computes some of them at once.
        """
        names = self.signatures[signature].inputs
        count, together = len(texts[TEXT]), max(batch_size, _TOGETHER)
        for begin in range(0, count, together):
            rows = np.arange(begin, min(begin + together, count))
            columns: list[Any] = [texts[name][begin : begin + together] for name in names]
            found = self._model.outputs(*columns)
            yield rows, {name: np.asarray(each) for name, each in found.items()}

    def unlike(self, error: Exception) -> SourceError:
        """What to raise where it is not what it should be."""
        return SourceError(
            f"{self._place}: gives {', '.join(sorted(self.signatures[SERVING].outputs))}, "
            f"not {DEFAULT} ({error}); expected the copy of a text embedding"
        )
