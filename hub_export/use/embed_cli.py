"""The command `hub_embed`."""

import argparse
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from hub_export.errors import ExportError, SourceError, TargetError
from hub_export.terminal import Progress, heed_signals, silenced

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


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        "hub_embed", description=USAGE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("--model", type=Path, required=True, help="Folder of the exported text embedding.")
    add("--input", default="-", help="Text file in UTF-8. Default: the standard input.")
    add("--output", type=Path, required=True, help="File to write, .npy or .tsv.")
    add("--metadata", type=Path, help="Write the lines themselves, too: to this file.")
    add("--batch_size", type=int, default=32, help="Lines that are embedded together. Default: 32.")
    add("--overwrite", action="store_true", help="Replace an output that exists.")
    add(
        "--restart",
        action="store_true",
        help="Discard what a stopped run left: begin at the first line.",
    )
    add("--quiet", action="store_true", help="Show nothing but errors.")
    return made


def main(argv: list[str] | None = None) -> int:
    """Embeds, and says what was written; returns the exit code."""
    arguments = parser().parse_args(argv)
    heed_signals()
    try:
        _run(arguments)
    except ExportError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or arguments.output}: {error.strerror}")
    except KeyboardInterrupt:
        return _fail("interrupted; to go on, run it again with the same arguments (no --restart)")
    return 0


def _run(arguments: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _check(arguments)
    with silenced():
        from hub_export.use.embedding_job import EmbeddingJob  # noqa: PLC0415
        from hub_export.use.text_embedder import TextEmbedder  # noqa: PLC0415
        from hub_export.use.text_lines import TextLines  # noqa: PLC0415
        from hub_export.use.vector_files import FORMATS, Metadata  # noqa: PLC0415

        embedder = TextEmbedder(arguments.model)
    progress = Progress(arguments.quiet)
    files = [FORMATS[arguments.output.suffix](arguments.output, embedder.width)]
    if arguments.metadata:
        files.append(Metadata(arguments.metadata, embedder.width))
    job = EmbeddingJob(embedder, files, arguments.batch_size)
    state = None if arguments.restart else job.begun()
    if state is not None:
        progress.say(f"going on behind line {state.rows}")
    count = _count(arguments.input)
    with _opened(arguments.input) as stream, progress.bar("embedding", count) as advance:
        rows = job.run(TextLines(stream, arguments.input), state, advance)
    progress.say(f"{arguments.output}: {rows} vectors of {embedder.width}")


def _check(arguments: argparse.Namespace) -> None:
    """Raises ExportError for arguments that lead nowhere."""
    output, metadata = arguments.output, arguments.metadata
    if arguments.input != "-" and not Path(arguments.input).exists():
        raise SourceError(f"{arguments.input}: no such file")
    if output.suffix not in (".npy", ".tsv"):
        raise TargetError(f"{output}: expected a name that ends in .npy or .tsv")
    written = [path for path in (output, metadata) if path]
    places = [path.resolve() for path in written]
    if len(set(places)) < len(places):
        raise TargetError(f"{output}: the metadata needs a file of its own")
    if arguments.input != "-" and Path(arguments.input).resolve() in places:
        raise TargetError(f"{arguments.input}: is the input; choose another name for the output")
    if arguments.batch_size < 1:
        raise TargetError(f"batch_size must be 1 or more, not {arguments.batch_size}")
    for path in written:
        if not path.resolve().parent.is_dir():
            raise TargetError(f"{path.parent}: no such folder; make it first")
        if path.exists() and not arguments.overwrite:
            raise TargetError(
                f"{path}: exists; choose another name, or replace it with --overwrite"
            )


def _opened(name: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb")


def _count(name: str) -> int | None:
    """The lines of a file, as far as they can be counted beforehand."""
    if name == "-" or not Path(name).is_file():
        return None
    with Path(name).open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _fail(message: str) -> int:
    print(f"hub_embed: {message}", file=sys.stderr)
    return 1


def run() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
