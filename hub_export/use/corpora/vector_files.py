"""Files of vectors, and of the texts that they belong to."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hub_export.use.corpora.growing_file import GrowingFile

Floats = npt.NDArray[np.float32]
VectorFile = GrowingFile[bytes, Floats]
"""Of n texts, and float32 [n, D]."""


class Npy(VectorFile):
    """Float [rows, D]; `numpy.load(..., mmap_mode="r")` reads a piece at a time."""

    def __init__(self, path: Path, width: int, dtype: str) -> None:
        super().__init__(path)
        self._width, self._dtype = width, np.dtype(dtype).newbyteorder("<")

    def append(self, rows: Sequence[bytes], answers: Floats) -> None:
        self.file.write(answers.astype(self._dtype).tobytes())

    def header(self, rows: int) -> bytes:
        content = {"descr": self._dtype.str, "fortran_order": False, "shape": (rows, self._width)}
        written = io.BytesIO()
        np.lib.format.write_array_header_1_0(written, content)  # it leaves room for more rows
        return written.getvalue()


class Tsv(VectorFile):
    """A row a line, as the TensorBoard projector reads it; nine digits give every float32 back."""

    def append(self, rows: Sequence[bytes], answers: Floats) -> None:
        np.savetxt(self.file, answers, fmt="%.9g", delimiter="\t")


class Metadata(VectorFile):
    """The texts themselves, which the TensorBoard projector shows beside the vectors.

    A tab would begin another column there, the end of a line another row, and an empty line be
    none: each becomes a space.
    """

    def append(self, rows: Sequence[bytes], answers: Floats) -> None:
        for line in rows:
            self.file.write((line.translate(_SPACES) or b" ") + b"\n")


_SPACES = bytes.maketrans(b"\t\r\n", b"   ")

FORMATS: Mapping[str, Callable[[Path, int, str], VectorFile]] = {
    ".npy": Npy,
    ".tsv": lambda path, *_: Tsv(path),
}
