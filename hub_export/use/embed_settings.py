"""What `hub_embed` may be asked for."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hub_export.options import option
from hub_export.settings import AUTO, FLOAT16, FLOAT32, INT8
from hub_export.use.corpora import text_rows
from hub_export.use.engines.corpus import TFRECORD

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

  hub_embed --runner=DirectRunner --model=... --input='articles-*.parquet' --column=abstract \\
    --keep=id --output=vectors.parquet -- \\
    --direct_num_workers=4 --direct_running_mode=multi_processing

It reads text, .jsonl, .parquet and .tfrecord (of tf.train.Example), .gz and .zst too, and writes
.parquet or .tfrecord: vectors-00000-of-00004.parquet and so on, in no order. Without --keep, the
texts themselves are kept. Rows that cannot be read go to vectors.bad-*.jsonl, with the reason.

Any number of rows takes the same memory. The output gets its name when it is complete. If the
command is stopped before that, even killed, run it again with the same arguments: it goes on where
it was. It refuses to if the model, or what it has read of the input, has changed since.
"""

_DTYPES = (FLOAT32, FLOAT16, INT8)


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
