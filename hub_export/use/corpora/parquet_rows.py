"""Rows of a Parquet file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hub_export.errors import SourceError
from hub_export.use.corpora.arrow import arrow
from hub_export.use.corpora.records import Records

_TOGETHER = 1024  # rows that are decoded at once


class ParquetRows(Records[Mapping[str, Any]]):
    """The rows of a Parquet file: column -> value, bytes where it is a string.

    Attributes:
        columns: their names.
    """

    unit = "row"

    def __init__(self, path: Path, done: str) -> None:
        """Reads what stands at the end of the file.

        Args:
            path: of the file.
            done: as `Records` has it.

        Raises:
            SourceError: it is none.
            ExportError: pyarrow is not installed.
        """
        super().__init__(str(path), done)
        pyarrow, parquet = arrow(str(path)), arrow(str(path), "pyarrow.parquet")
        self._errors = pyarrow.ArrowException
        try:
            # Not a whole group of rows at once: they may be as large as the file.
            self._file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        except self._errors as error:
            raise SourceError(f"{path}: cannot be read as Parquet ({error})") from error
        self.columns: tuple[str, ...] = tuple(self._file.schema_arrow.names)
        self._rows = self._decoded(self.columns)

    @property
    def offset(self) -> int:
        return self.count

    @property
    def total(self) -> int:
        return int(self._file.metadata.num_rows)

    def select(self, names: Sequence[str]) -> None:
        """Says which columns are wanted; others are not read.

        Raises:
            SourceError: there are no such columns.
        """
        if missing := [name for name in names if name not in self.columns]:
            raise SourceError(
                f"{self._name}: expected {', '.join(missing)}; found {', '.join(self.columns)}"
            )
        self._rows = self._decoded(names)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def skip(self, offset: int, digest: str) -> None:
        while self.count < offset and self._take() is not None:
            pass
        if (self.count, self.digest) != (offset, digest):
            raise self._changed(offset, "rows")

    def _take(self) -> Mapping[str, Any] | None:
        row = next(self._rows, None)
        if row is not None:
            content = repr([*row.values()]).encode()
            self._digest.update(content)
            self.size += len(content)
            self.count += 1
        return row

    def _decoded(self, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        batches = self._file.iter_batches(_TOGETHER, columns=[*dict.fromkeys(names)])
        try:
            for batch in batches:
                yield from _with_bytes(batch).to_pylist()
        except (self._errors, OSError) as error:
            raise SourceError(f"{self._name}: row {self.count + 1}: damaged ({error})") from error


def _with_bytes(batch: Any) -> Any:
    """The same with strings as bytes: not every writer sees to it that they are UTF-8."""
    pyarrow = arrow("Parquet")
    types, schema = pyarrow.types, batch.schema

    def cast(kind: Any) -> Any:
        kind = kind.value_type if types.is_dictionary(kind) else kind
        text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
        return pyarrow.large_binary() if text else kind

    fields = [field.with_type(cast(field.type)) for field in schema]
    return batch.cast(pyarrow.schema(fields))
