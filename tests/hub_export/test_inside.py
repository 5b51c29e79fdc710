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
from tests import checkpoints

OPTIONS = {"embedding_output": True, "attentions": True, "embeds": True, "head_mask": True}
IDS = tf.constant([[2, 5, 6, 3], [2, 7, 3, 0]])
INPUTS = {"input_word_ids": IDS, "input_mask": tf.cast(IDS != 0, tf.int32)}


@pytest.mark.parametrize("model_type", ["albert", "deberta-v2", "distilbert", "nomic_bert"])
def test_every_option_is_compared(model_type: str, tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path / "source", model_type, pad_token_id=0)
    done = hub_export.export(
        tmp_path / "source", tmp_path / "out", parts=("encoder",), verify="full", **OPTIONS
    )
    checks = {check.subject: check.outcome.value for check in done.report.checks}
    assert {*checks.values()} == {"passed"}
    names = ("embedding_output", "attentions_0", "embeds", "head_mask")
    assert {f"numbers, {name}" for name in names} <= {*checks}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inside")
    checkpoints.save_model(folder / "source", "roberta", pad_token_id=0)
    options: dict[str, Any] = {"parts": ("encoder",), "verify": "none", **OPTIONS}
    return hub_export.export(folder / "source", folder / "out", **options).paths["encoder"]


def test_the_contract(exported: Path) -> None:
    model = tf.saved_model.load(str(exported))
    found = model(INPUTS)
    layers, (_, heads) = len(found["encoder_outputs"]), (None, found["attentions"][0].shape[1])
    assert found["embedding_output"].shape == found["sequence_output"].shape == (2, 4, 24)
    assert [each.shape for each in found["attentions"]] == [(2, heads, 4, 4)] * layers
    np.testing.assert_allclose(tf.reduce_sum(found["attentions"][0], -1), 1, rtol=0, atol=1e-5)
    for mask, same in ((tf.ones([layers, heads]), True), (tf.zeros([layers, heads]), False)):
        masked = model({**INPUTS, "head_mask": mask})["sequence_output"]
        assert np.allclose(masked, found["sequence_output"], rtol=0, atol=1e-6) == same
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


def test_a_layer_of_keras_takes_head_masks(exported: Path) -> None:
    inputs = {
        "input_word_ids": tf_keras.Input([None], dtype=tf.int32),
        "input_mask": tf_keras.Input([None], dtype=tf.int32),
    }
    model = tf_keras.Model(inputs, hub.KerasLayer(str(exported))(inputs)["embedding_output"])
    assert model(INPUTS).shape == (2, 4, 24)


def test_nothing_of_it_by_default(tiny_bert: Path, tmp_path: Path) -> None:
    done = hub_export.export(tiny_bert, tmp_path, parts=("encoder",), verify="none")
    model = tf.saved_model.load(str(done.paths["encoder"]))
    assert {*model.signatures} == {"serving_default", "encoder_outputs"}
    assert not hasattr(model, "embeds")
    with pytest.raises(ExportError, match="attentions: only for the encoder"):
        hub_export.export(tiny_bert, tmp_path, parts=("preprocessor",), attentions=True)
