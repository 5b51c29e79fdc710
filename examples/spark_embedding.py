"""Spark: a column of texts in Parquet becomes vectors, on all machines of a cluster.

    spark-submit examples/spark_embedding.py --model=exported/NAME_text_embedding/1 \\
        --input=articles/ --column=abstract --keep=id --output=vectors/

Each Python worker loads the export once, by `predict_batch_udf`; the folder of the export has to be
on every machine, at the same place, and PYSPARK_PYTHON has to name a Python with hub_export there.
A worker that dies is begun anew, and its part of the table is done again.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, FloatType

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("--model", required=True, help="SavedModel or LiteRT copy of a text embedding")
PARSER.add_argument("--input", required=True, help="file or folder of Parquet")
PARSER.add_argument("--output", required=True, help="folder to write")
PARSER.add_argument("--column", default="text", help="that of the texts (%(default)s)")
PARSER.add_argument("--keep", default="id", help="columns to copy, parted by commas (%(default)s)")
PARSER.add_argument("--master", help="of the cluster, where spark-submit does not say it")
PARSER.add_argument("--parts", type=int, help="to cut the table into: as many as cores, or more")
PARSER.add_argument("--rows", type=int, default=1024, help="given at once (%(default)s)")


def predictor(model: str) -> Callable[[], Callable[[Any], Any]]:
    """What a worker calls once, and gets what it then calls for every batch of texts."""

    def load() -> Callable[[Any], Any]:
        from hub_export.use import TextModel  # noqa: PLC0415 (on the worker)

        embed = TextModel(model, threads=1)
        return lambda texts: embed(texts.tolist())["default"]

    return load


def main(arguments: Sequence[str] | None = None) -> None:
    """Embeds and writes."""
    args = PARSER.parse_args(arguments)
    builder = SparkSession.builder.appName("embedding")
    spark = (builder.master(args.master) if args.master else builder).getOrCreate()
    rows = spark.read.parquet(args.input)
    rows = rows.repartition(args.parts) if args.parts else rows
    embed = predict_batch_udf(
        predictor(args.model), return_type=ArrayType(FloatType()), batch_size=args.rows
    )
    kept = [rows[name] for name in args.keep.split(",")]
    rows.select(*kept, embed(rows[args.column]).alias("vector")).write.parquet(args.output)


if __name__ == "__main__":
    main()
