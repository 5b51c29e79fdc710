"""Vectors as a table of Arrow: what is kept of each text, and its vector."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub_export.errors import SourceError
from hub_export.settings import INT8
from hub_export.use.corpora.arrow import arrow
from hub_export.use.corpora.text_rows import plain
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


def told(
    kept: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], before: int | None = None
) -> dict[str, Any]:
    """The same types of columns, where one is still open as values tell it.

    Args:
        kept: column -> its type in Arrow.
        rows: what is kept of texts, by column.
        before: as `record_batch` has it.

    Raises:
        SourceError: they ask for several.
    """
    return {
        name: _merged(kind, _column(name, [row[name] for row in rows], None, before).type)
        if is_open(kind)
        else kind
        for name, kind in kept.items()
    }


def is_open(kind: Any) -> bool:
    """Whether a type, or one within it, is that of nulls alone."""
    within = (kind.field(at).type for at in range(kind.num_fields))
    return kind == arrow(_NEED).null() or any(map(is_open, within))


def settled(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The same types where no more values come: of nothing, a string."""
    pyarrow = arrow(_NEED)
    return {
        name: pyarrow.string() if kind == pyarrow.null() else kind for name, kind in kept.items()
    }


def record_batch(
    schema: Any,
    rows: Sequence[Mapping[str, Any]],
    vectors: Floats,
    dtype: str,
    before: int | None = None,
) -> Any:
    """The rows of a table.

    Args:
        schema: its columns.
        rows: what is kept of n texts, by column.
        vectors: float32 [n, D].
        dtype: as `stored` has it.
        before: how many rows come before them, for errors, where rows have an order.

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
            values = [row[field.name] for row in rows]
            columns.append(_column(field.name, values, field.type, before))
    return pyarrow.record_batch(columns, schema=schema)


def require_types(kept: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Raises SourceError where what is kept of a text is of other types."""
    for name, kind in types.items():
        _column(name, [kept[name]], kind)


def _column(name: str, values: Sequence[Any], kind: Any, before: int | None = None) -> Any:
    """The values as a type has them, or else as they ask for one; nothing of them is lost."""
    found = _array(values, kind)
    if found is not None:
        return found
    if kind is None:
        alone = _array([next(value for value in values if value is not None)], None)
        kind = None if alone is None else alone.type
    at = next((at for at, value in enumerate(values) if _array([value], kind) is None), 0)
    place = "" if before is None else f"row {before + at + 1}: "
    raise SourceError(
        f"{place}{name}: expected values of one type, that of the first rows ({kind}), "
        f"found {values[at]!r:.60}"
    )


def _array(values: Sequence[Any], kind: Any) -> Any:
    """None where the type does not have all that they say."""
    pyarrow = arrow(_NEED)
    try:
        found = pyarrow.array(values, kind)
    except (pyarrow.ArrowException, OverflowError):
        return None
    return found if all(map(_same, values, found.to_pylist())) else None


def _same(value: Any, stored: Any) -> bool:
    """Whether Arrow, which cuts fractions and drops what has no field, has a value as it is."""
    if isinstance(value, Mapping):
        return value.keys() <= stored.keys() and all(
            _same(each, stored[name]) for name, each in value.items()
        )
    if isinstance(value, list | tuple):
        return len(value) == len(stored) and all(map(_same, value, stored))
    if isinstance(value, bool) != isinstance(stored, bool):
        return False
    return plain(value) == plain(stored) or value != value  # noqa: PLR0124 (no number)


def _merged(kind: Any, other: Any) -> Any:
    """A type with what another one tells of its nulls."""
    pyarrow = arrow(_NEED)
    types = pyarrow.types
    if types.is_null(kind):
        return other
    if types.is_list(kind) and types.is_list(other):
        return pyarrow.list_(_merged(kind.value_type, other.value_type))
    if types.is_struct(kind) and types.is_struct(other):
        fields = [{each.name: each.type for each in struct} for struct in (kind, other)]
        named = {
            name: _merged(fields[0].get(name, pyarrow.null()), fields[1].get(name, pyarrow.null()))
            for name in {**fields[0], **fields[1]}
        }
        return pyarrow.struct([*named.items()])
    return kind
