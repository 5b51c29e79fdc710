"""What is asked of an engine."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

TFRECORD = "tfrecord"
"""Records of tf.train.Example: a format of inputs and outputs."""


@dataclasses.dataclass(frozen=True)
class Corpus:
    """What a pipeline embeds, and where to.

    Attributes:
        model: folder of the text embedding, on the workers.
        input: pattern of the files; it and the output may be URLs that Beam has a filesystem for.
        format: PLAIN, JSONL, PARQUET or TFRECORD.
        column: that of the texts.
        keep: those that are copied.
        output: the files are called so, with the number of each before the suffix: .parquet or
            .tfrecord.
        dtype: of the vectors.
        batch_size: texts that are computed together.
        threads: cores of a process.
        overwrite: whether outputs that exist are replaced.
    """

    model: Path
    input: str
    format: str
    column: str
    keep: Sequence[str]
    output: str
    dtype: str
    batch_size: int
    threads: int | None
    overwrite: bool

    @property
    def prefix(self) -> str:
        """What the names of its files begin with."""
        return self.output.removesuffix(self.suffix)

    @property
    def suffix(self) -> str:
        """What they end in."""
        return PurePosixPath(self.output).suffix

    @property
    def bad(self) -> str:
        """What the names of the files of rows that cannot be read begin with."""
        return f"{self.prefix}.bad"
