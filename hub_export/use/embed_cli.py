"""The command `hub_embed`."""

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from hub_export.command import Command
from hub_export.errors import ExportError, SourceError, TargetError
from hub_export.options import option
from hub_export.settings import AUTO, FLOAT16, FLOAT32, INT8
from hub_export.terminal import Advance, Progress, silenced
from hub_export.use.corpora import text_files, text_rows
from hub_export.use.corpora.text_files import Beginning
from hub_export.use.corpora.text_job import TextJob, Work
from hub_export.use.corpora.text_rows import Row
from hub_export.use.corpora.vectors import SCALE, VECTOR
from hub_export.use.engines.corpus import TFRECORD, Corpus

if TYPE_CHECKING:
    from hub_export.use.corpora.processes import AnyEmbedder
    from hub_export.use.corpora.vector_files import Kept, VectorFile
    from hub_export.use.corpora.vectors import Floats

USAGE = """Embeds texts with a text embedding that hub_export wrote.

  hub_embed --model=exported/all_minilm_l6_v2_text_embedding/1 --input=lines.txt --output=lines.npy
  sort -u words.txt | hub_embed --model=... --output=vectors.tsv --metadata=metadata.tsv
  hub_embed --model=... --input=articles.jsonl.gz --column=abstract --output=abstracts.npy
  hub_embed --model=... --input=articles.parquet --keep=id --output=vectors.parquet --workers=8

Row n of the output is the vector of row n of the input. The input's name says its form (--format
does, for the standard input); .gz or .zst may stand behind that of a file of lines:

  .tsv      columns parted by tabs, their names in the first line; no quotes, no escapes
  .jsonl    an object in JSON a line
  .parquet  columns (needs pyarrow, as .zst does: pip install '.[parquet]' in the folder of
            hub_export)
  else      a text a line; an empty line is one, too

The output's name says its form:

  .npy      [rows, width]; numpy.load(name, mmap_mode="r") reads it a piece at a time
  .parquet  the columns to --keep, and "vector"
  .jsonl    an object in JSON a line of the same; .gz or .zst may stand behind it
  .tsv      a vector a line, the numbers parted by tabs; with --metadata, load both files at
            https://projector.tensorflow.org or in TensorBoard's projector

With --dtype=int8 each vector has a scale of its own: vector * scale is what it stands for. Cosines
need no scale. An .npy then has a field for each:

  rows = numpy.load(name, mmap_mode="r")
  vectors = rows["vector"] * rows["scale"][:, None]  # float32 [rows, width]

Corpora larger than one machine go through a pipeline of Apache Beam (pip install '.[beam]' in the
folder of hub_export); what stands behind -- are its options:

  hub_embed --runner=DirectRunner --model=... --input='articles-*.parquet' --column=abstract \
    --keep=id --output=vectors.parquet -- \
    --direct_num_workers=4 --direct_running_mode=multi_processing

It reads text, .jsonl, .parquet and .tfrecord (of tf.train.Example), .gz and .zst too, and writes
.parquet or .tfrecord: vectors-00000-of-00004.parquet and so on, in no order. Without --keep, the
texts themselves are kept. Rows that cannot be read go to vectors.bad-*.jsonl, with the reason.

Any number of rows takes the same memory. The output gets its name when it is complete. If the
command is stopped before that, even killed, run it again with the same arguments: it goes on where
it was. It refuses to if the model, or what it has read of the input, has changed since.
"""

_DTYPES = (FLOAT32, FLOAT16, INT8)
_SAMPLE = 16  # texts whose tokens are counted
_LINES = (".tsv", ".jsonl")
_OUTPUTS = (".npy", ".parquet", *_LINES)


@dataclasses.dataclass(frozen=True)
class EmbedSettings:
    """What an embedding is asked for."""

    model: Path = option("Folder of the exported text embedding, or a file of its LiteRT copy.")
    output: str = option(
        "File to write: .npy, .parquet, .tsv or .jsonl; of a runner .parquet or .tfrecord."
    )
    input: str = option(
        "File of texts in UTF-8, as it is or packed; - stands for the standard input.", "-"
    )
    format: str = option(
        "Form of the input. auto: what its name says.", AUTO, choices=(*text_rows.FORMATS, TFRECORD)
    )
    column: str = option(
        "Where the input has columns, the one of the texts.", text_rows.PLAIN_COLUMN
    )
    keep: Sequence[str] = option(
        "Columns of the input to copy to a .parquet or .jsonl, such as id; of plain lines: text.",
        (),
    )
    metadata: Path | None = option("Write the texts themselves, too: to this file.", None)
    dtype: str = option(
        "Type of the numbers in an .npy or .parquet. float16 takes half the room, and keeps 11 "
        "bits of each; int8 takes a quarter, and keeps 7 bits of the largest number.",
        FLOAT32,
        choices=_DTYPES,
    )
    batch_size: int = option("Texts that are embedded together.", 128, least=1)
    threads: int | None = option(
        "Cores to compute on, of each process. Default: all, shared among the processes.",
        None,
        least=1,
    )
    workers: int = option("Processes that embed, each of which loads the model.", 1, least=1)
    runner: str = option(
        "What runs a pipeline of Apache Beam, such as DirectRunner, FlinkRunner, SparkRunner or "
        "DataflowRunner. Default: none; this command embeds by itself.",
        "",
    )
    pipeline_options: Sequence[str] = option(
        "Behind --: options of the pipeline, such as --direct_num_workers=4.", ()
    )
    overwrite: bool = option("Replace an output that exists.", False)
    restart: bool = option("Discard what a stopped run left: begin at the first row.", False)
    quiet: bool = option("Show nothing but errors.", False)


def _embed(settings: EmbedSettings) -> None:
    """Embeds, and says what was written."""
    if settings.runner:
        _run_pipeline(settings)
        return
    if settings.pipeline_options:
        unexpected = " ".join(settings.pipeline_options)
        raise ExportError(f"unexpected arguments: {unexpected}; only a --runner has options")
    with text_files.errors_told(settings.output):
        _run(settings)


def _run(arguments: EmbedSettings) -> None:
    outputs, format = _outputs(arguments), _format(arguments)
    beginning = Beginning(outputs, arguments.overwrite, arguments.restart)
    beginning.require()
    progress = Progress(arguments.quiet)
    with contextlib.ExitStack() as opened:
        with silenced():
            embedder = opened.enter_context(_embedder(arguments))
        lines = opened.enter_context(text_files.records(arguments.input, format, "embedded"))
        table = text_rows.table(lines, format, look=False)
        read = text_rows.reader(table, [arguments.column], arguments.keep)
        types = {name: table.types.get(name) for name in arguments.keep}
        with silenced():
            files = _files(arguments, outputs, embedder.width, types)
        pace = _Pace(embedder)
        options = json.dumps([format, arguments.column, arguments.dtype, *arguments.keep])
        work = Work(embedder.fingerprint, read, pace, options)
        job = TextJob(work, files)
        state = beginning.state(job, progress)
        with progress.bar("embedding", lines.total, " texts") as advance:
            pace.advance = advance
            rows = job.run(lines, state, advance)
    progress.say(f"{arguments.output}: {rows} vectors of {embedder.width}{pace}")


def _run_pipeline(arguments: EmbedSettings) -> None:
    """Embeds by Apache Beam."""
    asked, options = corpus(arguments), [f"--runner={arguments.runner}"]
    progress = Progress(arguments.quiet)
    try:
        with silenced():
            from hub_export.use.engines import beam_pipeline  # noqa: PLC0415
    except ImportError as error:
        raise ExportError(
            "--runner needs Apache Beam (pip install '.[beam]' in the folder of hub_export; "
            f"{error})"
        ) from error
    found = beam_pipeline.run(asked, [*options, *arguments.pipeline_options])
    counts = ", ".join(f"{name} {count}" for name, count in found.items())
    progress.say(f"{asked.prefix}-*{asked.suffix}: {counts}")
    if found["bad_rows"]:
        progress.say(f"{asked.bad}-*.jsonl: the rows that cannot be read")


def corpus(arguments: EmbedSettings) -> Corpus:
    """What a pipeline is asked; raises ExportError for arguments that lead nowhere."""
    output, format = arguments.output, arguments.format
    if not output.endswith((".parquet", f".{TFRECORD}")):
        raise TargetError(f"{output}: expected a name that ends in .parquet, .{TFRECORD}")
    others = {
        "metadata": arguments.metadata,
        "workers": arguments.workers > 1,
        "restart": arguments.restart,
    }
    if several := [name for name, value in others.items() if value]:
        raise ExportError(f"{', '.join(several)}: not with a --runner; it has its own options")
    if format == AUTO and text_rows.unpacked(arguments.input) == f".{TFRECORD}":
        format = TFRECORD
    format = text_rows.format_of(arguments.input, format)
    if format == text_rows.TSV or arguments.input == text_files.STDIO:
        raise SourceError(
            f"{arguments.input}: expected files of text, .jsonl, .parquet or .{TFRECORD}, as their "
            "names or --format say"
        )
    _require_column(arguments, format)
    keep = arguments.keep or (arguments.column,)
    _require_kept(keep)
    return Corpus(
        model=arguments.model,
        input=_whole_place(arguments.input),
        format=format,
        column=arguments.column,
        keep=keep,
        output=_whole_place(output),
        dtype=arguments.dtype,
        batch_size=arguments.batch_size,
        threads=arguments.threads,
        overwrite=arguments.overwrite,
    )


def _whole_place(name: str) -> str:
    """A place as Beam finds it, which looks for no pattern in the folder that one is in."""
    return name if "://" in name else str(Path(name).absolute())


class _Pace:
    """Embeds rows, and says how fast.

    Attributes:
        advance: of the bar that it is said behind.
    """

    advance: Advance

    def __init__(self, embedder: "AnyEmbedder") -> None:
        self._embedder, self._begin = embedder, time.monotonic()
        self._texts, self._tokens = 0, 0.0

    def __call__(self, rows: Sequence[Row], advance: Callable[[int], object]) -> "Floats":
        lines = [text for row in rows for text in row.texts if isinstance(text, bytes)]
        vectors = self._embedder(lines, advance)
        self._texts += len(lines)
        sample = lines[:: max(1, len(lines) // _SAMPLE)]
        self._tokens += self._embedder.tokens(sample) / max(1, len(sample)) * len(lines)
        self.advance.note(self._rates()[-1])
        return vectors

    def __str__(self) -> str:
        return f"; {', '.join(self._rates())}" if self._texts else ""

    def _rates(self) -> list[str]:
        """Of the whole run: the tokens, special ones included, are estimated from some texts."""
        seconds = time.monotonic() - self._begin
        rates = [f"{self._texts / seconds:,.0f} texts/s"]
        return rates + [f"about {self._tokens / seconds:,.0f} tokens/s"] * bool(self._tokens)


def _embedder(arguments: EmbedSettings) -> AbstractContextManager["AnyEmbedder"]:
    from hub_export.use.corpora.processes import embedder  # noqa: PLC0415

    return embedder(arguments.model, arguments.batch_size, arguments.threads, arguments.workers)


def _files(
    arguments: EmbedSettings, outputs: Sequence[Path], width: int, kept: "Kept"
) -> "list[VectorFile]":
    from hub_export.use.corpora.vector_files import FORMATS, Metadata  # noqa: PLC0415

    make = FORMATS[text_rows.unpacked(outputs[0].name)]
    files = [make(outputs[0], width, arguments.dtype, kept)]
    return files + [Metadata(path) for path in outputs[1:]]


def _outputs(arguments: EmbedSettings) -> list[Path]:
    """The files to write; raises ExportError for arguments that lead nowhere."""
    text_files.require_input(arguments.input)
    output, metadata = Path(arguments.output), arguments.metadata
    form, packed = text_rows.unpacked(output.name), output.suffix.lower() in text_rows.PACKED
    if form not in _OUTPUTS or (packed and form not in _LINES):
        raise TargetError(f"{output}: expected a name that ends in {', '.join(_OUTPUTS)}")
    if form in _LINES and arguments.dtype != FLOAT32:
        raise ExportError(f"dtype: {arguments.dtype} is for .npy and .parquet; found {output}")
    if form in (".npy", ".tsv") and arguments.keep:
        raise ExportError(f"keep: is for .parquet and .jsonl; found {output}")
    _require_kept(arguments.keep)
    outputs = [path for path in (output, metadata) if path]
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise TargetError(f"{output}: the metadata needs a file of its own")
    text_files.require_places(arguments.input, outputs)
    return outputs


def _require_kept(keep: Sequence[str]) -> None:
    if clash := sorted({*keep} & {VECTOR, SCALE}):
        raise ExportError(f"keep: {', '.join(clash)}: is a column of the output; rename yours")


def _format(arguments: EmbedSettings) -> str:
    """The form of the input; raises ExportError for one that is not read, or has no columns."""
    if arguments.format == TFRECORD:
        raise SourceError(f"{arguments.input}: .{TFRECORD} is read by a --runner")
    format = text_rows.format_of(arguments.input, arguments.format)
    _require_column(arguments, format)
    return format


def _require_column(arguments: EmbedSettings, format: str) -> None:
    if format == text_rows.PLAIN and arguments.column != text_rows.PLAIN_COLUMN:
        raise ExportError("column: plain lines have none; say --format=tsv, jsonl or parquet")


main = Command(
    "hub_embed",
    USAGE,
    EmbedSettings,
    _embed,
    arguments="pipeline_options",
    interrupted="to go on, run it again with the same arguments (no --restart)",
)


def run() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
