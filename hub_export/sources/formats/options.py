"""Options of a JSON file, each read once and checked; what is left in the end is known."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import read_json


class Options:
    """The options of a file.

    Attributes:
        file: where they stand.
        left: those that nobody has asked for.
    """

    def __init__(self, file: Path, content: Mapping[str, Any]) -> None:
        self.file = file
        self.left = dict(content)

    @classmethod
    def read(cls, file: Path) -> "Options":
        """Reads a file; one that is not there has none.

        Raises:
            SourceError: it holds no JSON object.
        """
        return cls(file, read_json(file) if file.exists() else {})

    def take(self, key: str, kind: type | UnionType, default: Any = None) -> Any:
        """The value of an option; with a default of another kind, it must be there.

        Raises:
            SourceError: it is of another kind.
        """
        value = self.left.pop(key, default)
        if not isinstance(value, kind) or (
            isinstance(value, bool) and bool not in (get_args(kind) or (kind,))
        ):
            name = kind.__name__ if isinstance(kind, type) else str(kind)
            raise SourceError(f"{self.file}: {key}: expected {name}, found {value!r}")
        return value

    def positive(self, key: str) -> int | None:
        """A positive integer, or nothing.

        Raises:
            SourceError: it is something else.
        """
        value: int | None = self.take(key, int | None)
        if value is not None and value < 1:
            raise SourceError(f"{self.file}: {key}: expected a positive integer, found {value}")
        return value

    def positive_number(self, key: str, default: float | None = None) -> float:
        """A positive, finite number; without a default, it must be there.

        Raises:
            SourceError: it is something else.
        """
        value = self.take(key, int | float, default)
        if not 0 < value <= sys.float_info.max:  # true of no NaN
            raise SourceError(
                f"{self.file}: {key}: expected a positive, finite number, found {value!r:.50}"
            )
        return float(value)

    def need(self, *keys: str) -> None:
        """Raises SourceError if one of these options is not there."""
        if missing := [key for key in keys if key not in self.left]:
            raise SourceError(f"{self.file}: {', '.join(missing)}: missing")

    def fix(self, key: str, *values: Any) -> None:
        """Reads an option that may have these values alone, the first one by default.

        Raises:
            SourceError: it has another one.
        """
        value = self.left.pop(key, values[0])
        if value not in values:
            raise SourceError(f"{self.file}: {key}: only {values[0]!r} is supported, not {value!r}")

    def ignore(self, *keys: str) -> None:
        """Passes over options that change nothing, whatever their values."""
        for key in keys:
            self.left.pop(key, None)

    def refuse(self, **flags: str) -> None:
        """Reads flags that must not be set: what each asks for, followed by is or are.

        Raises:
            SourceError: one is set.
        """
        for key, what in flags.items():
            if self.take(key, bool, False):
                raise SourceError(f"{self.file}: {key}: {what} not supported")

    def close(self) -> None:
        """Raises SourceError if there is an option that nobody has asked for."""
        if self.left:
            raise SourceError(f"{self.file}: unknown options {self.left}")
