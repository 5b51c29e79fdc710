"""The command `hub_embed`."""

import contextlib
import glob
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from hub_export.command import Command
from hub_export.errors import ExportError, SourceError, TargetError
from hub_export.settings import AUTO, FLOAT32
from hub_export.terminal import Progress, silenced
from hub_export.use.corpora import text_files, text_rows
from hub_export.use.corpora.pace import Pace
from hub_export.use.corpora.text_files import Beginning
from hub_export.use.corpora.text_job import TextJob, Work
from hub_export.use.corpora.vectors import SCALE, VECTOR
from hub_export.use.embed_settings import USAGE, EmbedSettings
from hub_export.use.engines.corpus import TFRECORD, Corpus

if TYPE_CHECKING:
    from hub_export.use.corpora.processes import AnyEmbedder
    from hub_export.use.corpora.vector_files import Kept, VectorFile

_LINES = (".tsv", ".jsonl")
_OUTPUTS = (".npy", ".parquet", *_LINES)


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
        pace = Pace(embedder)
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
    whole = _whole_place(output, str(Path.cwd()))
    if glob.has_magic(whole):
        raise TargetError(f"{whole}: Beam takes it for a pattern; choose one without *, ? and [")
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
        input=_whole_place(arguments.input, glob.escape(str(Path.cwd()))),
        format=format,
        column=arguments.column,
        keep=keep,
        output=whole,
        dtype=arguments.dtype,
        batch_size=arguments.batch_size,
        threads=arguments.threads,
        overwrite=arguments.overwrite,
    )


def _whole_place(name: str, folder: str) -> str:
    """A place as Beam finds it, which looks for no pattern in the folder that one is in."""
    return name if "://" in name else str(Path(folder, name))


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
