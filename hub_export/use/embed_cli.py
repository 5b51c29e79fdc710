"""The command `hub_embed`."""

import dataclasses
import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from hub_export.command import Command
from hub_export.errors import SourceError, TargetError
from hub_export.settings import option
from hub_export.terminal import Progress, silenced

USAGE = """Embeds a text, line by line, with a text embedding that hub_export wrote.

  hub_embed --model=exported/all_minilm_l6_v2_text_embedding/1 --input=lines.txt --output=lines.npy
  sort -u words.txt | hub_embed --model=... --output=vectors.tsv --metadata=metadata.tsv

Row n of the output is the vector of line n; an empty line has one, too. The output's name says its
form:

  .npy  float32 [lines, width]; numpy.load(name, mmap_mode="r") reads it a piece at a time
  .tsv  a vector a line, the numbers parted by tabs; with --metadata, load both files at
        https://projector.tensorflow.org or in TensorBoard's projector

Any number of lines takes the same memory. The output gets its name when it is complete. If the
command is stopped before that, even killed, run it again with the same arguments: it goes on where
it was. It refuses to if the model, or what it has read of the input, has changed since.
"""


@dataclasses.dataclass(frozen=True)
class EmbedSettings:
    """What an embedding is asked for."""

    model: Path = option("Folder of the exported text embedding.")
    output: Path = option("File to write, .npy or .tsv.")
    input: str = option(
        "Text file in UTF-8, as it is or packed by gzip; - stands for the standard input.", "-"
    )
    metadata: Path | None = option("Write the lines themselves, too: to this file.", None)
    batch_size: int = option("Lines that are embedded together.", 32, least=1)
    overwrite: bool = option("Replace an output that exists.", False)
    restart: bool = option("Discard what a stopped run left: begin at the first line.", False)
    quiet: bool = option("Show nothing but errors.", False)


def _embed(settings: EmbedSettings) -> None:
    """Embeds, and says what was written."""
    try:
        _run(settings)
    except OSError as error:
        raise TargetError(f"{error.filename or settings.output}: {error.strerror}") from error


def _run(arguments: EmbedSettings) -> None:
    from hub_export.use.vector_files import FORMATS, Metadata, state_file  # noqa: PLC0415

    _require_places(arguments)
    if arguments.restart or not state_file(arguments.output).exists():
        _require_absent(arguments)
    with silenced():
        from hub_export.use.embedding_job import EmbeddingJob  # noqa: PLC0415
        from hub_export.use.text_embedder import TextEmbedder  # noqa: PLC0415
        from hub_export.use.text_lines import TextLines  # noqa: PLC0415

        embedder = TextEmbedder(arguments.model)
    progress = Progress(arguments.quiet)
    files = [FORMATS[arguments.output.suffix](arguments.output, embedder.width)]
    if arguments.metadata:
        files.append(Metadata(arguments.metadata, embedder.width))
    job = EmbeddingJob(embedder, files, arguments.batch_size)
    state = None if arguments.restart else job.begun()
    if state is None or not state.complete:
        _require_absent(arguments)
    if state is not None:
        progress.say(f"going on behind line {state.rows}")
    count = _count(arguments.input)
    with _opened(arguments.input) as stream, progress.bar("embedding", count) as advance:
        rows = job.run(TextLines(stream, arguments.input), state, advance)
    progress.say(f"{arguments.output}: {rows} vectors of {embedder.width}")


def _require_places(arguments: EmbedSettings) -> None:
    """Raises ExportError for arguments that lead nowhere."""
    output, metadata = arguments.output, arguments.metadata
    if arguments.input != "-" and not Path(arguments.input).exists():
        raise SourceError(f"{arguments.input}: no such file")
    if output.suffix not in (".npy", ".tsv"):
        raise TargetError(f"{output}: expected a name that ends in .npy or .tsv")
    written = [path for path in (output, metadata) if path]
    # Of a link to itself, too, which `resolve` does not take.
    places = [Path(os.path.realpath(path)) for path in written]
    if len(set(places)) < len(places):
        raise TargetError(f"{output}: the metadata needs a file of its own")
    if arguments.input != "-" and Path(arguments.input).resolve() in places:
        raise TargetError(f"{arguments.input}: is the input; choose another name for the output")
    for path, place in zip(written, places, strict=True):
        if not place.parent.is_dir():
            raise TargetError(f"{path.parent}: no such folder; make it first")


def _require_absent(arguments: EmbedSettings) -> None:
    """Raises TargetError where an output exists that is not to be replaced."""
    for path in (arguments.output, arguments.metadata):
        if path and path.exists() and not arguments.overwrite:
            raise TargetError(
                f"{path}: exists; choose another name, or replace it with --overwrite"
            )


_GZIP = b"\x1f\x8b"
_PACKED = {
    b"PK\x03\x04": "zip",
    b"BZh[1-9]1AY&SY": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\\(\xb5/\xfd": "zstandard",
}
"""What a compressed file begins with -> how it is compressed."""


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """The input, unpacked where it is packed by gzip.

    Raises:
        SourceError: it is packed otherwise, or damaged.
    """
    stdin: Any = sys.stdin.buffer
    with nullcontext(stdin) if name == "-" else Path(name).open("rb") as file:
        stream = file if hasattr(file, "peek") else io.BufferedReader(file)
        begin = stream.peek()
        for magic, kind in _PACKED.items():
            if re.match(magic, begin):
                raise SourceError(f"{name}: is packed ({kind}); unpack it, and say --input=-")
        if not begin.startswith(_GZIP):
            yield stream
            return
        try:
            yield gzip.GzipFile(fileobj=stream)  # type: ignore[misc]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(f"{name}: cannot be unpacked ({error})") from error


def _count(name: str) -> int | None:
    """The lines of a file, as far as they can be counted beforehand."""
    if name == "-" or not Path(name).is_file():
        return None
    with Path(name).open("rb") as file:
        if file.read(len(_GZIP)) == _GZIP:
            return None
        file.seek(0)
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


main = Command(
    "hub_embed",
    USAGE,
    EmbedSettings,
    _embed,
    interrupted="to go on, run it again with the same arguments (no --restart)",
)


def run() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
