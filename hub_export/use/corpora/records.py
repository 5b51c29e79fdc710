"""What an input holds, some thousands at a time, and how to find the place again after a stop."""

import abc
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from hub_export.errors import SourceError

Record = TypeVar("Record")
Row = TypeVar("Row")

# A window ends at whichever comes first.
WINDOW_LINES, WINDOW_BYTES = 8192, 1 << 26


class Records(abc.ABC, Generic[Record]):
    """Lines of a stream, or rows of a table.

    Attributes:
        count: how many have been read.
        size: bytes that have been read.
        unit: what one is called, for errors.
    """

    unit: str

    def __init__(self, name: str, done: str) -> None:
        """Reads nothing yet.

        Args:
            name: of the input, for errors.
            done: what becomes of the records, for errors: "embedded".
        """
        self.count = self.size = 0
        self._name, self._done = name, done
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The sha256 of all that has been read."""
        return self._digest.hexdigest()

    @property
    @abc.abstractmethod
    def offset(self) -> int:
        """How much has been read, in what `skip` counts."""

    @property
    @abc.abstractmethod
    def total(self) -> int | None:
        """How many there are, as far as that can be told beforehand."""

    @abc.abstractmethod
    def skip(self, offset: int, digest: str) -> None:
        """Passes over the beginning.

        Args:
            offset: how much of it.
            digest: its sha256.

        Raises:
            SourceError: it is no longer what it was.
        """

    @abc.abstractmethod
    def _take(self) -> Record | None:
        """Reads one; None behind the last."""

    def windows(
        self, read: Callable[[Record], Row], most: int | None = None
    ) -> Iterator[list[Row]]:
        """What is left, a list of rows at a time; flat in memory.

        Args:
            read: makes a row of a record.
            most: rows of a window, where they are fewer than usual.

        Raises:
            SourceError: what `read` raises, with the place.
        """
        while window := list(self._window(read, min(most or WINDOW_LINES, WINDOW_LINES))):
            yield window

    @contextmanager
    def placed(self, number: int) -> Iterator[None]:
        """Says of a SourceError which record it is about."""
        try:
            yield
        except SourceError as error:
            raise SourceError(f"{self._name}: {self.unit} {number}: {error}") from error

    def _window(self, read: Callable[[Record], Row], most: int) -> Iterator[Row]:
        begin = self.size
        for _ in range(most):
            number = self.count + 1
            record = self._take()
            if record is None:
                return
            with self.placed(number):
                row = read(record)
            yield row
            if self.size - begin >= WINDOW_BYTES:
                return

    def _changed(self, offset: int, what: str) -> SourceError:
        return SourceError(
            f"{self._name}: the first {offset} {what} are not those that have been {self._done}; "
            "begin anew with --restart"
        )
