"""The short examples, one for each consumer."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.lite.python.convert import ConverterError

import hub_export
from examples import keras2, plain_tensorflow, tflite


@pytest.fixture(scope="module")
def flags(calm_export: hub_export.Export) -> list[str]:
    return [f"--{part}={calm_export.paths[part]}" for part in ("encoder", "preprocessor")]


def test_keras_2(flags: list[str], tmp_path: Path) -> None:
    assert keras2.main([*flags, f"--output={tmp_path / 'classifier'}"]) < 1e-6


@pytest.mark.parametrize("compiled", [[], ["--jit_compile"]])
def test_plain_tensorflow(flags: list[str], compiled: list[str]) -> None:
    losses = plain_tensorflow.main([*flags, *compiled, "--steps=12", "--learning_rate=0.3"])
    assert losses[-1] < 0.1 * losses[0]


def test_tflite(tiny_export: hub_export.Export, tmp_path: Path) -> None:
    """Where the interpreter cannot run it, the file stands all the same."""
    model, output = tiny_export.paths["text_embedding"], tmp_path / "model.tflite"
    apart = tflite.main([f"--model={model}", f"--output={output}"])
    assert apart is None or apart < 1e-5
    assert b"FastWordpieceTokenizeWithOffsets" in output.read_bytes()


def test_an_encoder_in_litert(tiny_export: hub_export.Export) -> None:
    """docs/litert.md: a function around the call converts to LiteRT, a signature not."""
    path = str(tiny_export.paths["encoder"])
    encoder = tf.saved_model.load(path)
    names = ("input_word_ids", "input_mask", "input_type_ids")
    specs = {name: tf.TensorSpec([1, 8], tf.int32, name) for name in names}
    encode = tf.function(lambda inputs: {"pooled": encoder(inputs)["pooled_output"]})
    functions = [encode.get_concrete_function(specs)]
    lite = tf.lite.TFLiteConverter.from_concrete_functions(functions, encoder).convert()
    rows = dict.fromkeys(names, np.ones([1, 8], np.int32))
    found = tf.lite.Interpreter(model_content=lite).get_signature_runner()(**rows)
    np.testing.assert_allclose(found["pooled"], encoder(rows)["pooled_output"], atol=1e-5)
    with pytest.raises(ConverterError, match="TensorList"):
        tf.lite.TFLiteConverter.from_saved_model(path, ["serving_default"]).convert()
