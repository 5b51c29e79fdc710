"""The command `hub_embed`."""

import dataclasses
import os
import sys
from pathlib import Path

from hub_export.command import Command
from hub_export.errors import TargetError
from hub_export.settings import option
from hub_export.terminal import Progress, silenced
from hub_export.use.corpora import text_files
from hub_export.use.corpora.text_files import Beginning
from hub_export.use.corpora.text_job import TextJob, Work
from hub_export.use.corpora.text_lines import TextLines

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

    model: Path = option("Folder of the exported text embedding, or a file of its LiteRT copy.")
    output: Path = option("File to write, .npy or .tsv.")
    input: str = option(
        "Text file in UTF-8, as it is or packed by gzip; - stands for the standard input.", "-"
    )
    metadata: Path | None = option("Write the lines themselves, too: to this file.", None)
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

    outputs = _outputs(arguments)
    beginning = Beginning(outputs, arguments.overwrite, arguments.restart)
    beginning.require()
    with silenced():
        from hub_export.use.corpora.text_embedder import TextEmbedder  # noqa: PLC0415

        embedder = TextEmbedder(arguments.model, arguments.batch_size, arguments.threads)
    progress = Progress(arguments.quiet)
    files = [FORMATS[arguments.output.suffix](arguments.output, embedder.width)]
    files += [Metadata(path) for path in outputs[1:]]
    job = TextJob(Work(embedder.fingerprint, bytes, embedder), files)
    state = beginning.state(job, progress)
    count = text_files.count_lines(arguments.input)
    with (
        text_files.opened(arguments.input) as stream,
        progress.bar("embedding", count) as advance,
    ):
        rows = job.run(TextLines(stream, arguments.input, "embedded"), state, advance)
    progress.say(f"{arguments.output}: {rows} vectors of {embedder.width}")


def _outputs(arguments: EmbedSettings) -> list[Path]:
    """The files to write; raises ExportError for arguments that lead nowhere."""
    text_files.require_input(arguments.input)
    output, metadata = arguments.output, arguments.metadata
    if output.suffix not in (".npy", ".tsv"):
        raise TargetError(f"{output}: expected a name that ends in .npy or .tsv")
    outputs = [path for path in (output, metadata) if path]
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise TargetError(f"{output}: the metadata needs a file of its own")
    text_files.require_places(arguments.input, outputs)
    return outputs


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
