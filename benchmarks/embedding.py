"""How fast texts become vectors: the exported text embedding and ten other ways.

    python -m benchmarks.embedding [--rounds 7] [--batch 32] [--ways ours onnxruntime]

All start from strings, and end with normalised vectors in numpy. Every way has a process of its own
and is asked in turn, round by round; ratios are medians over the rounds. Ways whose package is not
installed are left out: pip install --constraint constraints.txt .[benchmarks]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import hub_export
from benchmarks import embedders, keras_encoder, measure, texts
from benchmarks.embedders import Paths, Worker
from hub_export.sources.formats.json_files import read_json

WORDS = {"short": (6, 16), "long": (24, 48)}
"""How many words the texts of a kind have."""
BATCHES = 6
SINGLES = 40
_PAUSE = 0.2  # threads of the last one may still spin
_MATRIX = 2048


def main() -> None:
    """Prints the tables."""
    options = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        paths = prepare(Path(folder))
        workers = embedders.workers(embedders.WAYS, options.ways, paths)
        with measure.Others() as others:
            for kind, (least, most) in WORDS.items():
                found = [text for text in _english() if least <= len(text.split()) <= most]
                _compare(kind, found, workers, options, paths)
            for worker in workers.values():
                worker.stop()  # what they worked is known once they have ended
    print(f"other processes kept {others.cores:.1f} of {embedders.CORES} cores busy")


def _compare(
    kind: str,
    found: list[str],
    workers: Mapping[str, Worker],
    options: argparse.Namespace,
    paths: Paths,
) -> None:
    """Prints throughput in batches, and the latency of single texts."""
    size = options.batch
    batches = [found[at : at + size] for at in range(0, BATCHES * size, size)]
    singles = [[text] for text in found[:SINGLES]]
    tokens = _tokens(paths.checkpoint, found[: BATCHES * size])
    together, alone, peaks = _measured(workers, batches, singles, options.rounds)
    print(f"\n{kind}: {tokens / (BATCHES * size):.1f} tokens a text")
    rows = []
    for name, seconds in together.items():
        rate = statistics.median(BATCHES * size / each for each in seconds)
        useful = measure.ratio([_work(paths, tokens) / each for each in seconds], peaks)
        rows.append(
            [
                name,
                f"{rate:,.0f}",
                f"{measure.ratio(seconds, together['ours']):.2f}",
                f"{useful:.0%}",
                f"{1000 * statistics.median(alone[name]):.2f}",
                f"{measure.ratio(alone[name], alone['ours']):.2f}",
            ]
        )
    header = ["", f"texts/s, {size}", "ours x", "of the peak", "one text, ms", "ours x"]
    print(measure.table(header, rows))


def _measured(
    workers: Mapping[str, Worker],
    batches: Sequence[list[str]],
    singles: Sequence[list[str]],
    rounds: int,
) -> tuple[dict[str, list[float]], dict[str, list[float]], list[float]]:
    """Per way and round, seconds of all batches and the median of single texts; FLOP/s."""
    together: dict[str, list[float]] = {name: [] for name in workers}
    alone: dict[str, list[float]] = {name: [] for name in workers}
    peaks = []
    for name, worker in workers.items():
        _, vectors = worker(batches)  # warms up
        _check(name, vectors, workers["ours"](batches)[1])
        worker(singles)
    for _ in range(rounds):
        peaks.append(_peak())
        for name, worker in workers.items():
            time.sleep(_PAUSE)
            together[name].append(sum(worker(batches)[0]))
            time.sleep(_PAUSE)
            alone[name].append(statistics.median(worker(singles)[0]))
    return together, alone, peaks


def _check(name: str, vectors: embedders.Vectors, wanted: embedders.Vectors) -> None:
    # The classic way tokenizes otherwise, and cuts at 128.
    lowest = float(np.min(np.sum(vectors * wanted, axis=1)))
    print(f"{name}: lowest cosine with ours {lowest:.6f}", flush=True)


def _peak() -> float:
    """FLOP/s of a large product of float32 matrices in TensorFlow."""
    import tensorflow as tf  # noqa: PLC0415

    x = tf.ones([_MATRIX, _MATRIX])
    tf.matmul(x, x).numpy()
    taken = measure.seconds(lambda: tf.matmul(x, x).numpy())
    return 2 * _MATRIX**3 / taken


def _work(paths: Paths, tokens: int) -> float:
    """FLOP of the dense layers for so many tokens, attention's scores left out."""
    config = read_json(paths.checkpoint / "config.json")
    width, inner = config["hidden_size"], config["intermediate_size"]
    return 2.0 * tokens * config["num_hidden_layers"] * (4 * width * width + 2 * width * inner)


def _tokens(checkpoint: Path, found: list[str]) -> int:
    return sum(len(row.ids) for row in _tokenizer(checkpoint).encode_batch(found))


def _tokenizer(checkpoint: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.no_padding()
    return tokenizer


def of_length(checkpoint: Path, tokens: int, count: int) -> list[str]:
    """So many English texts, each of about so many tokens, special ones included."""
    inner, english, tokenizer = tokens - 2, _english(), _tokenizer(checkpoint)
    tokenizer.no_truncation()
    # A word is a token at the least.
    words = " ".join(texts.take(english, count * inner)).split()[: count * inner]
    whole = " ".join(words)
    places = tokenizer.encode(whole, add_special_tokens=False).offsets
    ends = range(inner, count * inner + 1, inner)
    return [whole[places[end - inner][0] : places[end - 1][1]] for end in ends]


def prepare(folder: Path) -> Paths:
    """Exports the checkpoint to the folder, and writes it for the other ways."""
    checkpoint = measure.demo_checkpoint()
    wide, narrow = (
        hub_export.export(
            checkpoint, folder / dtype, verify="none", compute_dtype=dtype, litert=litert
        ).paths
        for dtype, litert in (("float32", ("float32", "int8")), ("bfloat16", ()))
    )
    keras, onnx, onnx_int8 = (folder / name for name in ("keras", "model.onnx", "int8.onnx"))
    keras_encoder.save(checkpoint, keras)
    try:
        embedders.to_onnx(checkpoint, onnx)
        embedders.to_int8(onnx, onnx_int8)
    except ImportError as error:
        print(f"no ONNX: {error}")
    return Paths(checkpoint, wide, narrow["text_embedding"], keras, onnx, onnx_int8)


def _english() -> list[str]:
    return next(iter(texts.corpora().values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each is asked")
    parser.add_argument("--batch", type=int, default=32, help="texts a batch")
    ways = [way.__name__ for way in embedders.WAYS]
    parser.add_argument("--ways", nargs="*", choices=ways, default=[], help="by default all")
    return parser.parse_args()


if __name__ == "__main__":
    main()
