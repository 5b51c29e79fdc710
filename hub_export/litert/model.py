"""A LiteRT copy that takes rows of tokens."""

import bisect
import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hub_export.errors import ExportError, SourceError
from hub_export.litert import description
from hub_export.litert.description import INPUTS
from hub_export.litert.interpreters import Arrays, Interpreters

Ints = Sequence[int] | npt.NDArray[np.int32]
Outputs = dict[str, npt.NDArray[Any] | list[npt.NDArray[Any]]]
ASKED = 2
"""What the mask of a row has at the position that is asked about, where one is."""
Batch = tuple[Sequence[int], int]
"""Places of rows, and the length that they are padded to."""


class Row(NamedTuple):
    """A row of S tokens.

    Attributes:
        word_ids: int [S].
        mask: int [S], 0 where a position is padding; ASKED where one is asked about.
        type_ids: int [S].
    """

    word_ids: Ints
    mask: Ints
    type_ids: Ints


class Model:
    """A LiteRT copy by its folder, of one precision.

    Signatures have fixed shapes: rows are padded to the next length that there is one for, and
    many rows are computed by several interpreters, each on a thread of its own. It may be called
    from several threads, and be pickled: what is loaded is not.

    Attributes:
        description: what it is.
        precision: what its weights are stored as.
    """

    def __init__(
        self, folder: str | Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        """Loads nothing but the description.

        Args:
            folder: of the copy.
            precision: `float32`, `float16` or `int8`; by default the most exact that there is.
            threads: how many cores it may use; by default all that the process has.

        Raises:
            SourceError: there is no such copy.
            ExportError: LiteRT is not installed, or `threads` less than one.
        """
        self._arguments = folder, precision, threads
        self.folder = Path(folder)
        self.description = description.read(self.folder)
        there = description.precisions(self.folder)
        if not there or precision not in (None, *there):
            found = ", ".join(there) or "none"
            raise SourceError(
                f"{folder}: expected the precision {precision or 'float32'}, found {found}; "
                "export it with --litert=" + (precision or "float32")
            )
        if threads is not None and threads < 1:
            raise ExportError(f"threads must be 1 or more, not {threads}")
        self.precision = precision or there[0]
        self._threads = threads or cores()
        file = self.folder / description.model_file(self.precision)
        # One alone is the quicker for several threads; of many, each has one.
        self._alone, self._beside = Interpreters(file, self._threads), Interpreters(file, 1)
        self._lengths = sorted({length for _, length in self.description.shapes})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments

    def __call__(self, rows: Sequence[Row]) -> Outputs:
        """Computes rows, those of similar length together.

        Returns:
            Name -> float32 [n, ...] for n rows; of what has a value for each token, a list of
            n [S, ...]. Of no rows, no names.

        Raises:
            ExportError: a row is longer than the longest signature, or has an id that the model
                does not have.
            SourceError: the file is damaged.
        """
        batches = [*self._batches([len(row.word_ids) for row in rows])]
        if len(batches) == 1:
            return self._ordered(rows, batches, [self._compute(self._alone, rows, batches[0])])
        compute = functools.partial(self._compute, self._beside, rows)
        with ThreadPoolExecutor(self._threads) as pool:
            return self._ordered(rows, batches, [*pool.map(compute, batches)])

    def _batches(self, lengths: Sequence[int]) -> Iterator[Batch]:
        """Which rows are computed together, and how long they are then."""
        longest = self.description.longest
        if lengths and max(lengths) > longest:
            raise ExportError(
                f"{self.folder}: rows of at most {longest} tokens, found {max(lengths)}"
            )

        def fitting(place: int) -> int:
            return self._lengths[bisect.bisect_left(self._lengths, lengths[place])]

        # The longest first, so that no thread has one left to compute at the end.
        order = sorted(range(len(lengths)), key=lambda place: -fitting(place))
        for length, group in itertools.groupby(order, fitting):
            places, shapes = [*group], self.description.shapes
            counts = sorted((rows for rows, each in shapes if each == length), reverse=True)
            while places:
                count = next(each for each in counts if each <= len(places))
                yield places[:count], length
                places = places[count:]

    def _compute(self, interpreters: Interpreters, rows: Sequence[Row], batch: Batch) -> Arrays:
        places, length = batch
        some = [rows[place] for place in places]
        longest = max(len(row.word_ids) for row in some)
        inputs = self._padded(some, longest if self.description.any_length else length)
        signature = description.signature(len(places), length)
        with interpreters.lent(signature) as run:
            return run(signature, inputs)

    def _padded(self, rows: Sequence[Row], length: int) -> Arrays:
        """The inputs of a signature, int32 [B, length] each."""
        found = {}
        for name, columns, rest in zip(
            INPUTS, zip(*rows, strict=True), (self.description.padding, 0, 0), strict=True
        ):
            found[name] = np.full((len(rows), length), rest, np.int32)
            for values, column in zip(found[name], columns, strict=True):
                values[: len(column)] = column
        return found

    def _ordered(
        self, rows: Sequence[Row], batches: Sequence[Batch], computed: Sequence[Arrays]
    ) -> Outputs:
        """What was computed of batches, in the order of the rows."""
        places = np.argsort([row for some, _ in batches for row in some])
        found: Outputs = {}
        for name in computed[0] if computed else ():
            if name not in self.description.by_token:
                found[name] = np.concatenate([each[name] for each in computed])[places]
                continue
            values = [value for each in computed for value in each[name]]
            pairs = zip(places, rows, strict=True)
            found[name] = [values[at][: len(row.word_ids)] for at, row in pairs]
        return found


def cores() -> int:
    """How many the process has, or where the system (macOS, Windows) cannot tell, the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
