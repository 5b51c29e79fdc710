"""How fast texts, and pairs of a query and a passage, get their labels: an export and other ways.

    python -m benchmarks.classification [--rounds 7] [--batch 32] [--ways ours onnxruntime]
    python -m benchmarks.classification --of pairs    # re-ranking

The model is the encoder of all-MiniLM-L6-v2 with a classifier of random weights. All ways start
from strings, and end with probabilities in numpy; each has a process of its own and is asked in
turn, round by round; ratios are medians over the rounds. Ways whose package is not installed are
left out: pip install --constraint constraints.txt .[benchmarks]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import hub_export
from benchmarks import embedders, measure, texts
from benchmarks.embedders import CORES, Run, Vectors, Worker

BATCHES, SINGLES = 6, 40
_LONGEST = 256
_PAUSE = 0.2  # threads of the last one may still spin
_QUERY_WORDS, _PASSAGE_WORDS = 6, 40

Rows = Sequence[tuple[str, ...]]
Classify = Callable[[Rows], Vectors]


class Paths(NamedTuple):
    """What the ways need: the checkpoint, its export, and the model in ONNX."""

    checkpoint: Path
    export: Path
    onnx: Path


def ours(paths: Paths) -> Classify:
    """The text classification of an export."""
    import tensorflow as tf  # noqa: PLC0415
    import tensorflow_text  # noqa: F401, PLC0415

    model = tf.saved_model.load(str(paths.export))

    def classify(rows: Rows) -> Vectors:
        columns = [tf.constant(column) for column in zip(*rows, strict=True)]
        name = "serving_default" if len(columns) == 1 else "serving_pair"
        named = dict(zip(("text", "text_pair"), columns, strict=False))
        found: Vectors = model.signatures[name](**named)["probabilities"].numpy()
        return found

    return classify


def pipeline(paths: Paths) -> Classify:
    """The text-classification pipeline of `transformers`, in batches."""
    import transformers  # noqa: PLC0415

    made = transformers.pipeline("text-classification", model=str(paths.checkpoint), device="cpu")

    def classify(rows: Rows) -> Vectors:
        asked = [dict(zip(("text", "text_pair"), row, strict=False)) for row in rows]
        found = made(asked, top_k=None, batch_size=len(rows), truncation=True, max_length=_LONGEST)
        scores = [{each["label"]: each["score"] for each in row} for row in found]
        return np.array([[row["LABEL_0"], row["LABEL_1"]] for row in scores], np.float32)

    return classify


def cross_encoder(paths: Paths) -> Classify:
    """The CrossEncoder of sentence-transformers, which takes pairs alone."""
    import sentence_transformers  # noqa: PLC0415

    model = sentence_transformers.CrossEncoder(
        str(paths.checkpoint), device="cpu", max_length=_LONGEST, local_files_only=True
    )

    def classify(rows: Rows) -> Vectors:
        how = {"batch_size": len(rows), "apply_softmax": True, "show_progress_bar": False}
        return np.asarray(model.predict([*rows], **how))

    return classify


def onnxruntime(paths: Paths) -> Classify:
    """ONNX Runtime, float32, padded to the longest of the batch, behind `tokenizers`."""
    return _behind_tokenizers(paths, embedders.run_onnxruntime(paths.onnx))


def openvino(paths: Paths) -> Classify:
    """OpenVINO, float32, padded to the longest of the batch, behind `tokenizers`."""
    return _behind_tokenizers(paths, embedders.run_openvino(paths.onnx))


def _behind_tokenizers(paths: Paths, run: Run) -> Classify:
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(str(paths.checkpoint / "tokenizer.json"))
    tokenizer.enable_truncation(_LONGEST)
    tokenizer.enable_padding()

    def classify(rows: Rows) -> Vectors:
        asked: Any = rows if len(rows[0]) == 2 else [row[0] for row in rows]
        read = tokenizer.encode_batch(asked)
        parts = zip(*((row.ids, row.attention_mask, row.type_ids) for row in read), strict=True)
        return run(dict(zip(_INPUTS, (np.array(part, np.int64) for part in parts), strict=True)))

    return classify


_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
WAYS: tuple[Callable[[Paths], Classify], ...] = (
    ours,
    pipeline,
    cross_encoder,
    onnxruntime,
    openvino,
)
_OF_PAIRS = (cross_encoder.__name__,)
TEXTS, PAIRS = "texts", "pairs"


def main() -> None:
    """Prints the tables."""
    options = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        paths = _prepare(Path(folder))
        workers = embedders.workers(WAYS, options.ways, paths)
        with measure.Others() as others:
            for kind, rows in _rows(options.batch).items():
                if kind in options.of:
                    can = {n: w for n, w in workers.items() if kind == PAIRS or n not in _OF_PAIRS}
                    _compare(kind, rows, can, options)
            for worker in workers.values():
                worker.stop()  # what they worked is known once they have ended
    print(f"other processes kept {others.cores:.1f} of {CORES} cores busy")


def _compare(
    kind: str, rows: Rows, workers: Mapping[str, Worker], options: argparse.Namespace
) -> None:
    """Prints throughput in batches, and the latency of single rows."""
    size = options.batch
    batches = [rows[at : at + size] for at in range(0, len(rows), size)]
    singles = [[row] for row in rows[:SINGLES]]
    together: dict[str, list[float]] = {name: [] for name in workers}
    alone: dict[str, list[float]] = {name: [] for name in workers}
    for name, worker in workers.items():
        _, found = worker(batches)  # warms up
        worker(singles)
        difference = float(np.abs(found - workers["ours"](batches)[1]).max())
        print(f"{name}: largest difference from ours {difference:.1e}", flush=True)
    for _ in range(options.rounds):
        for name, worker in workers.items():
            time.sleep(_PAUSE)
            together[name].append(sum(worker(batches)[0]))
            time.sleep(_PAUSE)
            alone[name].append(statistics.median(worker(singles)[0]))
    print(f"\n{kind}")
    table = [
        [
            name,
            f"{statistics.median(len(rows) / each for each in seconds):,.0f}",
            f"{measure.ratio(seconds, together['ours']):.2f}",
            f"{1000 * statistics.median(alone[name]):.2f}",
            f"{measure.ratio(alone[name], alone['ours']):.2f}",
        ]
        for name, seconds in together.items()
    ]
    print(measure.table(["", f"rows/s, {size}", "ours x", "one row, ms", "ours x"], table))


def _rows(size: int) -> dict[str, Rows]:
    """English news: titles and first words; and pairs of a few words with a whole text."""
    found = next(iter(texts.corpora().values()))
    long = [text for text in found if len(text.split()) >= _PASSAGE_WORDS // 2]
    words = [text.split() for text in long[: BATCHES * size]]
    passages = [" ".join(each[:_PASSAGE_WORDS]) for each in words]
    queries = [" ".join(each[:_QUERY_WORDS]) for each in words[1:] + words[:1]]
    return {
        TEXTS: [(each,) for each in passages],
        PAIRS: [*zip(queries, passages, strict=True)],
    }


def _prepare(folder: Path) -> Paths:
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    checkpoint, onnx = folder / "checkpoint", folder / "model.onnx"
    torch.manual_seed(0)
    kind = transformers.AutoModelForSequenceClassification
    model = kind.from_pretrained(measure.demo_checkpoint(), num_labels=2).eval()
    model.save_pretrained(checkpoint)
    transformers.AutoTokenizer.from_pretrained(measure.demo_checkpoint()).save_pretrained(
        checkpoint
    )
    parts = ("task_model",)
    done = hub_export.export(checkpoint, folder / "exports", parts=parts, verify="none")
    try:
        _to_onnx(model, onnx)
    except ImportError as error:
        print(f"no ONNX: {error}")
    return Paths(checkpoint, done.paths["text_classification"], onnx)


def _to_onnx(model: Any, target: Path) -> None:
    import torch  # noqa: PLC0415

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            found = self.model(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            )
            return found.logits.softmax(-1)

    example = torch.ones(2, 9, dtype=torch.long)
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(
        Classifier().eval(),
        (example, example, example),
        str(target),
        input_names=[*_INPUTS],
        output_names=["probabilities"],
        dynamic_axes=dict.fromkeys(_INPUTS, axes),
        opset_version=17,
        dynamo=False,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each is asked")
    parser.add_argument("--batch", type=int, default=32, help="rows a batch")
    kinds = [TEXTS, PAIRS]
    parser.add_argument("--of", nargs="+", choices=kinds, default=kinds, help="by default both")
    ways = [way.__name__ for way in WAYS]
    parser.add_argument("--ways", nargs="*", choices=ways, default=[], help="by default all")
    return parser.parse_args()


if __name__ == "__main__":
    main()
