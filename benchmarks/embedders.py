"""Ways to make vectors of texts with the checkpoint all-MiniLM-L6-v2, each in its own process.

Idle, a process takes no core from the one that is measured: thread pools that spin would, if all
lived together.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Embed = Callable[[list[str]], Vectors]
Run = Callable[[dict[str, npt.NDArray[np.int64]]], Vectors]
"""Inputs of a model in ONNX by name -> its first output."""
CORES = len(os.sched_getaffinity(0))
_LONGEST = 256  # what the checkpoint admits


class Paths(NamedTuple):
    """What the ways need.

    Attributes:
        checkpoint: the folder of the checkpoint.
        exports: part -> SavedModel, or folder of the LiteRT copy.
        narrow: the text embedding in bfloat16.
        keras: the encoder in Keras layers.
        onnx: the checkpoint with mean pooling and normalisation in ONNX.
        onnx_int8: the same with dynamically quantised weights.
    """

    checkpoint: Path
    exports: Mapping[str, Path]
    narrow: Path
    keras: Path
    onnx: Path
    onnx_int8: Path


def ours(paths: Paths) -> Embed:
    """The text embedding of an export."""
    return _served(paths.exports["text_embedding"])


def bfloat16(paths: Paths) -> Embed:
    """The same in bfloat16."""
    return _served(paths.narrow)


def litert(paths: Paths) -> Embed:
    """The LiteRT copy in float32."""
    return _copied(paths, "float32")


def litert_int8(paths: Paths) -> Embed:
    """The same with weights as int8."""
    return _copied(paths, "int8")


def _copied(paths: Paths, precision: str) -> Embed:
    from hub_export.litert import TextModel  # noqa: PLC0415

    model = TextModel(paths.exports["text_embedding_litert"], precision)
    return lambda texts: np.asarray(model(texts))


def _served(path: Path) -> Embed:
    import tensorflow as tf  # noqa: PLC0415
    import tensorflow_text  # noqa: F401, PLC0415

    model = tf.saved_model.load(str(path))
    serve = model.signatures["serving_default"]
    return lambda texts: (model, serve(text=tf.constant(texts))["default"].numpy())[1]


def classic(paths: Paths) -> Embed:
    """The pipeline of TF Hub's guides: TF-Text's BertTokenizer, padding to 128, a Keras encoder."""
    return _padded(paths, paths.keras)


def padded(paths: Paths) -> Embed:
    """The same around our own encoder."""
    return _padded(paths, paths.exports["encoder"])


def _padded(paths: Paths, path: Path) -> Embed:
    import tensorflow as tf  # noqa: PLC0415
    import tensorflow_text as tf_text  # noqa: PLC0415

    encoder = tf.saved_model.load(str(path))
    vocabulary = str(paths.checkpoint / "vocab.txt")
    tokenizer = tf_text.BertTokenizer(vocabulary, lower_case=True, token_out_type=tf.int32)
    entries = Path(vocabulary).read_text(encoding="utf-8").splitlines()
    start, end = entries.index("[CLS]"), entries.index("[SEP]")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def embed(texts: tf.Tensor) -> tf.Tensor:
        pieces = tf_text.WaterfallTrimmer(126).trim([tokenizer.tokenize(texts).merge_dims(1, 2)])
        ids, types = tf_text.combine_segments(pieces, start, end)
        ids, mask = tf_text.pad_model_inputs(ids, 128)
        types, _ = tf_text.pad_model_inputs(types, 128)
        inputs = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
        weights = tf.cast(mask, tf.float32)[..., tf.newaxis]
        total = tf.reduce_sum(encoder(inputs)["sequence_output"] * weights, axis=1)
        return tf.math.l2_normalize(total, axis=1)

    return lambda texts: embed(tf.constant(texts)).numpy()


def transformers(paths: Paths) -> Embed:
    """`transformers` on torch, padded to the longest of the batch."""
    import torch  # noqa: PLC0415
    import transformers as library  # noqa: PLC0415

    tokenizer = library.AutoTokenizer.from_pretrained(paths.checkpoint)
    model = library.AutoModel.from_pretrained(paths.checkpoint).eval()

    def embed(texts: list[str]) -> Vectors:
        inputs = tokenizer(
            texts, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
        )
        with torch.inference_mode():
            found = model(**inputs).last_hidden_state
            weights = inputs["attention_mask"][..., None]
            mean = (found * weights).sum(1) / weights.sum(1)
            vectors: Vectors = torch.nn.functional.normalize(mean).numpy()
        return vectors

    return embed


def sentence_transformers(paths: Paths) -> Embed:
    """sentence-transformers, which sorts by length."""
    import sentence_transformers as library  # noqa: PLC0415

    model = library.SentenceTransformer(str(paths.checkpoint), device="cpu")
    return lambda texts: np.asarray(model.encode(texts, show_progress_bar=False))


def onnxruntime(paths: Paths) -> Embed:
    """ONNX Runtime, float32, padded to the longest of the batch, behind `tokenizers`."""
    return _behind_tokenizers(paths, run_onnxruntime(paths.onnx))


def onnxruntime_int8(paths: Paths) -> Embed:
    """The same with dynamically quantised weights."""
    return _behind_tokenizers(paths, run_onnxruntime(paths.onnx_int8))


def openvino(paths: Paths) -> Embed:
    """OpenVINO, float32, padded to the longest of the batch, behind `tokenizers`."""
    return _behind_tokenizers(paths, run_openvino(paths.onnx))


def run_onnxruntime(onnx: Path) -> Run:
    """A model in ONNX Runtime, float32 on all cores."""
    import onnxruntime as library  # noqa: PLC0415

    options = library.SessionOptions()
    options.intra_op_num_threads = CORES
    session = library.InferenceSession(str(onnx), options, ["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def run_openvino(onnx: Path) -> Run:
    """The same in OpenVINO."""
    import openvino as library  # noqa: PLC0415

    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": CORES}
    model = library.Core().compile_model(str(onnx), "CPU", {**hints, "PERFORMANCE_HINT": "LATENCY"})
    return lambda inputs: model(inputs)[0].copy()


def _behind_tokenizers(paths: Paths, run: Run) -> Embed:
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(str(paths.checkpoint / "tokenizer.json"))
    tokenizer.enable_truncation(_LONGEST)
    tokenizer.enable_padding()

    def embed(texts: list[str]) -> Vectors:
        rows = tokenizer.encode_batch(texts)
        ids = np.array([row.ids for row in rows], np.int64)
        mask = np.array([row.attention_mask for row in rows], np.int64)
        return run({"input_ids": ids, "attention_mask": mask})

    return embed


WAYS: tuple[Callable[[Paths], Embed], ...] = (
    ours,
    litert,
    litert_int8,
    bfloat16,
    classic,
    padded,
    transformers,
    sentence_transformers,
    onnxruntime,
    onnxruntime_int8,
    openvino,
)


def to_onnx(checkpoint: Path, target: Path) -> None:
    """Writes the checkpoint with mean pooling and normalisation as ONNX."""
    import onnx  # noqa: F401, PLC0415 (or torch raises an error of its own)
    import torch  # noqa: PLC0415
    import transformers as library  # noqa: PLC0415

    class Embedder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = library.AutoModel.from_pretrained(checkpoint)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            found = self.model(input_ids=input_ids, attention_mask=attention_mask)
            weights = attention_mask[..., None].float()
            mean = (found.last_hidden_state * weights).sum(1) / weights.sum(1)
            return torch.nn.functional.normalize(mean)

    example = torch.ones(2, 9, dtype=torch.long)
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(
        Embedder().eval(),
        (example, example),
        str(target),
        input_names=["input_ids", "attention_mask"],
        output_names=["vectors"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes},
        opset_version=17,
        dynamo=False,
    )


def to_int8(onnx: Path, target: Path) -> None:
    """Writes a model in ONNX with weights as int8, quantised dynamically."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    quantize_dynamic(onnx, target, weight_type=QuantType.QInt8)


class Worker:
    """A way in a process of its own."""

    def __init__(self, way: Callable[[Any], Callable[[Any], Vectors]], paths: Any) -> None:
        """Starts it, and waits until it is ready.

        Raises:
            ImportError: a package that it needs is not installed.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_work, args=(way, paths, other), daemon=True)
        self._process.start()
        if problem := self._pipe.recv():
            raise ImportError(problem)

    def __call__(self, batches: Sequence[Any]) -> tuple[list[float], Vectors]:
        """Computes batches; returns the seconds of each, and the vectors of all."""
        self._pipe.send(batches)
        answer: tuple[list[float], Vectors] = self._pipe.recv()
        return answer

    def stop(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.join()


def workers(
    ways: Sequence[Callable[[Any], Any]], names: Sequence[str], paths: Any
) -> dict[str, Worker]:
    """Those of the ways that are asked for (all, if none is), always with `ours`, by name."""
    found = {}
    for way in ways:
        if way.__name__ == "ours" or not names or way.__name__ in names:
            try:
                found[way.__name__] = Worker(way, paths)
            except ImportError as error:
                print(f"{way.__name__} is left out: {error}")
    return found


def _work(way: Callable[[Any], Callable[[Any], Vectors]], paths: Any, pipe: Any) -> None:
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", HF_HUB_OFFLINE="1")
    try:
        embed = way(paths)
    except ImportError as error:
        pipe.send(str(error))
        return
    pipe.send("")
    while True:
        seconds, vectors = [], []
        for batch in pipe.recv():
            begin = time.perf_counter()
            vectors.append(embed(batch))
            seconds.append(time.perf_counter() - begin)
        pipe.send((seconds, np.concatenate(vectors)))
