"""Vectors as a table of Arrow: what is kept of each text, and its vector."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub_export.errors import SourceError
from hub_export.settings import INT8
from hub_export.use.corpora.arrow import arrow
from hub_export.use.corpora.vectors import SCALE, VECTOR, Floats, stored

_NEED = "a table of vectors"


def schema(kept: Mapping[str, Any], width: int, dtype: str) -> Any:
    """The columns of a table.

    Args:
        kept: column -> its type in Arrow.
        width: D.
        dtype: as `stored` has it.
    """
    pyarrow = arrow(_NEED)
    number = pyarrow.from_numpy_dtype(dtype)
    columns = [*kept.items(), (VECTOR, pyarrow.list_(number, width))]
    return pyarrow.schema(columns + [(SCALE, pyarrow.float32())] * (dtype == INT8))


def kept_types(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Column -> the type that its values ask for; of nothing, a string.

    Raises:
        SourceError: they ask for several.
    """
    pyarrow = arrow(_NEED)
    found = {name: _column(name, [row[name] for row in rows], None).type for name in names}
    none = pyarrow.null()
    return {name: pyarrow.string() if kind == none else kind for name, kind in found.items()}


def record_batch(
    schema: Any, rows: Sequence[Mapping[str, Any]], vectors: Floats, dtype: str
) -> Any:
    """The rows of a table.

    Args:
        schema: its columns.
        rows: what is kept of n texts, by column.
        vectors: float32 [n, D].
        dtype: as `stored` has it.

    Raises:
        SourceError: what is kept is of another type than in the rows before.
    """
    pyarrow, numbers = arrow(_NEED), stored(vectors, dtype)
    columns = []
    for field in schema:
        if field.name == VECTOR:
            flat = pyarrow.array(numbers[VECTOR].ravel())
            columns.append(pyarrow.FixedSizeListArray.from_arrays(flat, type=field.type))
        elif field.name in numbers:
            columns.append(pyarrow.array(numbers[field.name]))
        else:
            columns.append(_column(field.name, [row[field.name] for row in rows], field.type))
    return pyarrow.record_batch(columns, schema=schema)


def require_types(kept: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Raises SourceError where what is kept of a text is of other types."""
    for name, kind in types.items():
        _column(name, [kept[name]], kind)


def _column(name: str, values: Sequence[Any], kind: Any) -> Any:
    pyarrow = arrow(_NEED)
    try:
        return pyarrow.array(values, kind)
    except (pyarrow.ArrowException, OverflowError) as error:
        raise SourceError(
            f"{name}: expected values of one type, that of the first rows ({error})"
        ) from error
