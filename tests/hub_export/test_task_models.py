"""Fine-tuned models export their encoder, and say by name what they leave out."""

from pathlib import Path

import pytest

import hub_export
from tests import checkpoints


@pytest.mark.parametrize(
    ("model_type", "architecture", "head"),
    [
        ("bert", "BertForSequenceClassification", {"classifier.weight", "classifier.bias"}),
        ("bert", "BertForPreTraining", {"cls.predictions.bias", "cls.seq_relationship.weight"}),
        ("bert", "BertForMaskedLM", {"cls.predictions.transform.dense.weight"}),
        ("distilbert", "DistilBertForMaskedLM", {"vocab_projector.bias", "vocab_transform.bias"}),
    ],
)
def test_heads(model_type: str, architecture: str, head: set[str], tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path / "source", model_type, architecture)
    done = hub_export.export(
        tmp_path / "source", tmp_path / "out", parts=["encoder"], verify="full"
    )
    unused = done.report.notes["encoder"]["unused_tensors"]
    assert head <= unused.keys()
    assert set(unused.values()) == {"belongs to a task head"}
    page = (done.paths["encoder"] / "assets.extra/README.md").read_text()
    assert [name for name in unused if f"- `{name}`: belongs to a task head" not in page] == []
