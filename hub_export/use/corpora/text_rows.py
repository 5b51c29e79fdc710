"""Rows of texts: what the records of a file stand for, as plain text, TSV, JSON or Parquet."""

import dataclasses
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hub_export.errors import SourceError
from hub_export.settings import AUTO
from hub_export.use.corpora.parquet_rows import ParquetRows
from hub_export.use.corpora.text_lines import MARK, TextLines
from hub_export.use.models.strings import utf8

PLAIN, TSV, JSONL, PARQUET = "text", "tsv", "jsonl", "parquet"
FORMATS = (AUTO, PLAIN, TSV, JSONL, PARQUET)
PACKED = (".gz", ".zst")
"""What may stand behind the name of a file of lines."""
PLAIN_COLUMN = "text"
"""What the one column of plain lines is called."""
_SUFFIXES = {".tsv": TSV, ".jsonl": JSONL, ".ndjson": JSONL, ".parquet": PARQUET}
_OTHERS = (".csv", ".json", ".arrow")

Values = Mapping[str, Any]
"""Column -> bytes, or a value of JSON."""


@dataclasses.dataclass(frozen=True)
class Row:
    """What a record says.

    Attributes:
        texts: one for each input, or a list of them where that is what the input takes.
        kept: column -> what is copied to the output.
    """

    texts: tuple[bytes | tuple[bytes, ...], ...]
    kept: Values


@dataclasses.dataclass(frozen=True)
class Table:
    """How records are read.

    Attributes:
        columns: their names, so far as they are known before a record is read.
        values: what a record says; raises SourceError.
        select: told which columns are wanted; raises SourceError where it knows of none such.
        types: column -> its type in Arrow, where the file says so.
        binary: columns of bytes that are no text, and are copied as they are.
    """

    columns: tuple[str, ...]
    values: Callable[[Any], Values]
    select: Callable[[Sequence[str]], object] = lambda names: None
    types: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    binary: Collection[str] = ()


def format_of(name: str, said: str = AUTO) -> str:
    """The format that is said, or else the one that a file's name says.

    Raises:
        SourceError: it is one that is not read.
    """
    if said != AUTO:
        return said
    last = unpacked(name)
    if last in _OTHERS:
        raise SourceError(
            f"{name}: expected plain lines, .tsv, .jsonl or .parquet, found {last}; make one of "
            "them of it, or say which it is by --format"
        )
    return _SUFFIXES.get(last, PLAIN)


def unpacked(name: str) -> str:
    """The suffix of a name that says what a file is, without that of how it is packed."""
    suffixes = [each.lower() for each in Path(name).suffixes]
    return next((each for each in reversed(suffixes) if each not in PACKED), "")


def table(lines: TextLines | ParquetRows, format: str, look: bool) -> Table:
    """Reads what stands before the rows.

    Args:
        lines: not read yet.
        format: PLAIN, TSV or JSONL, of lines.
        look: whether the names of columns are wanted where only the first row has them.

    Raises:
        SourceError: there are no names, or some twice; the first row is wrong.
    """
    if isinstance(lines, ParquetRows):
        return Table(lines.columns, lambda row: row, lines.select, lines.types, lines.binary)
    if format == PLAIN:
        return Table((PLAIN_COLUMN,), lambda line: {PLAIN_COLUMN: line})
    if format == JSONL:
        first = lines.first() if look else b""
        with lines.placed(1):
            return Table(tuple(json_object(first)) if first else (), json_object)
    with lines.placed(1):
        columns = _header(lines.header())
    return Table(columns, lambda line: _fields(columns, line))


def reader(
    table: Table,
    inputs: Sequence[str],
    kept: Sequence[str],
    lists: Collection[str] = (),
) -> Callable[[Any], Row]:
    """What makes a row of a record.

    Args:
        table: how records are read.
        inputs: the columns whose texts are asked, in their order.
        kept: those that are copied.
        lists: those of the inputs that are lists of texts.

    Returns:
        A function that raises SourceError where a record lacks one, or a text is none.

    Raises:
        SourceError: the table has no such columns.
    """
    table.select([*inputs, *kept])
    binary = frozenset(table.binary)

    def read(record: Any) -> Row:
        found = table.values(record)
        if missing := [name for name in dict.fromkeys([*inputs, *kept]) if name not in found]:
            raise SourceError(f"expected {', '.join(missing)}; found {', '.join(found) or 'none'}")
        texts = tuple((_texts if name in lists else _text)(name, found[name]) for name in inputs)
        copied = {each: found[each] if each in binary else plain(found[each]) for each in kept}
        return Row(texts, copied)

    return read


def plain(value: Any) -> Any:
    """A value of JSON: bytes become a string, U+FFFD in the place of what is not UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _header(line: bytes) -> tuple[str, ...]:
    columns = [plain(each) for each in line.split(b"\t")]
    if not all(columns):
        raise SourceError(f"expected names of columns, parted by tabs, found {_shown(line)}")
    if twice := sorted({each for each in columns if columns.count(each) > 1}):
        raise SourceError(f"several columns are called {', '.join(twice)}")
    return tuple(columns)


def _fields(columns: Sequence[str], line: bytes) -> Values:
    fields = line.split(b"\t")
    if len(fields) != len(columns):
        raise SourceError(
            f"expected {len(columns)} columns ({', '.join(columns)}), found {len(fields)}"
        )
    return dict(zip(columns, fields, strict=True))


def json_object(line: bytes) -> Values:
    """What a line of JSON says; raises SourceError where it is no object."""
    try:
        found = json.loads(
            plain(line.removeprefix(MARK)), parse_constant=_refuse, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise SourceError(f"expected an object in JSON, found {_shown(line)} ({error})") from error
    if not isinstance(found, dict):
        raise SourceError(f"expected an object in JSON, found {_shown(line)}")
    return found


def _finite(number: str) -> float:
    found = float(number)
    return found if math.isfinite(found) else _refuse(number)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _text(name: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        shown = _shown(json.dumps(value, default=str).encode())
        raise SourceError(f"{name}: expected a string, found {shown}")
    return utf8(value)


def _texts(name: str, value: Any) -> tuple[bytes, ...]:
    if not isinstance(value, list):
        shown = _shown(json.dumps(plain(value), default=str).encode())
        raise SourceError(f"{name}: expected a list of strings, as .jsonl has them, found {shown}")
    return tuple(_text(name, each) for each in value)


def _shown(line: bytes) -> str:
    return f"{plain(line):.60}" if line.strip() else "an empty line"
