"""Weight tables: which tensor of a checkpoint fills which variable of an encoder.

`fill` closes the table both ways: every declared variable is filled exactly once, every tensor is
used or named with a reason.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from encoders.core.declared import Declared, Stored, expand, owner
from encoders.core.errors import WeightsError
from encoders.core.rows import Row

Tensors = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Filled:
    """What `fill` did.

    Attributes:
        absent: optional parts that the checkpoint does not have.
        unused: tensors that nothing has taken -> the reason.
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

    def fill(
        self,
        encoder: tf.Module,
        tensors: Tensors,
        dtype: tf.DType = tf.float32,
        claimed: Collection[str] = (),
    ) -> Filled:
        """Replaces every `declare`d attribute of `encoder` by a variable.

        Args:
            encoder: the encoder, its variables declared.
            tensors: the checkpoint's tensors by name; each is read at most once.
            dtype: of what takes part in matrix products.
            claimed: the names of those that a head has taken.

        Raises:
            WeightsError: lists every missing, left-over or wrongly shaped tensor.
        """
        names, unused = self._strip([name for name in tensors if name not in claimed])
        absent = self._assign(encoder, names, tensors, dtype, unused)
        return Filled(absent, unused)

    def take(
        self, part: tf.Module, tensors: Tensors, dtype: tf.DType = tf.float32
    ) -> frozenset[str]:
        """Replaces every `declare`d attribute of a part by a variable, and leaves other tensors.

        Returns:
            The names of the tensors that it has taken.

        Raises:
            WeightsError: lists every missing or wrongly shaped tensor.
        """
        found = [[s for s in row.sources if s in tensors] for row in expand(self.rows, part)]
        names = {first: first for first, *_ in filter(None, found)}
        self._assign(part, names, tensors, dtype, {})
        return frozenset(name for names in found for name in names)

    def stored(self, part: tf.Module, dtype: tf.DType) -> list[Stored]:
        """What each variable of a part will be stored as, before `fill`.

        Args:
            part: the part, its variables declared.
            dtype: of what takes part in matrix products.
        """
        rows = expand(self.rows, part)
        return [Stored(row, getattr(*owner(part, row.target)).stored(dtype)) for row in rows]

    def shapes(self, part: tf.Module) -> Mapping[str, tuple[int, ...]]:
        """Target -> the shape of its variable, before `fill` or behind it."""
        rows = expand(self.rows, part)
        return {row.target: tuple(getattr(*owner(part, row.target)).shape) for row in rows}

    def expected(
        self, stored: Iterable[Stored], tensors: Tensors, absent: Collection[str] = ()
    ) -> Iterator[tuple[str, np.ndarray]]:
        """The values that each variable must have, for whoever checks what `fill` did.

        Args:
            stored: the variables.
            tensors: read anew.
            absent: optional parts that were left out.
        """
        for (row, dtype), source in self._placed(stored, tensors):
            if row.optional not in absent or not row.optional:
                values = row.change.apply(tensors[source])
                yield row.target, np.ascontiguousarray(values, dtype.as_numpy_dtype)

    def undone(
        self, stored: Iterable[Stored], tensors: Tensors, values: Mapping[str, Callable[[], Any]]
    ) -> Mapping[str, Callable[[], np.ndarray]]:
        """Tensors that would fill variables with these values: name -> reads it, float32.

        Args:
            stored: the variables.
            tensors: those of the checkpoint, for their names.
            values: target -> reads the values; of the others, the tensors are left out.
        """

        def undo(row: Row) -> np.ndarray:
            return np.ascontiguousarray(row.change.undo(values[row.target]()), np.float32)

        return {
            source: functools.partial(undo, row)
            for (row, _), source in self._placed(stored, tensors)
            if row.target in values
        }

    def _placed(self, stored: Iterable[Stored], tensors: Tensors) -> Iterator[tuple[Stored, str]]:
        """Each variable whose tensor the checkpoint has, and the tensor's name."""
        names, _ = self._strip(tensors)
        for each in stored:
            found = next((names[name] for name in each.row.sources if name in names), None)
            if found is not None:
                yield each, found

    def _assign(
        self,
        encoder: tf.Module,
        names: dict[str, str],
        tensors: Tensors,
        dtype: tf.DType,
        unused: dict[str, str],
    ) -> tuple[str, ...]:
        """Fills the variables, adds to `unused`; returns the parts that are absent."""
        missing, problems = [], []
        rows = list(expand(self.rows, encoder))
        absent = _absent(rows, names)
        for part in absent:
            setattr(*owner(encoder, part), None)
        for row in rows:
            if row.optional in absent:
                continue
            source = next((names.pop(name) for name in row.sources if name in names), None)
            if source is None:
                missing.append(f"{row.sources[0]} (for {row.target})")
            elif problem := _assign(encoder, row, tensors[source], dtype):
                problems.append(f"{source}: {problem}")
        unused.update(self._buffers(names))
        left = sorted(set(names.values()) - unused.keys())
        if missing or problems or left:
            raise WeightsError(_describe(missing, problems, left))
        return absent

    def _strip(self, tensors: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
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


def _absent(rows: Iterable[Row], names: Mapping[str, str]) -> tuple[str, ...]:
    found: dict[str, bool] = {}
    for row in rows:
        if row.optional:
            has = any(name in names for name in row.sources)
            found[row.optional] = found.get(row.optional, False) or has
    return tuple(part for part, has in found.items() if not has)


def _assign(encoder: tf.Module, row: Row, values: np.ndarray, dtype: tf.DType) -> str:
    """Fills one variable; returns what is wrong with the tensor, or nothing."""
    holder, name = owner(encoder, row.target)
    declared = getattr(holder, name)
    if not isinstance(declared, Declared):
        raise TypeError(f"two rows of the weight table fill {row.target}")
    wanted = row.change.source_shape(declared.shape)
    if values.shape != wanted:
        return f"expected shape {list(wanted)}, found {list(values.shape)}"
    if values.dtype.name not in ("float32", "float16", "bfloat16", "float64"):
        return f"expected floating-point values, found {values.dtype.name}"
    values = row.change.apply(values)
    variable = tf.Variable(
        np.ascontiguousarray(values, declared.stored(dtype).as_numpy_dtype),
        trainable=declared.trainable,
        name=row.target.replace(".", "/"),
    )
    setattr(holder, name, variable)
    return ""


def _describe(missing: list[str], problems: list[str], left: list[str]) -> str:
    parts = {"missing": missing, "not as expected": problems, "not part of the encoder": left}
    lines = ["the tensors do not fill the encoder:"]
    for title, entries in parts.items():
        if entries:
            lines.append(f"{title} ({len(entries)}):")
            lines.extend(f"  {entry}" for entry in entries)
    return "\n".join(lines)
