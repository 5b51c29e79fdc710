"""What a pipeline of Beam writes."""

from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow
from apache_beam.ml.inference.base import PredictionResult

from hub_export.settings import FLOAT32
from hub_export.use.corpora import vector_table
from hub_export.use.corpora.vectors import SCALE, VECTOR, stored
from hub_export.use.engines.beam_records import Kept
from hub_export.use.engines.corpus import Corpus

_TOGETHER = 1024  # vectors that are written at once


def write(embedded: beam.PCollection, corpus: Corpus, schema: pyarrow.Schema) -> None:
    """Writes what is kept of rows, and their vectors, to files of its own."""
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
