"""FAISS: an index of written vectors, searched, and what is found put in order by a cross-encoder.

    hub_embed --model=exported/NAME_text_embedding/1 --input=articles.parquet --keep=id,text \\
        --output=vectors.parquet
    python examples/search.py --model=exported/NAME_text_embedding/1 --vectors=vectors.parquet \\
        --cross_encoder=exported/OTHER_text_classification/1 "how fast does light travel"

`vectors.parquet` may be a file of hub_embed, or a folder of what an engine wrote. The index is
exact (inner products of normalised vectors); `--lists` makes one that looks into some lists of
vectors only, for millions of them.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
import pyarrow.dataset

from hub_export.use import TextModel

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("query", help="what is searched for")
PARSER.add_argument("--model", required=True, help="text embedding that the vectors are of")
PARSER.add_argument("--vectors", required=True, help="Parquet with their texts and vectors")
PARSER.add_argument("--column", default="text", help="that of the texts (%(default)s)")
PARSER.add_argument("--cross_encoder", help="text classification with one label, or none")
PARSER.add_argument("--lists", type=int, default=0, help="of vectors; 0 looks at all (%(default)s)")
PARSER.add_argument("--found", type=int, default=50, help="texts to find (%(default)s)")
PARSER.add_argument("--top_k", type=int, default=5, help="texts to show (%(default)s)")

Found = list[tuple[float, str]]
"""Scores and texts, the best first."""
TOGETHER = 1 << 16


def build(path: str, lists: int) -> faiss.Index:
    """The index of all vectors, float32, float16 or int8: a cosine needs no scale."""
    rows = pyarrow.dataset.dataset(path, format="parquet").to_batches(
        columns=["vector"], batch_size=TOGETHER
    )
    index = None
    for batch in (normalised(each["vector"]) for each in rows if len(each)):
        if index is None:
            index = empty(batch, lists)
        index.add(batch)
    if index is None:
        raise SystemExit(f"{path}: has no vectors")
    return index


def normalised(vectors: Any) -> np.ndarray:
    """A column of vectors as float32 [n, D], each of length one."""
    found = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    found = np.ascontiguousarray(found.reshape(len(vectors), -1))
    faiss.normalize_L2(found)
    return found


def empty(first: np.ndarray, lists: int) -> faiss.Index:
    """An index without vectors; where it has lists, the first vectors tell what is in which."""
    if not lists:
        return faiss.IndexFlatIP(first.shape[1])
    index = faiss.index_factory(first.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(first)
    index.nprobe = max(1, lists // 16)
    return index


def reranked(cross_encoder: TextModel, query: str, texts: Sequence[str]) -> Found:
    """Texts by the score that a cross-encoder gives to the query and each of them."""
    scores = cross_encoder([query] * len(texts), texts)["score"]
    return sorted(zip(scores.tolist(), texts, strict=True), reverse=True)


def main(arguments: Sequence[str] | None = None) -> Found:
    """Searches."""
    args = PARSER.parse_args(arguments)
    index = build(args.vectors, args.lists)
    query = TextModel(args.model)([args.query])["default"]
    faiss.normalize_L2(query)
    scores, places = index.search(query, min(args.found, index.ntotal))
    # Of fewer vectors than were asked for, the places of the others are -1.
    pairs = [
        pair for pair in zip(scores[0].tolist(), places[0].tolist(), strict=True) if pair[1] >= 0
    ]
    rows = pyarrow.dataset.dataset(args.vectors, format="parquet")
    texts = rows.take([place for _, place in pairs], columns=[args.column])[args.column].to_pylist()
    found = list(zip((score for score, _ in pairs), texts, strict=True))
    if args.cross_encoder:
        found = reranked(TextModel(args.cross_encoder), args.query, texts)
    return found[: args.top_k]


if __name__ == "__main__":
    for score, text in main():
        print(f"{score:.4f}  {text}")
