"""What the commands that read lines and write files have in common: names, streams, beginnings."""

import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from hub_export.errors import SourceError, TargetError
from hub_export.terminal import Progress
from hub_export.use.corpora.arrow import arrow
from hub_export.use.corpora.growing_file import state_file
from hub_export.use.corpora.parquet_rows import ParquetRows
from hub_export.use.corpora.text_job import State, TextJob
from hub_export.use.corpora.text_lines import TextLines
from hub_export.use.corpora.text_rows import PARQUET

STDIO = "-"
"""The name of the standard input or output."""
_GZIP, _ZSTANDARD = b"\x1f\x8b", b"(\xb5/\xfd"
_BLOCK = 1 << 20
_PACKED = {
    b"PK\x03\x04": "zip",
    b"BZh[1-9]1AY&SY": "bzip2",
    b"\xfd7zXZ\0": "xz",
}
"""What a compressed file begins with -> how it is compressed."""


def require_input(name: str) -> None:
    """Raises SourceError where there is none, or a folder."""
    if name != STDIO and not Path(name).exists():
        raise SourceError(f"{name}: no such file")
    if Path(name).is_dir():
        raise SourceError(f"{name}: expected a file, found a folder; one run reads one file")


def require_places(source: str, outputs: Sequence[Path]) -> None:
    """Raises TargetError for outputs in no folder, or in the place of the input."""
    # Of a link to itself, too, which `resolve` does not take.
    places = [Path(os.path.realpath(path)) for path in outputs]
    if source != STDIO and Path(source).resolve() in places:
        raise TargetError(f"{source}: is the input; choose another name for the output")
    for path, place in zip(outputs, places, strict=True):
        if not place.parent.is_dir():
            raise TargetError(f"{path.parent}: no such folder; make it first")


@contextmanager
def errors_told(output: str | Path) -> Iterator[None]:
    """Raises TargetError where the operating system refuses something."""
    try:
        yield
    except OSError as error:
        raise TargetError(f"{error.filename or output}: {error.strerror}") from error


class Beginning:
    """Whether a command begins anew, goes on, or is not to begin at all."""

    def __init__(self, outputs: Sequence[Path], overwrite: bool, restart: bool) -> None:
        """Looks at nothing yet.

        Args:
            outputs: of the command; the first one names the file of state.
            overwrite: whether outputs that exist are replaced.
            restart: whether what a stopped run left is discarded.
        """
        self._outputs, self._overwrite, self._restart = outputs, overwrite, restart

    def require(self) -> None:
        """Raises TargetError, before a model is loaded, where there is nothing to begin."""
        if self._restart or not state_file(self._outputs[0]).exists():
            self._require_absent()

    def state(self, job: TextJob[Any, Any], progress: Progress) -> State | None:
        """How far a job is; says so.

        Raises:
            TargetError: an output exists, or what a stopped run left is of another job.
        """
        state = None if self._restart else job.begun()
        if state is None or not state.complete:
            self._require_absent()
        if state is not None:
            progress.say(f"going on behind row {state.rows}")
        return state

    def _require_absent(self) -> None:
        for path in self._outputs:
            if path.exists() and not self._overwrite:
                raise TargetError(
                    f"{path}: exists; choose another name, or replace it with --overwrite"
                )


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """The input, unpacked where it is packed by gzip or Zstandard.

    Raises:
        SourceError: it is packed otherwise, or damaged.
        ExportError: it is packed by Zstandard, and pyarrow is not installed.
    """
    stdin: Any = sys.stdin.buffer
    with nullcontext(stdin) if name == STDIO else Path(name).open("rb") as file:
        stream = file if hasattr(file, "peek") else io.BufferedReader(file)
        begin = stream.peek()
        for magic, kind in _PACKED.items():
            if re.match(magic, begin):
                raise SourceError(f"{name}: is packed ({kind}); unpack it, and say --input=-")
        if begin.startswith(_ZSTANDARD):
            yield io.BufferedReader(_Zstandard(stream, name), _BLOCK)
            return
        if not begin.startswith(_GZIP):
            yield stream
            return
        try:
            yield gzip.GzipFile(fileobj=stream)  # type: ignore[misc]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(f"{name}: cannot be unpacked ({error})") from error


@contextmanager
def records(name: str, format: str, done: str) -> Iterator[TextLines | ParquetRows]:
    """What an input holds.

    Args:
        name: of the input.
        format: as `text_rows` has it.
        done: what becomes of its records, for errors.

    Raises:
        SourceError: it is not what it should be.
        ExportError: it needs pyarrow, which is not installed.
    """
    if format == PARQUET:
        if name == STDIO:
            raise SourceError(f"{name}: Parquet is read from a file; say which by --input")
        with closing(ParquetRows(Path(name), done)) as rows:
            yield rows
        return
    total = _count_lines(name)
    with opened(name) as stream:
        yield TextLines(stream, name, done, total)


def _count_lines(name: str) -> int | None:
    """The lines of a file, as far as they can be counted beforehand."""
    if name == STDIO or not Path(name).is_file():
        return None
    with Path(name).open("rb") as file:
        if file.read(len(_ZSTANDARD)).startswith((_GZIP, _ZSTANDARD)):
            return None
        file.seek(0)
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))


class _Zstandard(io.RawIOBase):
    """What a stream holds that is packed by Zstandard."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = arrow(name).CompressedInputStream(stream, "zstd"), name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block = self._stream.read(len(buffer))
        except OSError as error:
            raise SourceError(f"{self._name}: cannot be unpacked ({error})") from error
        buffer[: len(block)] = block
        return len(block)
