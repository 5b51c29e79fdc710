"""Fine-tuned models export their encoder, and say by name what they leave out."""

from pathlib import Path

import pytest
import tensorflow as tf
import transformers

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
    done = hub_export.export(
        tmp_path / "source", tmp_path / "out", parts=["encoder"], verify="full"
    )
    unused = done.report.notes["encoder"]["unused_tensors"]
    assert head <= unused.keys()
    assert_listed(done)


@pytest.mark.usefixtures("brief")
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


@pytest.mark.usefixtures("brief")
def test_an_electra_discriminator_from_end_to_end(tmp_path: Path) -> None:
    source = tmp_path / "source"
    checkpoints.save_model(source, "electra", "ElectraForPreTraining")
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(checkpoints.PIECES))
    done = hub_export.export(source, tmp_path / "out", parts=PARTS, verify="full")
    notes = done.report.notes["encoder"]
    assert notes["unused_tensors"].keys() == {
        f"discriminator_predictions.{part}.{kind}"
        for part in ("dense", "dense_prediction")
        for kind in ("weight", "bias")
    }
    assert notes["pooled_output"] == "the first token's vector"
    assert_listed(done)


def assert_listed(done: hub_export.Export) -> None:
    """What is left out stands in report and card, by name."""
    unused = done.report.notes["encoder"]["unused_tensors"]
    assert set(unused.values()) == {"belongs to a task head"}
    page = (done.paths["encoder"] / "assets.extra/README.md").read_text()
    assert [name for name in unused if f"- `{name}`: belongs to a task head" not in page] == []
