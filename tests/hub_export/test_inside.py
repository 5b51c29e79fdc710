"""What an exported encoder gives and takes by option."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

import hub_export
from hub_export import ExportError
from hub_export.models.session import Session
from hub_export.settings import Settings
from hub_export.sources import find
from hub_export.terminal import Progress
from hub_export.verify import inside
from hub_export.verify.closeness import CLOSENESS
from hub_export.verify.source import Source
from tests import checkpoints

OPTIONS = {"embedding_output": True, "attentions": True, "embeds": True, "head_mask": True}
IDS = tf.constant([[2, 5, 6, 3], [2, 7, 3, 0]])
INPUTS = {"input_word_ids": IDS, "input_mask": tf.cast(IDS != 0, tf.int32)}


@pytest.mark.parametrize(
    ("model_type", "architecture"),
    [
        ("albert", "AutoModel"),
        ("deberta-v2", "AutoModel"),
        ("distilbert", "DistilBertForMaskedLM"),
        ("nomic_bert", "AutoModel"),
    ],
)
def test_every_option_is_compared(model_type: str, architecture: str, tmp_path: Path) -> None:
    layers = 2 if model_type == "albert" else 1  # of which both have the same variables
    options = {"pad_token_id": 0, "num_hidden_layers": layers}
    checkpoints.save_model(tmp_path / "source", model_type, architecture, **options)
    done = hub_export.export(
        tmp_path / "source", tmp_path / "out", parts=("encoder",), verify="full", **OPTIONS
    )
    checks = {check.subject: check.outcome.value for check in done.report.checks}
    assert {*checks.values()} == {"passed"}
    names = ("embedding_output", "attentions_0", "embeds", "head_mask")
    assert {f"numbers, {name}" for name in names} <= {*checks}
    assert ("numbers, mlm_logits" in checks) == (architecture != "AutoModel")
    model = tf.saved_model.load(str(done.paths["encoder"]))
    mask = tf.fill([layers, 3], 0.5)
    wanted = model({**INPUTS, "head_mask": mask})["sequence_output"]
    if model_type == "distilbert":
        asked = {**INPUTS, "head_mask": mask, "masked_lm_positions": tf.zeros_like(IDS)}
        np.testing.assert_array_equal(model.mlm(asked)["sequence_output"], wanted)
        assert model.mlm(asked, training=True)["mlm_logits"].shape[:2] == (2, 4)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inside")
    checkpoints.save_model(folder / "source", "roberta", pad_token_id=0)
    options: dict[str, Any] = {"parts": ("encoder",), "verify": "none", **OPTIONS}
    return hub_export.export(folder / "source", folder / "out", **options).paths["encoder"]


@pytest.fixture(scope="module")
def model(exported: Path) -> Any:
    return tf.saved_model.load(str(exported))


def test_the_contract(model: Any) -> None:
    found = model(INPUTS)
    layers, (_, heads) = len(found["encoder_outputs"]), (None, found["attentions"][0].shape[1])
    assert found["embedding_output"].shape == found["sequence_output"].shape == (2, 4, 24)
    assert [each.shape for each in found["attentions"]] == [(2, heads, 4, 4)] * layers
    np.testing.assert_allclose(tf.reduce_sum(found["attentions"][0], -1), 1, rtol=0, atol=1e-5)
    for mask, same in ((tf.ones([layers, heads]), True), (tf.zeros([layers, heads]), False)):
        masked = model({**INPUTS, "head_mask": mask})["sequence_output"]
        assert np.allclose(masked, found["sequence_output"], rtol=0, atol=1e-6) == same
        for serve in (model.serve, model.serve_training):
            given = serve({**INPUTS, "head_mask": mask})["sequence_output"]
            assert given.shape == masked.shape
    rows = {**INPUTS, "input_type_ids": tf.zeros_like(IDS)}
    signatures = model.signatures
    np.testing.assert_allclose(
        signatures["attentions"](**rows)["attentions_1"], found["attentions"][1], rtol=0, atol=1e-6
    )
    layer = signatures["encoder_outputs"](**rows)
    assert {*layer} == {"embedding_output", *(f"encoder_outputs_{at}" for at in range(layers))}
    vectors = tf.gather(model.encoder.embeddings.word.table, IDS)
    rows = {"inputs_embeds": vectors, "input_mask": INPUTS["input_mask"]}
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        given = model.embeds(rows)
    # RoBERTa counts the positions of vectors without knowing padding: real tokens are the same.
    np.testing.assert_allclose(given["pooled_output"], found["pooled_output"], rtol=0, atol=1e-5)
    assert np.any(tape.gradient(given["pooled_output"], vectors))
    assert model.embeds(rows, training=True)["pooled_output"].shape == (2, 24)
    served = signatures["embeds"](**rows, input_type_ids=tf.zeros_like(IDS))
    np.testing.assert_allclose(served["default"], given["pooled_output"], rtol=0, atol=1e-6)


class Spoilt:
    """A model of which one road to an output is off."""

    def __init__(self, model: Any, road: str, output: str) -> None:
        def spoil(function: Any) -> Any:
            def call(*inputs: Any, **named: Any) -> Any:
                found = dict(function(*inputs, **named))
                return {**found, output: found[output] * 1.001}

            return call

        self._call, self.serve, self.embeds = model, model.serve, model.embeds
        self.signatures = dict(model.signatures)
        if road == "serve":
            self.serve = spoil(self.serve)
        else:
            self.signatures[road] = spoil(self.signatures[road])

    def __call__(self, inputs: Any) -> Any:
        return self._call(inputs)


@pytest.fixture(scope="module")
def wanted(exported: Path) -> Any:
    """What the source says."""
    checkpoint = find.read(str(exported.parents[2] / "source"))
    session = Session(checkpoint, Settings("x", parts=("encoder",), **OPTIONS))
    _ = session.built
    return inside.ask(Source(session))


def test_what_is_right_passes(model: Any, wanted: Any) -> None:
    assert failed(model, wanted) == []


@pytest.mark.parametrize(
    ("road", "output", "check"),
    [
        ("encoder_outputs", "embedding_output", "embedding_output"),
        ("attentions", "attentions_1", "attentions_1"),
        ("embeds", "sequence_output", "embeds"),
        ("serve", "sequence_output", "head_mask"),
    ],
)
def test_a_road_that_is_off_is_found(
    model: Any, wanted: Any, road: str, output: str, check: str
) -> None:
    assert failed(Spoilt(model, road, output), wanted) == [f"numbers, {check}"]


def failed(model: Any, wanted: Any) -> list[str]:
    checks = inside.compare(model, wanted, CLOSENESS["float32"], Progress(quiet=True))
    assert len(checks) == 5
    return [each.subject for each in checks if each.outcome.value != "passed"]


def test_a_layer_of_keras_takes_head_masks(exported: Path) -> None:
    inputs = {
        "input_word_ids": tf_keras.Input([None], dtype=tf.int32),
        "input_mask": tf_keras.Input([None], dtype=tf.int32),
    }
    model = tf_keras.Model(inputs, hub.KerasLayer(str(exported))(inputs)["embedding_output"])
    assert model(INPUTS).shape == (2, 4, 24)


def test_nothing_of_it_by_default(
    tiny_bert: Path, tiny_export: hub_export.Export, tmp_path: Path
) -> None:
    model = tf.saved_model.load(str(tiny_export.paths["encoder"]))
    assert {*model.signatures} == {"serving_default", "encoder_outputs"}
    assert not hasattr(model, "embeds")
    with pytest.raises(ExportError, match="attentions: only for the encoder"):
        hub_export.export(tiny_bert, tmp_path, parts=("preprocessor",), attentions=True)
