"""Tables that bring the tensors of other libraries under the names of `transformers`.

A table is data, as those of `encoders` are. Each row names a tensor of `transformers`, the one of
the source that it is made of, and how; fields in braces stand for indices.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from hub_export.errors import SourceError
from hub_export.sources.formats.tensors import LazyTensors

Change = Callable[[np.ndarray], np.ndarray]
Fields = Mapping[str, object]


def unchanged(tensor: np.ndarray) -> np.ndarray:
    """The tensor itself."""
    return tensor


def split_outputs(kernel: np.ndarray) -> np.ndarray:
    """[in, out] or [in, heads, width of a head] -> torch's [out, in]."""
    return kernel.reshape(kernel.shape[0], -1).T


def split_inputs(kernel: np.ndarray) -> np.ndarray:
    """[in, out] or [heads, width of a head, out] -> torch's [out, in]."""
    return kernel.reshape(-1, kernel.shape[-1]).T


def flat(bias: np.ndarray) -> np.ndarray:
    """[out] or [heads, width of a head] -> [out]."""
    return bias.reshape(-1)


@dataclasses.dataclass(frozen=True)
class Renamed:
    """A tensor under another name.

    Attributes:
        target: its name in `transformers`.
        source: its name in the source.
        change: makes the one of the other.
        optional: whether the source may lack it.
    """

    target: str
    source: str
    change: Change = unchanged
    optional: bool = False


def rename(
    rows: Iterable[Renamed],
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
    written = {
        row.target.format(**each): (row.source.format(**each), row)
        for each in fields
        for row in rows
    }
    required = {source for source, row in written.values() if not row.optional}
    problems = {
        "missing": required - tensors.keys(),
        "not part of the encoder": tensors.keys() - {source for source, _ in written.values()},
    }
    if lines := [
        "\n  ".join([f"{title} ({len(names)}):", *sorted(names)])
        for title, names in problems.items()
        if names
    ]:
        raise SourceError("\n".join([f"{file}: the tensors do not fill the encoder:", *lines]))
    return LazyTensors(
        {
            target: functools.partial(_changed, tensors, source, row.change)
            for target, (source, row) in written.items()
            if source in tensors
        }
    )


def _changed(tensors: Mapping[str, np.ndarray], source: str, change: Change) -> np.ndarray:
    return change(tensors[source])
