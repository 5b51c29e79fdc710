"""Exports whose weights are bfloat16."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import encoders
import hub_export
from hub_export.verify.checks import Outcome
from hub_export.verify.closeness import CLOSENESS, apart
from tests import unsaved
from tests.conformance.task_cases import TASKS, TaskCase
from tests.outcomes import assert_passed

PARTS = ["encoder", "text_embedding"]
TEXTS = ["A man is playing a guitar.", "", "Shares fell 3% on Monday, " * 20]


def test_the_real_checkpoint(
    minilm: Path, minilm_export: hub_export.Export, tmp_path: Path
) -> None:
    wide, narrow = (
        minilm_export,
        hub_export.export(minilm, tmp_path, parts=PARTS, verify="full", compute_dtype="bfloat16"),
    )
    for part in PARTS:
        small, large = (
            sum(file.stat().st_size for file in each.paths[part].glob("variables/*"))
            for each in (narrow, wide)
        )
        assert small < 0.51 * large
        assert "as bfloat16" in (narrow.paths[part] / "assets.extra" / "README.md").read_text()
    numbers = [each for each in narrow.report.checks if not each.subject.startswith("weights of")]
    assert len(numbers) == len(narrow.report.checks) - len(PARTS)
    for check in numbers:
        assert "lowest cosine 0.99" in check.found
        # The numbers are those of random ids, the vectors those of texts.
        assert 0 < check.figures["distance"] < (5e-4 if "vectors" in check.subject else 2e-3)
    found, expected = (
        tf.saved_model.load(str(each.paths["text_embedding"]))(tf.constant(TEXTS))
        for each in (narrow, wide)
    )
    assert found.dtype == tf.float32
    assert 0 < apart(found.numpy(), expected.numpy()).max() < 5e-4


def test_a_wrong_weight_is_found(
    minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = encoders.Architecture.fill

    def careless(self: Any, encoder: encoders.Encoder, *arguments: Any) -> encoders.Filled:
        filled = fill(self, encoder, *arguments)
        kernel = encoder.blocks[3].feed_forward.output.kernel
        kernel.assign(kernel * tf.constant(0.9, tf.bfloat16))
        return filled

    assert {*unsaved.compared(minilm, "bfloat16").values()} == {Outcome.PASSED}
    monkeypatch.setattr(encoders.Architecture, "fill", careless)
    found = unsaved.compared(minilm, "bfloat16")
    assert found["numbers, encoder_outputs_2"] is Outcome.PASSED
    assert found["numbers, encoder_outputs_3"] is Outcome.FAILED
    parts = ["text_embedding"]
    with pytest.raises(hub_export.VerificationError, match=r"FAILED .*lowest cosine"):
        hub_export.export(minilm, tmp_path, parts=parts, compute_dtype="bfloat16")
    assert not any(tmp_path.glob("*/1"))


def test_float16(tiny_bert: Path, tmp_path: Path) -> None:
    parts, dtype = ["encoder"], "float16"
    done = hub_export.export(tiny_bert, tmp_path, parts=parts, verify="full", compute_dtype=dtype)
    figures = [each.figures for each in done.report.checks if "distance" in each.figures]
    distances = [each["distance"] for each in figures]
    assert distances, figures
    assert 0 < max(distances) < CLOSENESS["bfloat16"].tolerance / 20
    encoder = tf.saved_model.load(str(done.paths["encoder"]))
    kernels = [each for each in encoder.variables if "kernel" in each.name]
    assert {each.dtype for each in kernels} == {tf.float16}


def test_an_unknown_dtype_is_refused(minilm: Path, tmp_path: Path) -> None:
    with pytest.raises(hub_export.ExportError, match="compute_dtype must be one of float32, bf"):
        hub_export.export(minilm, tmp_path, compute_dtype="float64")


@pytest.mark.parametrize(
    ("found", "wanted", "distance"),
    [
        ([[3.0, 4.0]], [[4.0, 3.0]], 0.04),
        ([[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]], 0.0),
        ([[1.0, 0.0]], [[2.0, 0.0]], 0.25),
        ([[0.0, 0.0]], [[1.0, 0.0]], 1.0),
        ([[np.nan, 0.0]], [[1.0, 0.0]], np.nan),
        ([[3.0], [4.0]], [[4.0], [3.0]], 0.04),  # scores, one of which may be near zero
    ],
)
def test_apart(found: list[float], wanted: list[float], distance: float) -> None:
    largest = apart(np.array(found), np.array(wanted)).max()
    np.testing.assert_allclose(largest, distance, rtol=1e-12)


def test_not_a_number_is_a_failure() -> None:
    for closeness in CLOSENESS.values():
        distance = closeness.distance(np.array([[np.nan, 1]]), np.array([[1.0, 1]]))
        assert not distance <= closeness.tolerance


@pytest.mark.parametrize("case", TASKS, ids=lambda case: case.name)
def test_tasks(case: TaskCase, tmp_path: Path) -> None:
    """Labels, tokens and answers are those of the logits, however coarse these are."""
    source = case.save_checkpoint(tmp_path / "source")
    options = {"task": case.name, "compute_dtype": "bfloat16", "tolerance": 2e-2}
    _, checks = unsaved.checks(source, "task_model", **options)
    assert_passed(checks)
