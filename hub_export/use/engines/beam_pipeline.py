"""The pipeline of Apache Beam that `hub_embed --runner=...` runs."""

import contextlib
import io
import os
import re
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from hub_export.errors import ExportError, TargetError
from hub_export.use.corpora import vector_table
from hub_export.use.corpora.text_embedder import TextEmbedder
from hub_export.use.engines import beam_outputs, beam_records
from hub_export.use.engines.beam import TextModelHandler
from hub_export.use.engines.beam_files import matching
from hub_export.use.engines.beam_records import BAD, NAMESPACE
from hub_export.use.engines.corpus import Corpus

_BAD_SUFFIX = ".jsonl"


def run(corpus: Corpus, options: Sequence[str]) -> dict[str, int]:
    """Embeds a corpus; waits for the end.

    Args:
        corpus: the corpus.
        options: those of the pipeline, `--runner` among them.

    Returns:
        What was counted, by name: rows, bad_rows.

    Raises:
        SourceError: there are no such files, or there is no such model.
        TargetError: an output exists, or is an input.
        ExportError: an option is none of a pipeline, Beam has no filesystem for a place, or the
            pipeline failed.
    """
    earlier = _earlier(corpus)
    width = TextEmbedder(corpus.model, corpus.batch_size, corpus.threads).width
    types = beam_records.types_of(corpus)
    schema = vector_table.schema(types, width, corpus.dtype)
    pipeline = _pipeline(options)
    rows = pipeline | "Files" >> beam.Create([corpus.input]) | "Read" >> beam_records.source(corpus)
    read, bad = rows | "Rows" >> beam.ParDo(beam_records.Rows(corpus, types)).with_outputs(
        BAD, main="read"
    )
    handler = TextModelHandler(corpus.model, batch_size=corpus.batch_size, threads=corpus.threads)
    embedded = read | "Embed" >> RunInference(KeyedModelHandler(handler))
    beam_outputs.write(embedded, corpus, schema)
    bad | "Bad" >> beam.io.WriteToText(corpus.bad, _BAD_SUFFIX)
    if earlier:  # perhaps more of them than are written now
        FileSystems.delete(earlier)
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except RuntimeError as error:  # with the whole trace of a worker
        raise ExportError(f"the pipeline failed: {error}") from error
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    return {"rows": 0, "bad_rows": 0} | {each.key.metric.name: each.result for each in found}


def _pipeline(options: Sequence[str]) -> beam.Pipeline:
    """An empty one; raises ExportError where an option is none."""
    said = io.StringIO()  # by argparse: all options that there are, and what is wrong
    try:
        with contextlib.redirect_stderr(said):
            parsed = PipelineOptions([*options])
            parsed.get_all_options()  # raises now what the pipeline would raise when it runs
        return beam.Pipeline(options=parsed)
    except (SystemExit, ValueError) as error:
        by_argparse = said.getvalue().splitlines() if isinstance(error, SystemExit) else []
        *_, reason = str(error), *by_argparse
        raise ExportError(f"options of the pipeline: {' '.join(options)}: {reason}") from error


def _earlier(corpus: Corpus) -> list[str]:
    """The outputs of an earlier run, which this one is to replace.

    Raises:
        TargetError: it is not to, or one of them is an input.
    """
    names = (corpus.prefix, corpus.suffix), (corpus.bad, _BAD_SUFFIX)
    there = [file for prefix, suffix in names for file in _shards(prefix, suffix)]
    inputs = {_place(file) for file in matching(corpus.input)}
    if taken := [file for file in there if _place(file) in inputs]:
        raise TargetError(f"{taken[0]}: is an input; choose another name for the output")
    if there and not corpus.overwrite:
        raise TargetError(
            f"{there[0]}: exists; choose another name, or replace it with --overwrite"
        )
    return there


def _shards(prefix: str, suffix: str) -> list[str]:
    """The files that are called as Beam calls its outputs, and no others."""
    name = re.compile(rf"{re.escape(prefix)}-\d{{5,}}-of-\d{{5,}}{re.escape(suffix)}")
    return [file for file in matching(f"{prefix}-*{suffix}") if name.fullmatch(file)]


def _place(file: str) -> str:
    return file if "://" in file else os.path.realpath(file)
