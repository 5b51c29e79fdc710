"""Files of vectors, and of what is kept of the texts that they belong to."""

import gzip
import io
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hub_export.errors import TargetError
from hub_export.settings import INT8
from hub_export.use.corpora import vector_table
from hub_export.use.corpora.answers import json_lines, json_values
from hub_export.use.corpora.arrow import arrow
from hub_export.use.corpora.growing_file import GrowingFile
from hub_export.use.corpora.text_rows import Row
from hub_export.use.corpora.vectors import SCALE, VECTOR, Floats, stored

VectorFile = GrowingFile[Row, Floats]
"""Of n texts, and float32 [n, D]."""
Kept = Mapping[str, Any]


class Npy(VectorFile):
    """Numbers [rows, D]; `numpy.load(..., mmap_mode="r")` reads a piece at a time.

    Of int8 it is [rows] of a structure: `vector`, int8 [D], and `scale`.
    """

    def __init__(self, path: Path, width: int, dtype: str) -> None:
        super().__init__(path)
        self._width, self._dtype = width, dtype
        little = np.dtype(dtype).newbyteorder("<")
        fields = np.dtype([(VECTOR, little, (width,)), (SCALE, "<f4")])
        self._stored = fields if dtype == INT8 else little

    def append(self, rows: Sequence[Row], answers: Floats) -> None:
        columns = stored(answers, self._dtype)
        if self._dtype != INT8:
            self.file.write(columns[VECTOR].astype(self._stored).tobytes())
            return
        structure = np.empty(len(answers), self._stored)
        for name, values in columns.items():
            structure[name] = values
        self.file.write(structure.tobytes())

    def header(self, rows: int) -> bytes:
        shape = (rows,) if self._dtype == INT8 else (rows, self._width)
        kind = np.lib.format.dtype_to_descr(self._stored)
        content = {"descr": kind, "fortran_order": False, "shape": shape}
        written = io.BytesIO()
        np.lib.format.write_array_header_1_0(written, content)  # it leaves room for more rows
        return written.getvalue()


class Lines(VectorFile):
    """A line a row; where the name asks for it, each window is packed by itself."""

    def __init__(self, path: Path, lines: Callable[[Sequence[Row], Floats], bytes]) -> None:
        super().__init__(path)
        self._lines = lines
        suffix = path.suffix.lower()
        self._pack = _PACKERS.get(suffix, bytes)
        if suffix == ".zst":
            arrow(str(path))

    def append(self, rows: Sequence[Row], answers: Floats) -> None:
        self.file.write(self._pack(self._lines(rows, answers)))


class Metadata(VectorFile):
    """The texts themselves, which the TensorBoard projector shows beside the vectors.

    A tab would begin another column there, the end of a line another row, and an empty line be
    none: each becomes a space.
    """

    def append(self, rows: Sequence[Row], answers: Floats) -> None:
        for (text,) in (row.texts for row in rows):
            assert isinstance(text, bytes)
            self.file.write((text.translate(_SPACES) or b" ") + b"\n")


class Parquet(VectorFile):
    """What is kept of the texts, `vector` and, of int8, `scale`.

    Until it is complete, it is a stream of Arrow for each window, one behind the other: a Parquet
    file cannot be taken up.
    """

    def __init__(self, path: Path, width: int, dtype: str, kept: Kept) -> None:
        """Opens nothing yet.

        Args:
            path: its name in the end.
            width: D.
            dtype: as `stored` has it.
            kept: column -> its type in Arrow, None where the values tell it.

        Raises:
            ExportError: pyarrow is not installed.
        """
        super().__init__(path)
        self._width, self._dtype, self._rows = width, dtype, 0
        self._pyarrow, self._ipc, self._parquet = (
            arrow(str(path), module) for module in ("pyarrow", "pyarrow.ipc", "pyarrow.parquet")
        )
        self._types = {name: kind or self._pyarrow.null() for name, kind in kept.items()}

    def open(self, size: int | None) -> None:
        super().open(size)
        if not size:
            return
        with self._undamaged(), self._pyarrow.memory_map(str(self.part)) as file:
            for window in self._windows(file):
                self._types = {name: window.schema.field(name).type for name in self._types}
                self._rows += sum(map(len, window))

    def append(self, rows: Sequence[Row], answers: Floats) -> None:
        kept = [row.kept for row in rows]
        self._types = vector_table.told(self._types, kept, self._rows)
        schema = vector_table.schema(self._types, self._width, self._dtype)
        batch = vector_table.record_batch(schema, kept, answers, self._dtype, self._rows)
        written = io.BytesIO()
        with self._ipc.new_stream(written, schema) as stream:
            stream.write_batch(batch)
        self.file.write(written.getvalue())
        self._rows += len(rows)

    def name(self) -> None:
        complete = self.path.with_name(f"{self.path.name}.new")
        try:
            self._write(complete)
            complete.replace(self.path)
        except BaseException:
            complete.unlink(missing_ok=True)
            raise
        self.part.unlink()

    def _write(self, complete: Path) -> None:
        types = vector_table.settled(self._types)
        schema = vector_table.schema(types, self._width, self._dtype)
        options = {"use_dictionary": [*types]}
        with (
            self._undamaged(),
            self._pyarrow.OSFile(str(self.part)) as file,
            self._parquet.ParquetWriter(complete, schema, **options) as table,
        ):
            for batch in itertools.chain.from_iterable(self._windows(file)):
                table.write_batch(batch.cast(schema))
        with complete.open("rb") as file:
            os.fsync(file.fileno())

    def _windows(self, file: Any) -> Iterator[Any]:
        """A stream of Arrow for each, which has to be read to its end."""
        while file.tell() < file.size():
            yield self._ipc.open_stream(file)

    @contextmanager
    def _undamaged(self) -> Iterator[None]:
        try:
            yield
        except (self._pyarrow.ArrowException, OSError) as error:
            if getattr(error, "errno", None) is not None:  # the operating system's, not Arrow's
                raise
            raise TargetError(
                f"{self.part}: damaged ({error}); begin anew with --restart"
            ) from error


_SPACES = bytes.maketrans(b"\t\r\n", b"   ")
_PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": lambda lines: arrow("Zstandard").compress(lines, "zstd", asbytes=True),
}


def _tsv(rows: Sequence[Row], vectors: Floats) -> bytes:
    """As the TensorBoard projector reads it; nine digits give every float32 back."""
    written = io.BytesIO()
    np.savetxt(written, vectors, fmt="%.9g", delimiter="\t")
    return written.getvalue()


def _jsonl(rows: Sequence[Row], vectors: Floats) -> bytes:
    return b"".join(json_lines(rows, [{VECTOR: each} for each in json_values(vectors)]))


FORMATS: Mapping[str, Callable[[Path, int, str, Kept], VectorFile]] = {
    ".npy": lambda path, width, dtype, _: Npy(path, width, dtype),
    ".parquet": Parquet,
    ".tsv": lambda path, *_: Lines(path, _tsv),
    ".jsonl": lambda path, *_: Lines(path, _jsonl),
}
"""By the suffix of its name. Of the path, D, the type of numbers, and the columns to keep, as
`Parquet` has them."""
