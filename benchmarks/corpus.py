"""A million short texts through hub_embed, killed once on the way, against sentence-transformers.

    python -m benchmarks.corpus [--rows 1000000] [--ways int8 float32] [--kill 60]

Each way is a copy of all-MiniLM-L6-v2: hub_embed goes through a file of English texts of two to
eight words, is killed after so many seconds, and goes on. Seconds are those of both runs, their
starts among them; memory is the most that either takes. sentence-transformers embeds a sample of
the same texts in one call, which sorts them, its start left out.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from benchmarks import embedders, embedding, measure, texts
from benchmarks.embedders import Paths

LEAST, MOST = 2, 8
"""Words of a text."""
_PAUSE = 0.2


class Run(NamedTuple):
    """A run of hub_embed.

    Attributes:
        seconds: how long it took.
        memory: the most that it had, in MB.
        code: what it ended with.
    """

    seconds: float
    memory: float
    code: int


def main() -> None:
    """Prints the table."""
    options = _arguments()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths, source = embedding.prepare(folder), folder / "texts.txt"
        english = next(iter(texts.corpora().values()))
        found = [text for text in english if LEAST <= len(text.split()) <= MOST]
        source.write_text("\n".join(texts.take(found, options.rows)) + "\n", encoding="utf-8")
        rate, wanted = _sentence_transformers(paths, texts.take(found, options.sample))
        rows = [["sentence-transformers", f"{rate:,.0f}", "1.00", "", ""]]
        for way in options.ways:
            runs = _embedded(_model(paths, way), source, folder / f"{way}.npy", options.kill)
            ours = options.rows / sum(run.seconds for run in runs)
            vectors = np.load(folder / f"{way}.npy", mmap_mode="r")
            assert len(vectors) == options.rows, vectors.shape
            cosines = np.sum(vectors[: options.sample] * wanted, axis=1)
            memory = max(run.memory for run in runs)
            values = f"{ours:,.0f}", f"{ours / rate:.2f}", f"{memory:,.0f}", f"{cosines.min():.4f}"
            rows.append([f"hub_embed, {way}", *values])
    header = ["", "texts/s", "times", "memory, MB", "lowest cosine"]
    print(measure.table(header, rows))


def _sentence_transformers(paths: Paths, sample: Sequence[str]) -> tuple[float, np.ndarray]:
    """Texts a second, and the vectors."""
    [worker] = embedders.workers([embedders.sentence_transformers], (), paths).values()
    worker([[*sample[:100]]])
    [seconds], vectors = worker([[*sample]])
    worker.stop()
    return len(sample) / seconds, vectors


def _model(paths: Paths, way: str) -> Path:
    if way == "float32":
        return paths.exports["text_embedding"]
    if way == "bfloat16":
        return paths.narrow
    return paths.exports["text_embedding_litert"] / f"model_{way}.tflite"


def _embedded(model: Path, source: Path, target: Path, kill: float) -> list[Run]:
    """Embeds a file, killed once and taken up again."""
    line = [sys.executable, "-m", "hub_export.use.embed_cli", "--quiet", f"--model={model}"]
    command = [*line, f"--input={source}", f"--output={target}"]
    runs = [_run(command, kill), _run(command, None)]
    killed, last = (run.code for run in runs)
    if killed == 0 or last != 0:
        sys.exit(f"{model}: expected to be killed and to go on, ended with {killed} and {last}")
    return runs


def _run(command: Sequence[str], kill: float | None) -> Run:
    begin, memory = time.monotonic(), 0
    process = subprocess.Popen(command)
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            memory = max(memory, watched.memory_info().rss)
        except psutil.Error:  # it has ended
            break
        if kill is not None and time.monotonic() - begin > kill:
            process.kill()
        time.sleep(_PAUSE)
    return Run(time.monotonic() - begin, memory / 2**20, process.wait())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="(%(default)s)")
    parser.add_argument("--sample", type=int, default=20_000, help="(%(default)s)")
    ways = ("int8", "float32", "bfloat16")
    parser.add_argument("--ways", nargs="*", choices=ways, default=ways[:2], help="(%(default)s)")
    parser.add_argument("--kill", type=float, default=60, help="after so many seconds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
