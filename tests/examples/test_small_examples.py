"""The short examples, one for each consumer."""

from pathlib import Path

import pytest

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
