"""Ray Data: a column of texts in Parquet becomes vectors, on all machines of a cluster.

    python examples/ray_embedding.py --model=exported/NAME_text_embedding/1 \\
        --input=articles/ --column=abstract --keep=id --output=vectors/ --workers=8

Each worker is an actor of one core that loads the export once; the folder of the export has to be
on every machine, at the same place. Rows have no order: keep a column that says which is which. A
worker that dies is begun anew, and what it was given is done again.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import pyarrow
import ray

from hub_export.use import TextModel

_AT_ONCE, _OF_A_FILE = 4, 100_000
"""Batches that a worker is given at once, and what is done again if it dies; rows of a file."""

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("--model", required=True, help="SavedModel or LiteRT copy of a text embedding")
PARSER.add_argument("--input", required=True, help="file or folder of Parquet")
PARSER.add_argument("--output", required=True, help="folder to write")
PARSER.add_argument("--column", default="text", help="that of the texts (%(default)s)")
PARSER.add_argument("--keep", default="id", help="columns to copy, parted by commas (%(default)s)")
PARSER.add_argument("--workers", type=int, default=2, help="(%(default)s)")
PARSER.add_argument("--rows", type=int, default=1024, help="given at once (%(default)s)")


class Embedder:
    """What a worker is: a table of texts in, a table with their vectors out."""

    def __init__(self, model: str, column: str, keep: Sequence[str]) -> None:
        self._model = TextModel(model, threads=1)
        self._column, self._keep = column, keep

    def __call__(self, table: Any) -> Any:
        vectors = self._model(table[self._column].to_pylist())["default"]
        flat, width = pyarrow.array(vectors.ravel()), vectors.shape[1]
        column = pyarrow.FixedSizeListArray.from_arrays(flat, width)
        return table.select(self._keep).append_column("vector", column)


def main(arguments: Sequence[str] | None = None) -> None:
    """Embeds and writes."""
    args = PARSER.parse_args(arguments)
    keep = args.keep.split(",")
    rows = ray.data.read_parquet(args.input, columns=[*dict.fromkeys([args.column, *keep])])
    # However many files there are, Ray may read them as one block, which one worker would get.
    embedded = rows.repartition(target_num_rows_per_block=_AT_ONCE * args.rows).map_batches(
        Embedder,
        fn_constructor_args=(args.model, args.column, keep),
        batch_size=args.rows,
        batch_format="pyarrow",
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=args.workers),
    )
    embedded.write_parquet(args.output, min_rows_per_file=_OF_A_FILE)


if __name__ == "__main__":
    main()
