"""Files of vectors that grow row by row, and take their name when they are complete."""

import abc
import fcntl
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from hub_export.errors import TargetError

Floats = npt.NDArray[np.float32]


class GrowingFile(abc.ABC):
    """A file under another name, ending in `.part`, until it is complete."""

    def __init__(self, path: Path, width: int) -> None:
        """Opens nothing yet.

        Args:
            path: its name in the end.
            width: D.
        """
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self.width = width

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

    def close(self, rows: int) -> None:
        """Completes it, now that the number of rows is known."""
        self.file.seek(0)
        self.file.write(self.header(rows))
        self.sync()
        self.file.close()

    def header(self, rows: int) -> bytes:
        """What stands before the rows: as long for any number of them."""
        del rows
        return b""

    @abc.abstractmethod
    def append(self, lines: Sequence[bytes], vectors: Floats) -> None:
        """Writes rows: n texts, and float32 [n, D]."""


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
    return descriptor


class Npy(GrowingFile):
    """float32 [rows, D]; `numpy.load(..., mmap_mode="r")` reads a piece at a time."""

    def append(self, lines: Sequence[bytes], vectors: Floats) -> None:
        self.file.write(vectors.astype("<f4").tobytes())

    def header(self, rows: int) -> bytes:
        content = {"descr": "<f4", "fortran_order": False, "shape": (rows, self.width)}
        written = io.BytesIO()
        np.lib.format.write_array_header_1_0(written, content)  # it leaves room for more rows
        return written.getvalue()


class Tsv(GrowingFile):
    """A row a line, as the TensorBoard projector reads it; nine digits give every float32 back."""

    def append(self, lines: Sequence[bytes], vectors: Floats) -> None:
        np.savetxt(self.file, vectors, fmt="%.9g", delimiter="\t")


class Metadata(GrowingFile):
    """The texts themselves, which the TensorBoard projector shows beside the vectors.

    A tab would begin another column there, and an empty line be none: both become a space.
    """

    def append(self, lines: Sequence[bytes], vectors: Floats) -> None:
        for line in lines:
            self.file.write((line.replace(b"\t", b" ").replace(b"\r", b" ") or b" ") + b"\n")


FORMATS: Mapping[str, Callable[[Path, int], GrowingFile]] = {".npy": Npy, ".tsv": Tsv}
