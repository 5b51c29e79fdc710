"""`model.tflite` beside an encoder, read and asked as TF Serving's TfLiteSession does it."""

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import flexbuffers
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.lite.python import schema_py_generated as schema

import hub_export
from hub_export import ExportError
from hub_export.terminal import Progress
from hub_export.use.serving import configuration, warmup
from hub_export.verify import litert
from hub_export.verify.checks import Outcome
from hub_export.verify.outputs import Sample
from tests import checkpoints

LENGTH = 16
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
Ints = npt.NDArray[np.int32]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> hub_export.Export:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    checkpoints.save_model(folder, "bert", num_hidden_layers=1)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    return hub_export.export(
        folder,
        tmp_path_factory.mktemp("exported"),
        parts=["encoder"],
        verify="quick",
        seq_length=LENGTH,
        serving_tflite="float32",
    )


@pytest.fixture(scope="module")
def encoder(exported: hub_export.Export) -> Path:
    return exported.paths["encoder"]


@pytest.fixture(scope="module")
def signature(encoder: Path) -> meta_graph_pb2.SignatureDef:
    """What GetSignatureDefMap of tensorflow/lite/tools/signature finds."""
    found = schema.ModelT.InitFromPackedBuf((encoder / "model.tflite").read_bytes())
    [entry] = [each for each in found.metadata if each.name == b"signature_defs_metadata"]
    root = flexbuffers.GetRoot(bytes(found.buffers[entry.buffer].data)).AsMap
    [key], [value] = root.Keys, root.Values
    assert key.AsKey == "serving_default"
    return meta_graph_pb2.SignatureDef.FromString(value.AsStringBytes)


class Session:
    """What TfLiteSession does: it resizes inputs one by one, and allocates after each."""

    def __init__(self, file: Path) -> None:
        self._interpreter = Interpreter(str(file), num_threads=1)
        self._interpreter.allocate_tensors()
        outputs = self._interpreter.get_output_details()
        self._outputs = {each["name"]: each["index"] for each in outputs}

    def run(
        self, signature: meta_graph_pb2.SignatureDef, inputs: Mapping[str, Ints]
    ) -> dict[str, npt.NDArray[Any]]:
        interpreter = self._interpreter
        named = {signature.inputs[name].name: each for name, each in inputs.items()}
        for each in sorted(interpreter.get_input_details(), key=lambda each: each["index"]):
            index, value = each["index"], named[each["name"]]
            if (*each["shape"],) != value.shape:
                interpreter.resize_tensor_input(index, value.shape)
                interpreter.allocate_tensors()
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        found = signature.outputs.items()
        return {name: interpreter.get_tensor(self._outputs[each.name]) for name, each in found}


def rows(count: int, length: int) -> dict[str, Ints]:
    draw = np.random.default_rng(length)
    mask = np.ones([count, length], np.int32)
    mask[:, length // 2 :] = 0
    ids = draw.integers(5, len(checkpoints.PIECES), [count, length]).astype(np.int32)
    return dict(zip(INPUTS, (ids * mask, mask, 0 * mask), strict=True))


def test_it_is_compared(exported: hub_export.Export) -> None:
    found = {each.subject: each.outcome for each in exported.report.checks}
    for output in ("pooled_output", "sequence_output"):
        assert found[f"model.tflite float32, numbers, {output}"] == Outcome.PASSED


def test_a_difference_is_found(encoder: Path) -> None:
    settings = types.SimpleNamespace(tolerance=None)
    size = types.SimpleNamespace(padding=0)
    session = types.SimpleNamespace(settings=settings, size=size)
    asked = {"kind": "x", "longest": LENGTH, "precisions": ["float32"]}
    copy: Any = types.SimpleNamespace(session=session, **asked)
    inputs = rows(2, 9)
    found = tf.saved_model.load(str(encoder))({name: tf.constant(inputs[name]) for name in INPUTS})
    wanted = {name: found[name].numpy() for name in ("pooled_output", "sequence_output")}
    wanted["pooled_output"][1, 3] += 1e-3
    checks = litert.compare_served(encoder, copy, [Sample(inputs, wanted)], Progress(quiet=True))
    outcomes = {each.subject: each.outcome for each in checks}
    assert outcomes == {
        "x float32, numbers, pooled_output": Outcome.FAILED,
        "x float32, numbers, sequence_output": Outcome.PASSED,
    }


def test_the_signature(signature: meta_graph_pb2.SignatureDef) -> None:
    assert signature.method_name == "tensorflow/serving/predict"
    assert {*signature.inputs} == {*INPUTS}
    assert {*signature.outputs} == {"pooled_output", "sequence_output"}
    for each in signature.inputs.values():
        assert each.dtype == tf.int32.as_datatype_enum
        assert tf.TensorShape(each.tensor_shape) == [1, LENGTH]
    assert tf.TensorShape(signature.outputs["pooled_output"].tensor_shape) == [1, 24]


def test_operations_are_built_in(encoder: Path) -> None:
    codes = schema.ModelT.InitFromPackedBuf((encoder / "model.tflite").read_bytes()).operatorCodes
    assert len(codes) > 5
    assert not [each.customCode for each in codes if each.customCode]


def test_the_server_answers(encoder: Path, signature: meta_graph_pb2.SignatureDef) -> None:
    """Rows of the one shape; what comes after a refused row is answered as before."""
    session, right = Session(encoder / "model.tflite"), rows(1, LENGTH)
    saved = tf.saved_model.load(str(encoder)).signatures["serving_default"]
    wanted = saved(**{name: tf.constant(each) for name, each in right.items()})
    for shape in [(1, LENGTH - 1), (1, LENGTH + 1), (3, LENGTH)]:
        with pytest.raises(RuntimeError, match="failed to prepare"):
            session.run(signature, rows(*shape))
        found = session.run(signature, right)
        for name in ("pooled_output", "sequence_output"):
            real = wanted[name].numpy() != 0
            np.testing.assert_allclose(
                found[name][real], wanted[name].numpy()[real], rtol=0, atol=2e-5
            )


def test_the_saved_model_is_whole(encoder: Path) -> None:
    names = {"saved_model.pb", "variables", "assets", "assets.extra", "fingerprint.pb"}
    assert {each.name for each in encoder.iterdir()} == {*names, "model.tflite"}
    card = (encoder / "assets.extra" / "README.md").read_text(encoding="utf-8")
    assert f"takes one row of exactly {LENGTH} tokens" in card


def test_no_warm_up_that_it_could_not_answer(encoder: Path, tmp_path: Path) -> None:
    configuration.prepare([encoder.parent], tmp_path / "serving")
    assert not (encoder / warmup.FILE).exists()
    assert encoder.parent.name in (tmp_path / "serving" / "models.config").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": ["preprocessor"]}, "serving_tflite: only for the encoder"),
        ({"compute_dtype": "bfloat16"}, "serving_tflite: of float32 exports, not of bfloat16"),
        ({"serving_tflite": "int4"}, "must be one of none, float32, float16, int8, not int4"),
    ],
)
def test_what_leads_nowhere(
    tiny_bert: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        hub_export.export(tiny_bert, tmp_path, **{"serving_tflite": "int8", **options})
