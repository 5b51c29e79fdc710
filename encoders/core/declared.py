"""Variables to be, and where they are in an encoder.

Fields of a row stand for the index of a part in a list of the encoder. Rows of a part that the
encoder was built without (None) do not apply.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from encoders.core.rows import Row


@dataclasses.dataclass(frozen=True)
class Declared:
    """A variable to be: its shape is known, its values come from `fill`.

    Attributes:
        shape: its shape.
        trainable: whether training changes it.
        narrow: whether its dtype is that of matrix products; otherwise it is float32.
    """

    shape: tuple[int, ...]
    trainable: bool
    narrow: bool

    def stored(self, dtype: tf.DType) -> tf.DType:
        """Its dtype, where matrix products have this one."""
        return dtype if self.narrow else tf.float32


class Stored(NamedTuple):
    """The row of a variable, and the dtype that it is stored as."""

    row: Row
    dtype: tf.DType


def declare(*shape: int, trainable: bool = True, narrow: bool = False) -> Any:
    """Stands in a part's attribute until `fill` replaces it by a `tf.Variable`."""
    return Declared(shape, trainable, narrow)


def expand(rows: Iterable[Row], encoder: tf.Module) -> Iterator[Row]:
    """Writes out the rows for every index of their fields."""
    for row in rows:
        for at in _indices(encoder, row.target):
            yield row.at(**at)


def _indices(part: Any, path: str) -> Iterator[dict[str, int]]:
    """All values of the fields of `path` under which it leads from `part` to more than None."""
    step, _, rest = path.partition(".")
    if part is None:
        return
    if not step:
        yield {}
    elif step.startswith("{"):
        for index, each in enumerate(part):
            yield from ({step[1:-1]: index, **deeper} for deeper in _indices(each, rest))
    else:
        yield from _indices(part[int(step)] if step.isdigit() else getattr(part, step), rest)


def owner(encoder: Any, path: str) -> tuple[Any, str]:
    """The part that has what a path leads to, and what it is called in that part."""
    *parts, attribute = path.split(".")
    for part in parts:
        encoder = encoder[int(part)] if part.isdigit() else getattr(encoder, part)
    return encoder, attribute
