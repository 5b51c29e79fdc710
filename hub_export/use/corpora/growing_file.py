"""Files that grow row by row, and take their name when they are complete."""

import abc
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from hub_export.errors import TargetError

Row = TypeVar("Row")
Answers = TypeVar("Answers")


class GrowingFile(abc.ABC, Generic[Row, Answers]):
    """A file under another name, ending in `.part`, until it is complete."""

    def __init__(self, path: Path) -> None:
        """Opens nothing yet.

        Args:
            path: its name in the end.
        """
        self.path = path
        self.part = path.with_name(f"{path.name}.part")

    def open(self, size: int | None) -> None:
        """Opens it, without anything behind the first `size` bytes; None begins anew.

        Raises:
            TargetError: it is shorter than that, or another process writes it.
        """
        self.file: BinaryIO = os.fdopen(_locked(self.part), "r+b")
        if self.file.seek(0, os.SEEK_END) < (size or 0):
            raise TargetError(f"{self.part}: shorter than it was; begin anew with --restart")
        self.file.truncate(size or 0)
        self.file.seek(size or 0)
        if size is None:
            self.file.write(self.header(0))

    def sync(self) -> int:
        """Brings all that was written to the disk; returns the size."""
        self.file.flush()
        os.fsync(self.file.fileno())
        return self.file.tell()

    def complete(self, rows: int) -> None:
        """Completes it, now that the number of rows is known."""
        self.file.seek(0)
        self.file.write(self.header(rows))
        self.sync()

    def name(self) -> None:
        """Gives it its name, while it is open; it may be asked to again where it was stopped."""
        self.part.replace(self.path)

    def header(self, rows: int) -> bytes:
        """What stands before the rows: as long for any number of them."""
        del rows
        return b""

    @abc.abstractmethod
    def append(self, rows: Sequence[Row], answers: Answers) -> None:
        """Writes rows of the input, or what the model answered to them."""


def state_file(output: Path) -> Path:
    """The file that says how far an output is."""
    return output.with_name(f"{output.name}.state")


def _locked(path: Path) -> int:
    """A descriptor of the file, made if need be, that no other process has locked."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise TargetError(f"{path}: another process is writing it; wait for it") from error
    if not (path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())):
        os.close(descriptor)
        raise TargetError(f"{path}: another process has just completed it")
    return descriptor
