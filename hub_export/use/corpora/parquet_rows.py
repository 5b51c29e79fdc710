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
        types: column -> its type in Arrow, as its values have it; None where all are null.
        binary: those of bytes that are no text.
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
        self.types = value_types(self._file.schema_arrow)
        self.columns: tuple[str, ...] = tuple(self.types)
        self.binary = frozenset(name for name, kind in self.types.items() if _is_binary(kind))
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
            SourceError: there are no such columns, or several of one name.
        """
        require_columns(self._name, self._file.schema_arrow.names, names)
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
        except ValueError as error:  # such as a time to the nanosecond, which Python has not
            raise SourceError(
                f"{self._name}: rows from {self.count + 1} on: a value that Python does not have "
                f"({error}); leave its column out of --keep"
            ) from error


def require_columns(file: str, columns: Sequence[str], wanted: Sequence[str]) -> None:
    """Raises SourceError where a file does not have each of them, or has one several times."""
    wanted = [*dict.fromkeys(wanted)]
    if missing := [name for name in wanted if name not in columns]:
        raise SourceError(f"{file}: expected {', '.join(missing)}; found {', '.join(columns)}")
    if several := [name for name in wanted if columns.count(name) > 1]:
        raise SourceError(f"{file}: several columns are called {', '.join(several)}")


def value_types(schema: Any) -> dict[str, Any]:
    """Column -> the type of its values, however they are stored; None where all are null."""
    return {field.name: _value_type(field.type) for field in schema}


def _value_type(kind: Any) -> Any:
    pyarrow = arrow("Parquet")
    types = pyarrow.types
    if isinstance(kind, pyarrow.BaseExtensionType):
        return _value_type(kind.storage_type)
    if types.is_dictionary(kind):
        return _value_type(kind.value_type)
    if types.is_string_view(kind):
        return pyarrow.string()
    if types.is_binary_view(kind):
        return pyarrow.binary()
    return None if types.is_null(kind) else kind


def _is_binary(kind: Any) -> bool:
    types = arrow("Parquet").types
    several = types.is_binary, types.is_large_binary, types.is_fixed_size_binary
    return kind is not None and any(each(kind) for each in several)


def _with_bytes(batch: Any) -> Any:
    """The same with strings as bytes: not every writer sees to it that they are UTF-8."""
    pyarrow = arrow("Parquet")
    types = pyarrow.types

    def cast(field: Any) -> Any:
        kind = _value_type(field.type)
        text = kind is not None and (types.is_string(kind) or types.is_large_string(kind))
        return field.with_type(pyarrow.large_binary() if text else kind or field.type)

    return batch.cast(pyarrow.schema([cast(field) for field in batch.schema]))
