"""How well vectors tell which texts mean the same: Spearman's rank correlation on STS pairs.

    python -m benchmarks.similarity [--model FOLDER]

The correlation of the cosine of two texts' vectors with what people said of their likeness, by the
exported text embedding and by sentence-transformers. Both are to be equal to four decimals. Beside
them those of the LiteRT copies, whose weights may be rounded. The pairs are those of KorSTS
(Korean), which `HUB_EXPORT_TEST_ASSETS` has.
"""

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import measure

PAIRS = Path("corpora", "ko-nli", "korsts-test.tsv")
_BATCH = 32

EXPORTED, SOURCE = "exported", "sentence-transformers"

Floats = npt.NDArray[np.float32]
Embed = Callable[[list[str]], Any]


def main() -> None:
    """Prints both correlations; the exit code says whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", type=Path, help="a checkpoint of sentence-transformers")
    folder = parser.parse_args().model or measure.demo_checkpoint()
    scores, first, second = _pairs()
    with tempfile.TemporaryDirectory() as output:
        ways = {**_exported(folder, Path(output)), SOURCE: _source(folder)}
        found = {}
        for name, embed in ways.items():
            vectors = embed([*first, *second])
            found[name] = spearman(scores, *np.split(vectors, 2))
            print(f"{name:<22} {found[name]:.6f}  on {len(scores)} pairs")
    if len({f"{found[name]:.4f}" for name in (EXPORTED, SOURCE)}) > 1:
        sys.exit("they differ")


def spearman(scores: list[float], first: Floats, second: Floats) -> float:
    """Rank correlation of scores with the cosines of float32 [n, D] twice."""
    from scipy.stats import spearmanr  # noqa: PLC0415

    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(spearmanr(scores, (first * second).sum(axis=1) / lengths).statistic)


def _pairs() -> tuple[list[float], list[str], list[str]]:
    path = Path(os.environ.get("HUB_EXPORT_TEST_ASSETS", ""), PAIRS)
    if not path.exists():
        sys.exit(f"HUB_EXPORT_TEST_ASSETS: {path} is wanted, and not there")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, csv.excel_tab, quoting=csv.QUOTE_NONE))[1:]
    return [float(row[4]) for row in rows], [row[5] for row in rows], [row[6] for row in rows]


def _exported(folder: Path, output: Path) -> dict[str, Embed]:
    import tensorflow as tf  # noqa: PLC0415

    import hub_export  # noqa: PLC0415
    from hub_export.litert import TextModel  # noqa: PLC0415
    from hub_export.settings import PRECISIONS  # noqa: PLC0415

    parts = ["text_embedding"]
    paths = hub_export.export(
        folder, output, name="similarity", parts=parts, verify="none", litert=PRECISIONS
    ).paths
    model = tf.saved_model.load(str(paths["text_embedding"]))

    def embed(texts: list[str]) -> Floats:
        batches = (texts[at : at + _BATCH] for at in range(0, len(texts), _BATCH))
        return np.concatenate([model(tf.constant(batch)) for batch in batches])

    copy = paths["text_embedding_litert"]
    return {EXPORTED: embed, **{f"LiteRT {each}": TextModel(copy, each) for each in PRECISIONS}}


def _source(folder: Path) -> Embed:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return lambda texts: np.asarray(model.encode(texts, batch_size=_BATCH, show_progress_bar=False))


if __name__ == "__main__":
    main()
