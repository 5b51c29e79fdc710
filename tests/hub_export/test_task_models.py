"""Fine-tuned models export their encoder, and say by name what they leave out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers

import encoders
import hub_export
from tests import checkpoints

PARTS = ["encoder", "preprocessor"]


@pytest.mark.parametrize(
    ("model_type", "architecture", "head"),
    [
        ("bert", "BertForSequenceClassification", {"classifier.weight", "classifier.bias"}),
        ("bert", "BertForPreTraining", {"cls.predictions.bias", "cls.seq_relationship.weight"}),
        ("bert", "BertForMaskedLM", {"cls.predictions.transform.dense.weight"}),
        ("distilbert", "DistilBertForMaskedLM", {"vocab_projector.bias", "vocab_transform.bias"}),
        ("roberta", "RobertaForMaskedLM", {"lm_head.dense.weight", "lm_head.layer_norm.bias"}),
        ("electra", "ElectraForMaskedLM", {"generator_predictions.dense.weight"}),
        ("albert", "AlbertForPreTraining", {"sop_classifier.classifier.weight"}),
    ],
)
def test_heads(model_type: str, architecture: str, head: set[str], tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path / "source", model_type, architecture)
    encoder, filled = checkpoints.built(tmp_path / "source")
    assert head <= filled.unused.keys()
    assert set(filled.unused.values()) == {"belongs to a task head"}
    model = getattr(transformers, architecture).from_pretrained(tmp_path / "source").eval()
    assert_equal(encoder, model)


def test_a_roberta_classifier_from_end_to_end(tmp_path: Path) -> None:
    source = tmp_path / "source"
    sizes = {"vocab_size": checkpoints.save_byte_pairs(source), "type_vocab_size": 1}
    checkpoints.save_model(source, "roberta", "RobertaForSequenceClassification", **sizes)
    done = hub_export.export(source, tmp_path / "out", parts=PARTS, verify="full")
    notes = done.report.notes["encoder"]
    assert notes["unused_tensors"].keys() == {
        "classifier.dense.weight",
        "classifier.dense.bias",
        "classifier.out_proj.weight",
        "classifier.out_proj.bias",
    }
    assert notes["pooled_output"] == "the first token's vector"
    assert_listed(done)
    preprocessor = tf.saved_model.load(str(done.paths["preprocessor"]))
    packed = preprocessor.bert_pack_inputs(
        [preprocessor.tokenize(["kalo mi"]), preprocessor.tokenize(["treing"])]
    )
    own = transformers.RobertaTokenizer.from_pretrained(source)("kalo mi", "treing")
    ids = packed["input_word_ids"][0].numpy().tolist()
    length = len(own["input_ids"])
    assert ids == own["input_ids"] + [1] * (len(ids) - length)
    assert packed["input_mask"][0].numpy().sum() == length
    assert not packed["input_type_ids"].numpy().any()


def test_an_electra_discriminator(tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path, "electra", "ElectraForPreTraining")
    encoder, filled = checkpoints.built(tmp_path)
    assert filled.unused.keys() == {
        f"discriminator_predictions.{part}.{kind}"
        for part in ("dense", "dense_prediction")
        for kind in ("weight", "bias")
    }
    assert encoder.pooler is None
    assert_equal(encoder, transformers.ElectraForPreTraining.from_pretrained(tmp_path).eval())


def assert_equal(encoder: encoders.Encoder, model: Any) -> None:
    """The encoder in a task model gives what that gives."""
    ids = np.array([[5, 6, 7, 8], [9, 10, 0, 0]], np.int32)
    mask = (ids != 0).astype(np.int32)
    with torch.inference_mode():
        inside = getattr(model, model.base_model_prefix)
        wanted = inside(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
    found = encoder(tf.constant(ids), tf.constant(mask)).sequence.numpy()[mask == 1]
    expected = wanted.last_hidden_state.numpy()[mask == 1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def assert_listed(done: hub_export.Export) -> None:
    """What is left out stands in report and card, by name."""
    unused = done.report.notes["encoder"]["unused_tensors"]
    assert set(unused.values()) == {"belongs to a task head"}
    page = (done.paths["encoder"] / "assets.extra/README.md").read_text()
    assert [name for name in unused if f"- `{name}`: belongs to a task head" not in page] == []
