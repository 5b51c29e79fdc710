"""How well vectors tell which texts mean the same: Spearman's rank correlation on STS pairs.

    python -m benchmarks.similarity [--model FOLDER]

The correlation of the cosine of two texts' vectors with what people said of their likeness, by the
exported text embedding and by sentence-transformers. Both are to be equal to four decimals. The
pairs are those of KorSTS (Korean), which `HUB_EXPORT_TEST_ASSETS` has.
"""

import argparse
import csv
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import measure

PAIRS = Path("corpora", "ko-nli", "korsts-test.tsv")
_BATCH = 32

Floats = npt.NDArray[np.float32]


def main() -> None:
    """Prints both correlations; the exit code says whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", type=Path, help="a checkpoint of sentence-transformers")
    folder = parser.parse_args().model or measure.demo_checkpoint()
    scores, first, second = _pairs()
    found = {}
    for name, embed in (("exported", _exported), ("sentence-transformers", _source)):
        vectors = embed(folder, [*first, *second])
        found[name] = spearman(scores, *np.split(vectors, 2))
        print(f"{name:<22} {found[name]:.6f}  on {len(scores)} pairs")
    if len({f"{each:.4f}" for each in found.values()}) > 1:
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


def _exported(folder: Path, texts: list[str]) -> Floats:
    import tensorflow as tf  # noqa: PLC0415

    import hub_export  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as output:
        done = hub_export.export(
            folder, output, name="similarity", parts=["text_embedding"], verify="none"
        )
        model = tf.saved_model.load(str(done.paths["text_embedding"]))
        batches = (texts[at : at + _BATCH] for at in range(0, len(texts), _BATCH))
        return np.concatenate([model(tf.constant(batch)) for batch in batches])


def _source(folder: Path, texts: list[str]) -> Floats:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    vectors: Floats = model.encode(texts, batch_size=_BATCH, show_progress_bar=False)
    return vectors


if __name__ == "__main__":
    main()
