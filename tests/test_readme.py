"""The examples of README.md and docs/ run as they are written, on small checkpoints."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import hub_export
from hub_export import support
from tests import checkpoints

README = Path(__file__).parents[1] / "README.md"
DOCS = README.parent / "docs"
NAME = "distilbert_base_cased"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for distilbert-base-cased, under its names."""
    folder = tmp_path_factory.mktemp("readme")
    source = folder / "distilbert-base-cased"
    positions = {"max_position_embeddings": 128, "num_hidden_layers": 1}
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
    copy = {"name": "all_minilm_l6_v2", "litert": ["int8"], "litert_length": 16}
    parts = ("text_embedding",)
    hub_export.export(folder / "sst2", folder / "exported", parts=parts, verify="none", **copy)
    return folder


def blocks() -> list[tuple[str, str]]:
    """Every block of Python in README.md and in docs/: its page, and what it says."""
    pages = [README, *sorted(DOCS.rglob("*.md"))]
    return [
        (page.name, block)
        for page in pages
        for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    ]


def encoded(names: dict[str, Any]) -> None:
    assert names["outputs"]["pooled_output"].shape == (2, 24)


def fine_tuned(names: dict[str, Any]) -> None:
    texts = [names["tf"].constant(["a b", "c"]), names["tf"].constant(["d", "e f"])]
    assert names["model"](texts).shape == (2, 3)


def classified(names: dict[str, Any]) -> None:
    assert names["found"]["logits"].shape == names["pairs"]["probabilities"].shape == (1, 2)


def filled(names: dict[str, Any]) -> None:
    assert names["found"]["token"].shape == (1, None, 5)
    assert names["masked"]["mlm_logits"].shape == (1, 2, len(checkpoints.PIECES))


def named(names: dict[str, Any]) -> None:
    assert {*names["found"]["label"].values.numpy()} <= {b"LABEL_0", b"LABEL_1"}
    assert {*names["found"]} | {"row_splits"} == {*names["flat"]}


def chosen(names: dict[str, Any]) -> None:
    assert names["found"]["logits"].row_lengths().numpy().tolist() == [2, 3]
    assert names["found"]["answer"].shape == (2,)


def answered(names: dict[str, Any]) -> None:
    assert {each.shape for each in names["answers"].values()} == {(1, 3)}


def embedded(names: dict[str, Any]) -> None:
    assert names["layer"](names["tf"].constant(["a b", "c", ""])).shape == (3, 24)


def called(names: dict[str, Any]) -> None:
    assert names["vectors"].shape == (2, 24)


RUN: Mapping[tuple[str, str], Callable[[dict[str, Any]], None]] = {
    ("README.md", "outputs = "): encoded,
    ("use.md", "outputs = "): encoded,
    ("use.md", "layer = "): embedded,
    ("fine-tuning.md", "model = "): fine_tuned,
    ("tasks.md", "pairs = "): classified,
    ("tasks.md", "flat = "): named,
    ("tasks.md", "answers = "): answered,
    ("tasks.md", "choose = "): chosen,
    ("tasks.md", "masked = "): filled,
    ("embed.md", "vectors = "): called,
    ("litert.md", "vectors = "): called,
}
"""Page, and what is in a block of it -> what must hold of the names that the block leaves."""
ELSEWHERE = (
    ("corpora.md", "TextModelHandler"),  # a part of a pipeline: tests/hub_export/test_beam.py
    ("export.md", "hub_export.export("),  # the subject of most tests
    ("litert.md", "TextEmbedder"),  # tests/hub_export/test_mediapipe.py
    ("publishing.md", "hub_export.use"),  # asks a hub: tests/hub_export/test_push.py
)


def found(page: str, mark: str) -> list[str]:
    return [block for name, block in blocks() if name == page and mark in block]


@pytest.mark.parametrize(("page", "mark"), RUN)
def test_example(exported: Path, monkeypatch: pytest.MonkeyPatch, page: str, mark: str) -> None:
    [block] = found(page, mark)
    monkeypatch.chdir(exported)
    names: dict[str, Any] = {}
    exec(block, names)
    RUN[page, mark](names)


def test_every_example_is_run() -> None:
    run = [block for each in (*RUN, *ELSEWHERE) for block in found(*each)]
    assert [block for _, block in blocks() if block not in run] == []


def test_the_tables_are_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    support.main(["--markdown"])
    printed = capsys.readouterr().out
    (written,) = re.findall(
        r"<!-- python -m hub_export\.support --markdown -->\n(.*?)<!-- end -->",
        (DOCS / "supported.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert written == printed


def anchors(page: Path) -> set[str]:
    """What a link may name in a page, as GitHub and MkDocs make it of headings."""
    heads = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_links_lead_somewhere() -> None:
    """Those from page to page; mkdocs looks at those within docs/ as well."""
    pages = [*README.parent.glob("*.md"), *DOCS.rglob("*.md"), *README.parent.glob("*/README.md")]
    lost = []
    for page in pages:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            name, _, anchor = link.partition("#")
            if "://" in link:
                continue
            target = page.parent / name if name else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                lost.append(f"{page.name}: {link}")
    assert lost == []
