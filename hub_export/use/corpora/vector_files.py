"""Files of vectors, and of what is kept of the texts that they belong to."""

import gzip
import io
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

    def __init__(self, path: Path, width: int, dtype: str, kept: Sequence[str]) -> None:
        """Opens nothing yet.

        Raises:
            ExportError: pyarrow is not installed.
        """
        super().__init__(path)
        self._width, self._dtype, self._kept = width, dtype, kept
        self._ipc, self._parquet = (
            arrow(str(path), f"pyarrow.{module}") for module in ("ipc", "parquet")
        )
        self._schema: Any = None

    def open(self, size: int | None) -> None:
        super().open(size)
        if size:
            with self._undamaged(), self.part.open("rb") as file:
                self._schema = self._ipc.open_stream(file).schema

    def append(self, rows: Sequence[Row], answers: Floats) -> None:
        kept = [row.kept for row in rows]
        if self._schema is None:
            types = vector_table.kept_types(kept, self._kept)
            self._schema = vector_table.schema(types, self._width, self._dtype)
        batch = vector_table.record_batch(self._schema, kept, answers, self._dtype)
        written = io.BytesIO()
        with self._ipc.new_stream(written, self._schema) as stream:
            stream.write_batch(batch)
        self.file.write(written.getvalue())

    def name(self) -> None:
        complete = self.path.with_name(f"{self.path.name}.new")
        with self._undamaged(), self.part.open("rb") as file:
            schema = self._windows_schema(file)
            options = {"use_dictionary": [*self._kept]}
            with self._parquet.ParquetWriter(complete, schema, **options) as table:
                while file.peek(1):
                    for batch in self._ipc.open_stream(file):
                        table.write_batch(batch)
        complete.replace(self.path)
        self.part.unlink()

    @contextmanager
    def _undamaged(self) -> Iterator[None]:
        try:
            yield
        except (arrow(str(self.path)).ArrowException, OSError) as error:
            if getattr(error, "errno", None) is not None:  # the operating system's, not Arrow's
                raise
            raise TargetError(
                f"{self.part}: damaged ({error}); begin anew with --restart"
            ) from error

    def _windows_schema(self, file: io.BufferedReader) -> Any:
        if not file.peek(1):
            types = vector_table.kept_types([], self._kept)
            return vector_table.schema(types, self._width, self._dtype)
        schema = self._ipc.open_stream(file).schema
        file.seek(0)
        return schema


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


FORMATS: Mapping[str, Callable[[Path, int, str, Sequence[str]], VectorFile]] = {
    ".npy": lambda path, width, dtype, _: Npy(path, width, dtype),
    ".parquet": Parquet,
    ".tsv": lambda path, *_: Lines(path, _tsv),
    ".jsonl": lambda path, *_: Lines(path, _jsonl),
}
"""By the suffix of its name. Of the path, D, the type of numbers, and the columns to keep."""
