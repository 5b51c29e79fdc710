"""A text model that engines send to their workers: Beam, Ray, Spark, `multiprocessing`."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hub_export.contract import CHOICES, ROW_SPLITS
from hub_export.errors import ExportError
from hub_export.use.models.opening import opened
from hub_export.use.models.signatures import choose, flat_outputs
from hub_export.use.models.strings import utf8
from hub_export.use.models.text_model import AnyTextModel, Arrays, Text

Batch = tuple[npt.NDArray[np.intp], Arrays]
"""Which of the rows, [B], and the outputs by name."""


class TextModel:
    """An exported text embedding or task model, a SavedModel or a LiteRT copy, by its path.

    It is loaded once a process, when it is first asked. It can be pickled before and after that:
    only the path and the options go along.

        model = TextModel("exported/all_minilm_l6_v2_text_embedding/1")
        vectors = model(["How old are you?", "What is your age?"])["default"]  # float32 [2, 384]
    """

    def __init__(
        self,
        path: str | Path,
        *,
        signature: str | None = None,
        batch_size: int = 128,
        threads: int | None = None,
        kind: str = "text model",
        where: str = "<name>_<task>",
    ) -> None:
        """Loads nothing yet.

        Args:
            path: folder of a SavedModel or of a LiteRT copy, or a file of a copy.
            signature: which one to ask; by default the one that takes as many texts a row as are
                given.
            batch_size: rows that are asked together.
            threads: how many cores it may use; by default all that the process has. TensorFlow
                has one number for a process, which is set before it computes anything.
            kind: what it should be, for errors.
            where: how exports of this kind are called, for errors.

        Raises:
            ExportError: `batch_size` is less than one.
        """
        if batch_size < 1:
            raise ExportError(f"batch_size must be 1 or more, not {batch_size}")
        self._path, self._signature, self._batch_size = Path(path), signature, batch_size
        self._opening: dict[str, Any] = {"kind": kind, "where": where, "threads": threads}
        self._known_flat: dict[str, list[str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: each for name, each in vars(self).items() if name != "model"}

    @functools.cached_property
    def model(self) -> AnyTextModel:
        """What it is: its signatures, its fingerprint.

        Raises:
            SourceError: a copy is none, or takes no texts.
            ExportError: there is no such number of threads, or TensorFlow has begun with another.
        """
        return opened(self._path, **self._opening)

    def __call__(self, *texts: Sequence[str | bytes | Sequence[str | bytes]]) -> Arrays:
        """Answers rows in their order, those of similar length together.

        Args:
            *texts: n of each input of the signature, in the order of its inputs; lists of texts
                where it takes these (choices).

        Returns:
            The outputs by name, [n, ...], strings as bytes in UTF-8; where a model finds any number
            m of things, [m, ...] and ROW_SPLITS, int64 [n + 1].

        Raises:
            SourceError: there is no model, or no signature that takes so many texts.
            ExportError: the inputs are not as long as each other, it has no answer, or rows have
                answers of different shapes, which are to be asked separately.
        """
        if len({len(column) for column in texts}) > 1:
            raise ExportError(
                f"texts: expected as many of each, found {', '.join(str(len(t)) for t in texts)}"
            )
        signature = choose(self.model, self._signature, len(texts), ())
        inputs = self.model.signatures[signature].inputs
        if len(inputs) != len(texts):
            raise ExportError(
                f"{self.model}: {signature}: expected {', '.join(inputs)}, found {len(texts)} "
                "sequences of texts"
            )
        columns = [[_bytes(text) for text in column] for column in texts]
        if not columns[0]:
            return self._of_nothing(signature)
        found = self.batches(signature, dict(zip(inputs, columns, strict=True)))
        return _in_order([*found], self._flat(signature))

    def batches(self, signature: str, texts: Mapping[str, Sequence[Text]]) -> Iterator[Batch]:
        """Answers batch by batch, as they are computed; see `SavedTextModel`."""
        return self.model(signature, texts, self._batch_size)

    def tokens(self, texts: Sequence[bytes]) -> int:
        """How many tokens texts have, special ones included; 0 where the model does not say so."""
        return self.model.tokens(texts, self._batch_size)

    def _flat(self, signature: str) -> list[str]:
        if signature not in self._known_flat:
            self._known_flat[signature] = flat_outputs(self.model, signature)
        return self._known_flat[signature]

    def _of_nothing(self, signature: str) -> Arrays:
        """The outputs of no rows, with the types of others."""
        probe: dict[str, Sequence[Text]] = {
            name: [(b"",) if name == CHOICES else b""]
            for name in self.model.signatures[signature].inputs
        }
        ((_, outputs),) = self.batches(signature, probe)
        return {n: each[: 1 if n == ROW_SPLITS else 0] for n, each in outputs.items()}


def _bytes(text: str | bytes | Sequence[str | bytes]) -> Text:
    if isinstance(text, str):
        return utf8(text)
    return text if isinstance(text, bytes) else [utf8(t) if isinstance(t, str) else t for t in text]


def _in_order(answered: Sequence[Batch], flat: Sequence[str]) -> Arrays:
    """The outputs of batches behind each other, as the rows stood."""
    order = np.argsort(np.concatenate([rows for rows, _ in answered]))
    found = {}
    for name in answered[0][1]:
        if name == ROW_SPLITS:
            counts = np.concatenate([np.diff(outputs[name]) for _, outputs in answered])[order]
            found[name] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            continue
        parts = [outputs[name] for _, outputs in answered]
        if len(shapes := {part.shape[1:] for part in parts}) > 1:
            raise ExportError(
                f"{name}: rows have the shapes {sorted(shapes)}; ask those of one shape together"
            )
        if name in flat:
            rows = [row for _, outputs in answered for row in _rows(outputs, name)]
            found[name] = np.concatenate([rows[place] for place in order])
        else:
            found[name] = np.concatenate(parts)[order]
    return found


def _rows(outputs: Arrays, name: str) -> list[npt.NDArray[Any]]:
    """What was found in each row."""
    return np.split(outputs[name], outputs[ROW_SPLITS][1:-1])
