"""What a model answers, as objects of JSON: one a row."""

import itertools
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hub_export.contract import ROW_SPLITS
from hub_export.errors import SourceError
from hub_export.use.corpora.growing_file import GrowingFile
from hub_export.use.corpora.text_rows import Row, plain
from hub_export.use.models.strings import utf8
from hub_export.use.models.text_model import Arrays

FOUND = "found"
"""Key of the list of what was found in a row, where a model finds any number of things."""

Answer = Mapping[str, Any]


class AnswerFile(GrowingFile[Row, Sequence[Answer]]):
    """An object a line: what is kept of the row, and the answer."""

    def append(self, rows: Sequence[Row], answers: Sequence[Answer]) -> None:
        self.file.writelines(json_lines(rows, answers))


def json_lines(rows: Sequence[Row], answers: Sequence[Answer]) -> Iterator[bytes]:
    """A line for each row; raises SourceError where bytes are kept that are no text."""
    for row, answer in zip(rows, answers, strict=True):
        kept = {name: _kept(name, value) for name, value in row.kept.items()}
        line = json.dumps({**kept, **answer}, ensure_ascii=False, allow_nan=False, default=str)
        yield utf8(line) + b"\n"


def _kept(name: str, value: Any) -> Any:
    """A value of a table as JSON has it; null for a number that is not finite."""
    if isinstance(value, bytes):
        raise SourceError(
            f"{name}: holds bytes that are no text, which JSON does not have; leave it out of "
            "--keep, or write a .parquet"
        )
    if isinstance(value, Mapping):
        return {key: _kept(name, each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(name, each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def answers(outputs: Arrays, names: Sequence[str], flat: Collection[str]) -> list[Answer]:
    """One for each row of a batch.

    Args:
        outputs: by name. [B, ...]; those in `flat` [n, ...], whose rows ROW_SPLITS, [B + 1], parts.
        names: of the outputs that are wanted.
        flat: see above.
    """
    rows = _objects({name: outputs[name] for name in names if name not in flat})
    items = _objects({name: outputs[name] for name in names if name in flat})
    if ROW_SPLITS not in outputs or not {*flat} & {*names}:
        return rows
    splits = outputs[ROW_SPLITS].tolist()
    found: list[Answer] = [{FOUND: items[begin:end]} for begin, end in itertools.pairwise(splits)]
    return [{**row, **each} for row, each in zip(rows, found, strict=True)] if rows else found


def _objects(arrays: Arrays) -> list[Answer]:
    """One for each row of arrays that have the same number of rows."""
    columns = {name: json_values(array) for name, array in arrays.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def json_values(array: npt.NDArray[Any]) -> list[Any]:
    """As lists of values of JSON; a float32 becomes the shortest number that gives it back."""
    if array.dtype == object:
        return [_strings(each) for each in array.tolist()]
    if array.dtype.kind not in "fV":  # V: bfloat16
        return array.tolist()
    floats = array if array.dtype == np.float64 else array.astype(np.float32)
    numbers = floats.astype(str).astype(np.float64).astype(object)
    numbers[~np.isfinite(floats)] = None
    return numbers.tolist()


def _strings(value: Any) -> Any:
    return [_strings(each) for each in value] if isinstance(value, list) else plain(value)
