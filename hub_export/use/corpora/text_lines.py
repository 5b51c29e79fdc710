"""Lines of a stream, some thousands at a time, and how to find the place again after a stop."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeVar

from hub_export.errors import SourceError

Row = TypeVar("Row")

# A window ends at whichever comes first.
WINDOW_LINES, WINDOW_BYTES = 8192, 1 << 26
_BLOCK = 1 << 20


class TextLines:
    """The lines of a binary stream.

    Attributes:
        offset: bytes that have been read.
        count: lines of them.
    """

    def __init__(self, stream: BinaryIO, name: str, done: str) -> None:
        """Reads nothing yet.

        Args:
            stream: gives the lines.
            name: of the stream, for errors.
            done: what becomes of the lines, for errors: "embedded".
        """
        self.offset = self.count = 0
        self._stream = stream
        self._name, self._done = name, done
        self._digest = hashlib.sha256()
        self._last = b"\n"
        self._held = b""

    @property
    def digest(self) -> str:
        """The sha256 of all that has been read."""
        return self._digest.hexdigest()

    def header(self) -> bytes:
        """Reads the first line, without its end; nothing where there is none."""
        line = self._line()
        self._read(line)
        return _bare(line)

    def first(self) -> bytes:
        """The first line, without its end, which is still to be read."""
        self._held = self._line()
        return _bare(self._held)

    def skip(self, offset: int, digest: str) -> None:
        """Passes over the beginning.

        Args:
            offset: how many bytes of it.
            digest: their sha256.

        Raises:
            SourceError: it is no longer what it was.
        """
        if self._held:
            self._read(self._line())
        while self.offset < offset and (
            block := self._stream.read(min(_BLOCK, offset - self.offset))
        ):
            self._read(block)
        changed = (self.offset, self.digest) != (offset, digest)
        if changed or (not self._last.endswith(b"\n") and self._stream.read(1)):
            raise SourceError(
                f"{self._name}: the first {offset} bytes are not those that have been "
                f"{self._done}; begin anew with --restart"
            )

    @contextmanager
    def placed(self, number: int) -> Iterator[None]:
        """Says of a SourceError which line it is about."""
        try:
            yield
        except SourceError as error:
            raise SourceError(f"{self._name}: line {number}: {error}") from error

    def windows(self, read: Callable[[bytes], Row], most: int | None = None) -> Iterator[list[Row]]:
        """What is left, a list of rows at a time; flat in memory.

        Args:
            read: makes a row of a line without its end.
            most: rows of a window, where they are fewer than usual.

        Raises:
            SourceError: what `read` raises, with the place.
        """
        while window := list(self._window(read, min(most or WINDOW_LINES, WINDOW_LINES))):
            yield window

    def _window(self, read: Callable[[bytes], Row], most: int) -> Iterator[Row]:
        begin = self.offset
        for _ in range(most):
            line = self._line()
            if not line:
                return
            number = self.count + 1
            self._read(line)
            with self.placed(number):
                row = read(_bare(line))
            yield row
            if self.offset - begin >= WINDOW_BYTES:
                return

    def _line(self) -> bytes:
        line, self._held = self._held or self._stream.readline(), b""
        return line

    def _read(self, block: bytes) -> None:
        self.offset += len(block)
        self.count += block.count(b"\n")
        self._digest.update(block)
        self._last = block or self._last


def _bare(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")
