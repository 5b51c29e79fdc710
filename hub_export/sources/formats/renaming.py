"""Bringing the tensors of other libraries under the names of `transformers`, by tables of rows."""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from encoders import Row
from hub_export.errors import SourceError
from hub_export.sources.formats.tensors import LazyTensors

Fields = Mapping[str, object]


def rename(
    rows: Iterable[Row],
    fields: Iterable[Fields],
    tensors: Mapping[str, np.ndarray],
    file: Path,
) -> LazyTensors:
    """The tensors by the names of `transformers`; each is read when it is asked for.

    Args:
        rows: the table.
        fields: the values of the rows' fields, a mapping for each layer.
        tensors: the tensors of the source, by its names, without those of no use.
        file: where they are from.

    Raises:
        SourceError: lists every tensor that is missing, or that the table does not know.
    """
    written = at(rows, fields)
    required = {row.sources[0] for row in written if not row.optional}
    problems = {
        "missing": required - tensors.keys(),
        "not part of the encoder": tensors.keys() - {row.sources[0] for row in written},
    }
    if lines := [
        "\n  ".join([f"{title} ({len(names)}):", *sorted(names)])
        for title, names in problems.items()
        if names
    ]:
        raise SourceError("\n".join([f"{file}: the tensors do not fill the encoder:", *lines]))
    return LazyTensors(
        {
            row.target: functools.partial(_changed, tensors, row)
            for row in written
            if row.sources[0] in tensors
        }
    )


def at(rows: Iterable[Row], fields: Iterable[Fields]) -> list[Row]:
    """The rows with these values of their fields, of all layers."""
    listed = [*rows]
    return [row.at(**each) for each in fields for row in listed]


def _changed(tensors: Mapping[str, np.ndarray], row: Row) -> np.ndarray:
    return row.change.apply(tensors[row.sources[0]])
