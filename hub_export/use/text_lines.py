"""Lines of a stream, some thousands at a time, and how to find the place again after a stop."""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from hub_export.errors import SourceError

# A window ends at whichever comes first.
WINDOW_LINES, WINDOW_BYTES = 8192, 1 << 26
_BLOCK = 1 << 20


class TextLines:
    """The lines of a binary stream.

    Attributes:
        offset: bytes that have been read.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.offset = 0
        self._stream = stream
        self._name = name
        self._digest = hashlib.sha256()
        self._last = b"\n"

    @property
    def digest(self) -> str:
        """The sha256 of all that has been read."""
        return self._digest.hexdigest()

    def skip(self, offset: int, digest: str) -> None:
        """Passes over the beginning.

        Args:
            offset: how many bytes of it.
            digest: their sha256.

        Raises:
            SourceError: it is no longer what it was.
        """
        while self.offset < offset and (
            block := self._stream.read(min(_BLOCK, offset - self.offset))
        ):
            self._read(block)
        changed = (self.offset, self.digest) != (offset, digest)
        if changed or (not self._last.endswith(b"\n") and self._stream.read(1)):
            raise SourceError(
                f"{self._name}: the first {offset} bytes are not those that have been embedded; "
                "begin anew with --restart"
            )

    def windows(self) -> Iterator[list[bytes]]:
        """What is left, a list of lines without their ends at a time; flat in memory."""
        while window := list(self._window()):
            yield window

    def _window(self) -> Iterator[bytes]:
        begin = self.offset
        for _ in range(WINDOW_LINES):
            line = self._stream.readline()
            if not line:
                return
            self._read(line)
            yield line.removesuffix(b"\n").removesuffix(b"\r")
            if self.offset - begin >= WINDOW_BYTES:
                return

    def _read(self, block: bytes) -> None:
        self.offset += len(block)
        self._digest.update(block)
        self._last = block
