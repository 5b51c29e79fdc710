"""Records that a pipeline of Beam reads: as rows, and of what type their columns are."""

import glob
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import apache_beam as beam
import pyarrow
import pyarrow.parquet
from apache_beam.coders import BytesCoder
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics

from hub_export.errors import SourceError
from hub_export.use.corpora import text_rows, vector_table
from hub_export.use.corpora.parquet_rows import require_columns, value_types
from hub_export.use.corpora.text_lines import MARK
from hub_export.use.engines.beam_files import matching
from hub_export.use.engines.corpus import TFRECORD, Corpus

BAD = "bad"
"""The output of rows that cannot be read."""
NAMESPACE = "hub_embed"
"""Of counters."""
_FIRST, _MOST = 100, 100_000  # records that tell of what type the columns are

Kept = Mapping[str, Any]


def source(corpus: Corpus) -> beam.PTransform:
    """Patterns of files -> their records."""
    if corpus.format == text_rows.PARQUET:
        columns = [*dict.fromkeys([corpus.column, *corpus.keep])]
        return beam.io.ReadAllFromParquet(columns=columns)
    if corpus.format == TFRECORD:
        return beam.io.ReadAllFromTFRecord()
    return beam.io.ReadAllFromText(coder=BytesCoder())


def _reader(corpus: Corpus) -> Callable[[Any], text_rows.Row]:
    """What makes a row of a record, which does not know whether it is the first of its file."""
    values = {
        text_rows.PLAIN: lambda line: {text_rows.PLAIN_COLUMN: line.removeprefix(MARK)},
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


def types_of(corpus: Corpus) -> dict[str, Any]:
    """Column to keep -> its type in Arrow.

    Raises:
        SourceError: there are no such files or columns, Beam cannot read such a name, or the first
            records cannot be read, or do not tell one type.
    """
    files = matching(corpus.input)
    if not files:
        raise SourceError(f"{corpus.input}: no such files")
    if odd := [file for file in files if glob.has_magic(file)]:
        raise SourceError(
            f"{odd[0]}: Beam takes it for a pattern, and would read nothing; choose a place "
            "without *, ? and ["
        )
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


class Rows(beam.DoFn):
    """Records -> (what is kept, the text); those that cannot be read, as lines with the reason."""

    def __init__(self, corpus: Corpus, types: Mapping[str, Any]) -> None:
        self._corpus, self._types = corpus, types
        self._good, self._bad = (Metrics.counter(NAMESPACE, name) for name in ("rows", "bad_rows"))

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
            yield beam.pvalue.TaggedOutput(BAD, json.dumps(line))
            return
        self._good.inc()
        yield row.kept, row.texts[0]
