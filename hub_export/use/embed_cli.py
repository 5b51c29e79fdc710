"""The command `hub_embed`."""

import dataclasses
import json
import os
import sys
from pathlib import Path

from hub_export.command import Command
from hub_export.errors import ExportError, TargetError
from hub_export.settings import AUTO, FLOAT16, FLOAT32, option
from hub_export.terminal import Progress, silenced
from hub_export.use.corpora import text_files, text_rows
from hub_export.use.corpora.text_files import Beginning
from hub_export.use.corpora.text_job import TextJob, Work
from hub_export.use.corpora.text_lines import TextLines

USAGE = """Embeds texts, a line each, with a text embedding that hub_export wrote.

  hub_embed --model=exported/all_minilm_l6_v2_text_embedding/1 --input=lines.txt --output=lines.npy
  sort -u words.txt | hub_embed --model=... --output=vectors.tsv --metadata=metadata.tsv
  hub_embed --model=... --input=articles.jsonl.gz --column=abstract --output=abstracts.npy

Row n of the output is the vector of row n of the input. The input's name says its form (--format
does, for the standard input); .gz may stand behind it:

  .tsv    columns parted by tabs, their names in the first line; no quotes, no escapes
  .jsonl  an object in JSON a line
  else    a text a line; an empty line is one, too

The output's name says its form:

  .npy  [lines, width]; numpy.load(name, mmap_mode="r") reads it a piece at a time
  .tsv  a vector a line, the numbers parted by tabs; with --metadata, load both files at
        https://projector.tensorflow.org or in TensorBoard's projector

Any number of lines takes the same memory. The output gets its name when it is complete. If the
command is stopped before that, even killed, run it again with the same arguments: it goes on where
it was. It refuses to if the model, or what it has read of the input, has changed since.
"""


@dataclasses.dataclass(frozen=True)
class EmbedSettings:
    """What an embedding is asked for."""

    model: Path = option("Folder of the exported text embedding, or a file of its LiteRT copy.")
    output: Path = option("File to write, .npy or .tsv.")
    input: str = option(
        "Text file in UTF-8, as it is or packed by gzip; - stands for the standard input.", "-"
    )
    format: str = option(
        "Form of the input. auto: what its name says.", AUTO, choices=text_rows.FORMATS
    )
    column: str = option(
        "Where the input has columns, the one of the texts.", text_rows.PLAIN_COLUMN
    )
    metadata: Path | None = option("Write the texts themselves, too: to this file.", None)
    dtype: str = option(
        "Type of the numbers in an .npy. float16 takes half the room, and keeps 11 bits of each.",
        FLOAT32,
        choices=(FLOAT32, FLOAT16),
    )
    batch_size: int = option("Lines that are embedded together.", 32, least=1)
    threads: int | None = option("Cores to compute on. Default: all.", None, least=1)
    overwrite: bool = option("Replace an output that exists.", False)
    restart: bool = option("Discard what a stopped run left: begin at the first line.", False)
    quiet: bool = option("Show nothing but errors.", False)


def _embed(settings: EmbedSettings) -> None:
    """Embeds, and says what was written."""
    with text_files.errors_told(settings.output):
        _run(settings)


def _run(arguments: EmbedSettings) -> None:
    from hub_export.use.corpora.vector_files import FORMATS, Metadata  # noqa: PLC0415

    outputs, format = _outputs(arguments), _format(arguments)
    beginning = Beginning(outputs, arguments.overwrite, arguments.restart)
    beginning.require()
    with silenced():
        from hub_export.use.corpora.text_embedder import TextEmbedder  # noqa: PLC0415

        embedder = TextEmbedder(arguments.model, arguments.batch_size, arguments.threads)
    progress = Progress(arguments.quiet)
    dtype = arguments.dtype
    files = [FORMATS[arguments.output.suffix](arguments.output, embedder.width, dtype)]
    files += [Metadata(path) for path in outputs[1:]]
    count = text_files.count_lines(arguments.input)
    with text_files.opened(arguments.input) as stream:
        lines = TextLines(stream, arguments.input, "embedded")
        read = text_rows.text_reader(text_rows.table(lines, format, look=False), arguments.column)
        options = json.dumps([format, arguments.column, dtype])
        job = TextJob(Work(embedder.fingerprint, read, embedder, options), files)
        state = beginning.state(job, progress)
        with progress.bar("embedding", count) as advance:
            rows = job.run(lines, state, advance)
    progress.say(f"{arguments.output}: {rows} vectors of {embedder.width}")


def _outputs(arguments: EmbedSettings) -> list[Path]:
    """The files to write; raises ExportError for arguments that lead nowhere."""
    text_files.require_input(arguments.input)
    output, metadata = arguments.output, arguments.metadata
    if output.suffix not in (".npy", ".tsv"):
        raise TargetError(f"{output}: expected a name that ends in .npy or .tsv")
    if output.suffix == ".tsv" and arguments.dtype != FLOAT32:
        raise ExportError(f"dtype: {arguments.dtype} is for .npy; found {output}")
    outputs = [path for path in (output, metadata) if path]
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise TargetError(f"{output}: the metadata needs a file of its own")
    text_files.require_places(arguments.input, outputs)
    return outputs


def _format(arguments: EmbedSettings) -> str:
    """The form of the input; raises ExportError for one that is not read, or has no columns."""
    format = text_rows.format_of(arguments.input, arguments.format)
    if format == text_rows.PLAIN and arguments.column != text_rows.PLAIN_COLUMN:
        raise ExportError("column: plain lines have none; say --format=tsv or --format=jsonl")
    return format


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
