"""The examples of the README run as they are written, on a small checkpoint."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import hub_export
from tests import checkpoints

README = Path(__file__).parents[1] / "README.md"
NAME = "distilbert_base_cased"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for distilbert-base-cased, under its names."""
    folder = tmp_path_factory.mktemp("readme")
    source = folder / "distilbert-base-cased"
    positions = {"max_position_embeddings": 128}
    checkpoints.save_model(source, "distilbert", "DistilBertForMaskedLM", **positions)
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(checkpoints.PIECES))
    done = hub_export.export(source, folder / "exported", verify="none")
    done.paths["encoder"].parent.rename(folder / "exported" / f"{NAME}_L-6_H-768_A-12")
    assert done.paths["preprocessor"].parent.name == f"{NAME}_preprocess"
    heads = {
        "sst2": "SequenceClassification",
        "ner": "TokenClassification",
        "squad": "QuestionAnswering",
        "swag": "MultipleChoice",
    }
    for name, task in heads.items():
        headed = folder / name
        checkpoints.save_model(headed, "bert", f"BertFor{task}", num_labels=2, **positions)
        checkpoints.save_tokenizer(headed, checkpoints.wordpiece(checkpoints.PIECES))
        hub_export.export(headed, folder / "exported", parts=("task_model",), verify="none")
    return folder


def blocks() -> list[str]:
    found = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [block for block in found if "hub.load" in block]


@pytest.mark.parametrize("at", range(8))
def test_example(exported: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    monkeypatch.chdir(exported)
    names: dict[str, object] = {}
    exec(blocks()[at], names)
    if "model" in names:
        texts = [names["tf"].constant(["a b", "c"]), names["tf"].constant(["d", "e f"])]
        assert names["model"](texts).shape == (2, 3)
    elif "pairs" in names:
        assert names["found"]["logits"].shape == names["pairs"]["probabilities"].shape == (1, 2)
    elif "masked" in names:
        assert names["found"]["token"].shape == (1, None, 5)
        assert names["masked"]["mlm_logits"].shape == (1, 2, len(checkpoints.PIECES))
    elif "flat" in names:
        assert {*names["found"]["label"].values.numpy()} <= {b"LABEL_0", b"LABEL_1"}
        assert {*names["found"]} | {"row_splits"} == {*names["flat"]}
    elif "choices" in names:
        assert names["found"]["logits"].row_lengths().numpy().tolist() == [2, 3]
        assert names["found"]["answer"].shape == (2,)
    elif "answers" in names:
        assert {each.shape for each in names["answers"].values()} == {(1, 3)}
    elif "layer" in names:
        assert names["layer"](names["tf"].constant(["a b", "c", ""])).shape == (3, 24)
    else:
        assert names["outputs"]["pooled_output"].shape == (2, 24)


def test_there_are_eight_examples() -> None:
    assert len(blocks()) == 8


def test_the_tables_are_what_the_command_prints() -> None:
    command = [sys.executable, "-m", "hub_export.support", "--markdown"]
    printed = subprocess.run(
        command, cwd=README.parent, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    (found,) = re.findall(
        r"<!-- python -m hub_export\.support --markdown -->\n(.*?)<!-- end -->",
        README.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert found == printed
