"""The pipeline of Apache Beam that `hub_embed --runner=...` runs."""

import contextlib
import io
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import apache_beam as beam
import numpy as np
import pyarrow
import pyarrow.parquet
from apache_beam.coders import BytesCoder
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.ml.inference.base import KeyedModelHandler, PredictionResult, RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from hub_export.errors import ExportError, SourceError, TargetError
from hub_export.settings import FLOAT32
from hub_export.use.corpora import text_rows, vector_table
from hub_export.use.corpora.parquet_rows import require_columns, value_types
from hub_export.use.corpora.text_embedder import TextEmbedder
from hub_export.use.corpora.vectors import SCALE, VECTOR, stored
from hub_export.use.engines.beam import TextModelHandler
from hub_export.use.engines.corpus import TFRECORD, Corpus

_BAD = "bad"
_BAD_SUFFIX = ".jsonl"
_NAMESPACE = "hub_embed"
_FIRST, _MOST = 100, 100_000  # records that tell of what type the columns are
_TOGETHER = 1024  # vectors that are written at once

Kept = Mapping[str, Any]


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
    types = _types(corpus)
    schema = vector_table.schema(types, width, corpus.dtype)
    pipeline = _pipeline(options)
    rows = pipeline | "Files" >> beam.Create([corpus.input]) | "Read" >> _source(corpus)
    read, bad = rows | "Rows" >> beam.ParDo(_Rows(corpus, types)).with_outputs(_BAD, main="read")
    handler = TextModelHandler(corpus.model, batch_size=corpus.batch_size, threads=corpus.threads)
    embedded = read | "Embed" >> RunInference(KeyedModelHandler(handler))
    _written(embedded, corpus, schema)
    bad | "Bad" >> beam.io.WriteToText(corpus.bad, _BAD_SUFFIX)
    if earlier:  # perhaps more of them than are written now
        FileSystems.delete(earlier)
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except RuntimeError as error:  # with the whole trace of a worker
        raise ExportError(f"the pipeline failed: {error}") from error
    found = result.metrics().query(MetricsFilter().with_namespace(_NAMESPACE))["counters"]
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
        *_, reason = str(error), *said.getvalue().splitlines()
        raise ExportError(f"options of the pipeline: {' '.join(options)}: {reason}") from error


def _earlier(corpus: Corpus) -> list[str]:
    """The outputs of an earlier run, which this one is to replace.

    Raises:
        TargetError: it is not to, or one of them is an input.
    """
    names = (corpus.prefix, corpus.suffix), (corpus.bad, _BAD_SUFFIX)
    there = [file for prefix, suffix in names for file in _shards(prefix, suffix)]
    inputs = {_place(file) for file in _files(corpus.input)}
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
    return [file for file in _files(f"{prefix}-*{suffix}") if name.fullmatch(file)]


def _place(file: str) -> str:
    return file if "://" in file else os.path.realpath(file)


def _files(pattern: str) -> list[str]:
    """Those that match; raises ExportError where Beam has no filesystem for them."""
    try:
        [found] = FileSystems.match([pattern])
    except (ValueError, BeamIOError) as error:
        raise ExportError(
            f"{pattern}: cannot be looked at ({error}); gs:// needs apache-beam[gcp], s3:// "
            "apache-beam[aws], and their credentials"
        ) from error
    return sorted(each.path for each in found.metadata_list)


def _source(corpus: Corpus) -> beam.PTransform:
    if corpus.format == text_rows.PARQUET:
        columns = [*dict.fromkeys([corpus.column, *corpus.keep])]
        return beam.io.ReadAllFromParquet(columns=columns)
    if corpus.format == TFRECORD:
        return beam.io.ReadAllFromTFRecord()
    return beam.io.ReadAllFromText(coder=BytesCoder())


def _reader(corpus: Corpus) -> Callable[[Any], text_rows.Row]:
    """What makes a row of a record."""
    values = {
        text_rows.PLAIN: lambda line: {text_rows.PLAIN_COLUMN: line},
        text_rows.JSONL: text_rows.json_object,
        text_rows.PARQUET: lambda row: row,
        TFRECORD: _example,
    }[corpus.format]
    binary = corpus.keep if corpus.format in (text_rows.PARQUET, TFRECORD) else ()
    return text_rows.reader(
        text_rows.Table((), values, binary=binary), [corpus.column], corpus.keep
    )


def _example(record: bytes) -> text_rows.Values:
    """What a tf.train.Example says; of several values a list."""
    import tensorflow as tf  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise SourceError(f"expected a tf.train.Example ({error})") from error
    kinds = {name: each.WhichOneof("kind") for name, each in features.items()}
    lists = {name: getattr(features[name], kind).value for name, kind in kinds.items() if kind}
    return {name: each[0] if len(each) == 1 else [*each] for name, each in lists.items()}


def _types(corpus: Corpus) -> dict[str, Any]:
    """Column to keep -> its type in Arrow.

    Raises:
        SourceError: there are no such files or columns; the first records cannot be read, or do
            not tell one type.
    """
    files = _files(corpus.input)
    if not files:
        raise SourceError(f"{corpus.input}: no such files")
    told = _parquet_types if corpus.format == text_rows.PARQUET else _told_types
    return vector_table.settled(told(files, corpus))


def _parquet_types(files: Sequence[str], corpus: Corpus) -> dict[str, Any]:
    """As the first file says, and others so long as a column is null."""
    types: dict[str, Any] = dict.fromkeys(corpus.keep)
    for file in files:
        with FileSystems.open(file) as stream:
            schema = _parquet(file, stream).schema_arrow
        require_columns(file, schema.names, [corpus.column, *corpus.keep])
        said = value_types(schema)
        types = {name: kind or said[name] for name, kind in types.items()}
        if all(types.values()):
            break
    return {name: kind or pyarrow.null() for name, kind in types.items()}


def _told_types(files: Sequence[str], corpus: Corpus) -> dict[str, Any]:
    """As the values of the first records tell, and others so long as they are null."""
    read, rows, bad = _reader(corpus), list[Kept](), list[SourceError]()
    types: dict[str, Any] = dict.fromkeys(corpus.keep, pyarrow.null())
    records = itertools.chain.from_iterable(_first_records(file, corpus) for file in files)
    while some := [*itertools.islice(records, _FIRST)]:
        before = len(rows)
        for record in some:
            try:
                rows.append(read(record).kept)
            except SourceError as error:
                bad.append(error)
        if not rows:
            raise SourceError(
                f"{files[0]}: none of the first {len(bad)} records can be read: {bad[0]}"
            )
        types = vector_table.told(types, rows[before:])
        still = [name for name, kind in types.items() if vector_table.is_open(kind)]
        if not still:
            break
        if len(rows) + len(bad) >= _MOST:
            raise SourceError(
                f"{', '.join(still)}: expected a value that tells the type, found none in the "
                f"first {_MOST} records; leave it out of --keep"
            )
    return {name: _text_type(kind, [row[name] for row in rows]) for name, kind in types.items()}


def _text_type(kind: Any, values: Sequence[Any]) -> Any:
    """A string in the place of bytes, where they are UTF-8: a tf.train.Example has no strings."""
    try:
        binary = pyarrow.types.is_binary(kind)
        return pyarrow.array(values, kind).cast(pyarrow.string()).type if binary else kind
    except pyarrow.ArrowInvalid:
        return kind


def _first_records(file: str, corpus: Corpus) -> Iterator[Any]:
    with FileSystems.open(file) as stream:
        if corpus.format == TFRECORD:
            from apache_beam.io.tfrecordio import _TFRecordUtil  # noqa: PLC0415

            try:
                while (record := _TFRecordUtil.read_record(stream)) is not None:
                    yield record
            except ValueError as error:
                raise SourceError(f"{file}: damaged, or no TFRecord ({error!s:.100})") from error
        else:
            yield from (line.rstrip(b"\r\n") for line in iter(stream.readline, b""))


def _parquet(file: str, stream: BinaryIO) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(stream)
    except pyarrow.ArrowException as error:
        raise SourceError(f"{file}: cannot be read as Parquet ({error})") from error


class _Rows(beam.DoFn):
    """Records -> (what is kept, the text); those that cannot be read, as lines with the reason."""

    def __init__(self, corpus: Corpus, types: Mapping[str, Any]) -> None:
        self._corpus, self._types = corpus, types
        self._good, self._bad = (Metrics.counter(_NAMESPACE, name) for name in ("rows", "bad_rows"))

    def setup(self) -> None:
        self._read = _reader(self._corpus)

    def process(self, record: Any) -> Iterator[Any]:
        try:
            row = self._read(record)
            vector_table.require_types(row.kept, self._types)
        except SourceError as error:
            self._bad.inc()
            shown = record if isinstance(record, bytes) else json.dumps(record, default=str)
            line = {"reason": str(error), "record": text_rows.plain(shown)}
            yield beam.pvalue.TaggedOutput(_BAD, json.dumps(line))
            return
        self._good.inc()
        yield row.kept, row.texts[0]


def _written(embedded: beam.PCollection, corpus: Corpus, schema: pyarrow.Schema) -> None:
    prefix, suffix = corpus.prefix, corpus.suffix
    if suffix == ".tfrecord":
        examples = embedded | "Examples" >> beam.Map(_as_example, corpus.dtype)
        examples | "Write" >> beam.io.WriteToTFRecord(prefix, file_name_suffix=suffix)
        return
    batches = embedded | "Together" >> beam.BatchElements(_TOGETHER, _TOGETHER)
    tables = batches | "Tables" >> beam.Map(_as_table, schema, corpus.dtype)
    tables | "Write" >> beam.io.WriteToParquetBatched(
        prefix, schema, codec="snappy", file_name_suffix=suffix
    )


def _as_table(
    batch: Sequence[tuple[Kept, PredictionResult]], schema: pyarrow.Schema, dtype: str
) -> pyarrow.Table:
    kept, vectors = [each for each, _ in batch], np.stack([each.inference for _, each in batch])
    return pyarrow.Table.from_batches(
        [vector_table.record_batch(schema, kept, vectors, dtype)], schema
    )


def _as_example(element: tuple[Kept, PredictionResult], dtype: str) -> bytes:
    """A tf.train.Example; numbers that are not float32 are bytes, the lowest first."""
    import tensorflow as tf  # noqa: PLC0415

    kept, result = element
    numbers = stored(result.inference[None], dtype)
    vector = numbers[VECTOR][0]
    features = {name: _feature(_listed(value)) for name, value in kept.items()}
    features[VECTOR] = _feature(vector.tolist() if dtype == FLOAT32 else [vector.tobytes()])
    if SCALE in numbers:
        features[SCALE] = _feature(numbers[SCALE].tolist())
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _feature(values: Iterable[Any]) -> Any:
    import tensorflow as tf  # noqa: PLC0415

    found = [*values]
    if all(isinstance(each, int) for each in found):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=found))
    if all(isinstance(each, int | float) for each in found):
        return tf.train.Feature(float_list=tf.train.FloatList(value=found))
    texts = [each if isinstance(each, bytes) else str(each).encode() for each in found]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
