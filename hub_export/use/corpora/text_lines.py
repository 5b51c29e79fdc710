"""Lines of a stream."""

from typing import BinaryIO

from hub_export.use.corpora.records import Records

MARK = "\ufeff".encode()
"""What some programs begin a file of UTF-8 with."""
_BLOCK = 1 << 20


class TextLines(Records[bytes]):
    """The lines of a binary stream, without their ends and the mark before the first."""

    unit = "line"

    def __init__(self, stream: BinaryIO, name: str, done: str, total: int | None = None) -> None:
        """Reads nothing yet.

        Args:
            stream: gives the lines.
            name: of the stream, for errors.
            done: as `Records` has it.
            total: how many there are, if that is known.
        """
        super().__init__(name, done)
        self._stream, self._total = stream, total
        self._last = b"\n"
        self._held = b""

    @property
    def offset(self) -> int:
        return self.size

    @property
    def total(self) -> int | None:
        return self._total

    def header(self) -> bytes:
        """Reads the first line, without its end; nothing where there is none."""
        return self._take() or b""

    def first(self) -> bytes:
        """The first line, without its end, which is still to be read."""
        self._held = self._line()
        return self._bare(self._held)

    def skip(self, offset: int, digest: str) -> None:
        if self._held:
            self._read(self._line())
        while self.offset < offset and (
            block := self._stream.read(min(_BLOCK, offset - self.offset))
        ):
            self._read(block)
        changed = (self.offset, self.digest) != (offset, digest)
        if changed or (not self._last.endswith(b"\n") and self._stream.read(1)):
            raise self._changed(offset, "bytes")

    def _take(self) -> bytes | None:
        line = self._line()
        bare = self._bare(line)
        self._read(line)
        return bare if line else None

    def _line(self) -> bytes:
        line, self._held = self._held or self._stream.readline(), b""
        return line

    def _read(self, block: bytes) -> None:
        self.size += len(block)
        self.count += block.count(b"\n")
        self._digest.update(block)
        self._last = block or self._last

    def _bare(self, line: bytes) -> bytes:
        """The line that comes next, without what is no text."""
        begin = b"" if self.size else MARK
        return line.removeprefix(begin).removesuffix(b"\n").removesuffix(b"\r")
