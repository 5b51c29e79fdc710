"""Weight tables: which tensor of a checkpoint fills which variable of an encoder.

A table is data. Each row names a variable by its attribute path and the tensor that fills it;
`{layer}` (or any other field) in both stands for the index of a part in a list of the encoder. Rows
of a part that the encoder was built without (None) do not apply. `fill` closes the table both
ways: every declared variable is filled exactly once, every tensor is used or named with a reason.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from encoders.core.errors import WeightsError

Tensors = Mapping[str, np.ndarray]


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


def declare(*shape: int, trainable: bool = True, narrow: bool = False) -> Any:
    """Stands in a part's attribute until `fill` replaces it by a `tf.Variable`."""
    return Declared(shape, trainable, narrow)


@dataclasses.dataclass(frozen=True)
class Row:
    """One variable and the tensor that fills it.

    Attributes:
        target: attribute path from the encoder, such as `blocks.{layer}.norm.scale`.
        sources: names of the tensor; the first one that the checkpoint has is taken.
        transpose: whether the tensor is stored [out, in] (as torch does) and wanted [in, out].
        optional: the part that is left out (set to None) where the checkpoint has none of its
            tensors; empty where the variable must be there.
    """

    target: str
    sources: tuple[str, ...]
    transpose: bool = False
    optional: str = ""


def linear(target: str, source: str, optional: str = "") -> tuple[Row, ...]:
    """Rows of a dense layer; torch stores the kernel transposed."""
    return (
        Row(f"{target}.kernel", (f"{source}.weight",), transpose=True, optional=optional),
        Row(f"{target}.bias", (f"{source}.bias",), optional=optional),
    )


def norm(target: str, source: str) -> tuple[Row, ...]:
    """Rows of a layer norm; checkpoints converted from TensorFlow 1 say gamma and beta."""
    return (
        Row(f"{target}.scale", (f"{source}.weight", f"{source}.gamma")),
        Row(f"{target}.shift", (f"{source}.bias", f"{source}.beta")),
    )


def embedding(target: str, source: str) -> tuple[Row, ...]:
    """The row of an embedding table."""
    return (Row(f"{target}.table", (f"{source}.weight",)),)


@dataclasses.dataclass(frozen=True)
class Filled:
    """What `fill` did.

    Attributes:
        absent: optional parts that the checkpoint does not have.
        unused: tensors that the encoder has no use for -> the reason.
    """

    absent: tuple[str, ...]
    unused: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Table:
    """The rows of one architecture.

    Attributes:
        rows: all rows, with their fields.
        prefix: what task models put before the encoder's names, such as `bert.`.
        buffers: pattern of tensors that are passed over where no row takes them -> the reason.
    """

    rows: tuple[Row, ...]
    prefix: str
    buffers: Mapping[str, str]

    def fill(self, encoder: tf.Module, tensors: Tensors, dtype: tf.DType = tf.float32) -> Filled:
        """Replaces every `declare`d attribute of `encoder` by a variable.

        Args:
            encoder: the encoder, its variables declared.
            tensors: the checkpoint's tensors by name; each is read at most once.
            dtype: of what takes part in matrix products.

        Raises:
            WeightsError: lists every missing, left-over or wrongly shaped tensor.
        """
        names, unused = self._strip(tensors)
        missing, problems = [], []
        rows = list(expand(self.rows, encoder))
        absent = _absent(rows, names)
        for part in absent:
            setattr(encoder, part, None)
        for row in rows:
            if row.optional in absent:
                continue
            source = next((names.pop(name) for name in row.sources if name in names), None)
            if source is None:
                missing.append(f"{row.sources[0]} (for {row.target})")
            elif problem := _assign(encoder, row, tensors[source], dtype):
                problems.append(f"{source}: {problem}")
        unused |= self._buffers(names)
        left = sorted(set(names.values()) - unused.keys())
        if missing or problems or left:
            raise WeightsError(_describe(missing, problems, left))
        return Filled(absent, unused)

    def _strip(self, tensors: Tensors) -> tuple[dict[str, str], dict[str, str]]:
        """Splits the names into {name without prefix: name} and {unused name: reason}."""
        prefixed = any(name.startswith(self.prefix) for name in tensors)
        names, unused = {}, {}
        for name in tensors:
            if prefixed and not name.startswith(self.prefix):
                unused[name] = "belongs to a task head"
            else:
                names[name.removeprefix(self.prefix) if prefixed else name] = name
        return names, unused

    def _buffers(self, names: Mapping[str, str]) -> dict[str, str]:
        """{name: reason} of those that no row took and that hold no weights of this encoder."""
        return {
            name: reason
            for bare, name in names.items()
            for pattern, reason in self.buffers.items()
            if re.fullmatch(pattern, bare)
        }


def expand(rows: Iterable[Row], encoder: tf.Module) -> Iterator[Row]:
    """Writes out the rows for every index of their fields."""
    for row in rows:
        for at in _indices(encoder, row.target):
            sources = tuple(source.format(**at) for source in row.sources)
            yield dataclasses.replace(row, target=row.target.format(**at), sources=sources)


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


def _absent(rows: Iterable[Row], names: Mapping[str, str]) -> tuple[str, ...]:
    found: dict[str, bool] = {}
    for row in rows:
        if row.optional:
            has = any(name in names for name in row.sources)
            found[row.optional] = found.get(row.optional, False) or has
    return tuple(part for part, has in found.items() if not has)


def _assign(encoder: tf.Module, row: Row, values: np.ndarray, dtype: tf.DType) -> str:
    """Fills one variable; returns what is wrong with the tensor, or nothing."""
    *parts, attribute = row.target.split(".")
    owner: Any = encoder
    for part in parts:
        owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
    declared = getattr(owner, attribute)
    if not isinstance(declared, Declared):
        raise TypeError(f"two rows of the weight table fill {row.target}")
    wanted = declared.shape[::-1] if row.transpose else declared.shape
    if values.shape != wanted:
        return f"expected shape {list(wanted)}, found {list(values.shape)}"
    if values.dtype.name not in ("float32", "float16", "bfloat16", "float64"):
        return f"expected floating-point values, found {values.dtype.name}"
    values = values.T if row.transpose else values
    kept = dtype if declared.narrow else tf.float32
    variable = tf.Variable(
        np.ascontiguousarray(values, kept.as_numpy_dtype),
        trainable=declared.trainable,
        name=row.target.replace(".", "/"),
    )
    setattr(owner, attribute, variable)
    return ""


def _describe(missing: list[str], problems: list[str], left: list[str]) -> str:
    parts = {"missing": missing, "not as expected": problems, "not part of the encoder": left}
    lines = ["the tensors do not fill the encoder:"]
    for title, entries in parts.items():
        if entries:
            lines.append(f"{title} ({len(entries)}):")
            lines.extend(f"  {entry}" for entry in entries)
    return "\n".join(lines)
