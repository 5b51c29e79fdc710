"""Pages of exports: what they tell, in which forms, and that their code runs as it is printed."""

import ast
import dataclasses
import itertools
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

import hub_export
from hub_export import SourceError, TargetError, cli, contents, settings
from hub_export.publish.pages import facts, licenses, pages, places, source_card, speed
from hub_export.publish.push import kaggle
from hub_export.sources import documents
from hub_export.verify.checks import Check, Outcome
from tests.hub_export import samples

OWN = ("text-classification", "text-embedding", "encoder", "preprocessor")


@pytest.fixture(scope="module")
def written(
    verified_export: hub_export.Export, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Name of a page -> its text."""
    folder = tmp_path_factory.mktemp("pages")
    path = verified_export.paths["preprocessor"]
    line = ["publish", str(path), f"--page={folder}", "--quiet", "--owner=me"]
    assert cli.main([*line, "--base_model=you/shelf-bert"]) == 0
    files = [each for each in folder.rglob("*") if each.is_file()]
    return {each.relative_to(folder).as_posix(): each.read_text() for each in files}


def test_which_pages(written: dict[str, str]) -> None:
    instances = {f"kaggle/{name}/model-instance-metadata.json" for name in OWN}
    others = {"tfhub.md", "huggingface/README.md", "kaggle/model-metadata.json"}
    assert {*written} == others | instances


def every(written: dict[str, str]) -> list[str]:
    described = json.loads(written["kaggle/model-metadata.json"])["description"]
    return [written["tfhub.md"], written["huggingface/README.md"], described]


def test_what_all_tell(verified_export: hub_export.Export, written: dict[str, str]) -> None:
    for page in every(written):
        for check in verified_export.report.checks:
            assert f"| {check.subject} | {check.outcome.value} | {check.found} |" in page
        assert "- Licence: `apache-2.0`" in page
        assert "- Languages: en, no" in page
        assert "bert (layers 1, width 24, heads 3, vocabulary 57, positions 40, types 2)" in page
        told = "As the source's card tells it:\n\n"
        assert f"## Intended use\n\n{told}> For tests, such as `these`.\n\n" in page  # a link
        assert f"## Limits\n\n{told}> It knows no words.\n\n" in page
        assert "> | random | 10,000 |" in page
        assert "Data sets that the source's card names: made/up." in page
        assert "> @misc{nobody}" in page
        assert "another library" not in page
        assert "| `serving_pair` | `text` string [?]<br>`text_pair` string [?] |" in page
        assert re.search(r"\| Text classification \| \d+\.\d ms \| \d+ \|", page)
        assert "https://huggingface.co/you/shelf-bert" in page
        assert "None." not in page  # what is on evaluation


def test_parts_have_their_sizes(
    verified_export: hub_export.Export, written: dict[str, str]
) -> None:
    folder = verified_export.paths["encoder"]
    megabytes = sum(each.size for each in contents.read(folder).files.values()) / 1e6
    places = (f"{folder.parent.name}/1", "encoder/1", "tensorFlow2/encoder")
    for page, place in zip(every(written), places, strict=True):
        assert f"| Encoder | `{place}` | 7,308 | {megabytes:.1f} MB |" in page


def test_the_form_of_tfhub_dev(written: dict[str, str]) -> None:
    title, sentence, *properties = [x for x in written["tfhub.md"].splitlines() if x][:10]
    assert title == "# Module me/shelf-bert/1"
    assert sentence == "Text classification of you/shelf-bert."
    found = [re.fullmatch(r"<!-- ([a-z-]+): (\S.*) -->", each) for each in properties[:8]]
    assert [each.groups() for each in found if each] == [
        ("task", "text-classification"),
        ("network-architecture", "bert"),
        ("language", "en"),
        ("language", "no"),
        ("dataset", "made/up"),
        ("license", "apache-2.0"),
        ("fine-tunable", "true"),
        ("format", "saved_model_2"),
    ]


def test_the_card_of_hugging_face(written: dict[str, str]) -> None:
    data = ModelCard(written["huggingface/README.md"]).data.to_dict()
    tags = data.pop("tags")
    assert {*tags} == {"savedmodel", "tf-hub", *OWN}
    assert data == {
        "language": ["en", "no"],
        "license": "apache-2.0",
        "library_name": "tensorflow",
        "base_model": "you/shelf-bert",
        "base_model_relation": "quantized",
        "pipeline_tag": "text-classification",
        "datasets": ["made/up"],
    }


def test_kaggle_takes_them(written: dict[str, str]) -> None:
    """Its library refuses names that it does not know, and values of another type."""
    model = json.loads(written["kaggle/model-metadata.json"])
    sent = kaggle.model_request(model).to_dict()
    assert sent == {key: value for key, value in model.items() if value != ""}
    assert len(model["title"]) <= 50
    assert re.fullmatch("[a-z0-9-]{3,50}", model["slug"])
    for name in OWN:
        instance = json.loads(written[f"kaggle/{name}/model-instance-metadata.json"])
        body = kaggle.instance_request(instance).body.to_dict()
        assert body["framework"] == "MODEL_FRAMEWORK_TENSOR_FLOW_2"
        assert body["modelInstanceType"] == "MODEL_INSTANCE_TYPE_EXTERNAL_VARIANT"
        assert body["licenseName"] in licenses.KAGGLE.values()
        assert body["trainingData"] == ["made/up"]
        same = ("instanceSlug", "overview", "usage", "fineTunable", "externalBaseModelUrl")
        assert {key: body[key] for key in same} == {key: instance[key] for key in same}
        assert instance["fineTunable"] == (name != "preprocessor")
    assert kaggle.instance_request(instance).to_dict()["ownerSlug"] == "me"


def test_its_code_runs(
    verified_export: hub_export.Export,
    written: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copied(verified_export, tmp_path, lambda path: path.parent.name)
    monkeypatch.chdir(tmp_path)
    found = [*map(samples.run_python, samples.blocks(written["tfhub.md"], "python"))]
    assert [{*names} & {"vectors", "found", "pooled", "model"} for names in found] == [
        {"vectors"},
        {"found", "model"},
        set(),
        {"pooled"},
        {"model"},
        {"model"},
    ]
    assert found[0]["vectors"].shape == (2, 24)
    assert found[2]["outputs"]["sequence_output"].shape == (1, 40, 24)
    assert found[3]["pooled"].shape == (1, 24)
    (block,) = samples.blocks(written["tfhub.md"], "sh")
    samples.run_shell(block, tmp_path, {})
    config = (tmp_path / "serving" / "models.config").read_text(encoding="utf-8")
    assert 'name: "shelf_bert_text_classification"' in config


def copied(export: hub_export.Export, folder: Path, name: Callable[[Path], str]) -> None:
    """Copies the parts of an export, each under another name."""
    for path in export.paths.values():
        shutil.copytree(path, folder / name(path) / "1")


_KAGGLEHUB = """
from pathlib import Path

def model_download(handle):
    owner, model, framework, variation = handle.split("/")
    assert (owner, model, framework) == ("me", "shelf-bert", "tensorFlow2")
    return str(Path(__file__).parent / variation / "1")
"""
"""Says that a part is there, as the version that it would ask Kaggle for."""


def test_the_code_of_kaggle(
    verified_export: hub_export.Export,
    written: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copied(verified_export, tmp_path, lambda path: contents.read(path).part.replace("_", "-"))
    (tmp_path / "kagglehub.py").write_text(_KAGGLEHUB)
    monkeypatch.delitem(sys.modules, "kagglehub", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    texts = [json.loads(written["kaggle/model-metadata.json"])["description"]]
    for name in OWN:
        instance = json.loads(written[f"kaggle/{name}/model-instance-metadata.json"])
        texts.append(instance["usage"])
    page, *usages = (samples.blocks(text, "python") for text in texts)
    assert [len(each) for each in usages] == [1, 3, 1, 2]
    further = {*itertools.chain(*usages)} - {*page}
    for block in [*itertools.filterfalse(samples.trained, page), *further]:
        samples.run_python(block)
    # Those that train are the same as in the page that all code was run of.
    known = facts.gather(verified_export.paths["encoder"])
    own = samples.bare(texts[0], known, places.on_kaggle("me", "shelf-bert"))
    assert own == samples.bare(written["tfhub.md"], known, places.beside("me", "shelf-bert"))
    (block,) = samples.blocks(texts[0], "sh")
    samples.run_shell(block, tmp_path, {"PYTHONPATH": str(tmp_path)})


def test_from_a_copy_the_rest_is_found(verified_export: hub_export.Export, tmp_path: Path) -> None:
    copied(verified_export, tmp_path, lambda path: path.parent.name)
    encoder = verified_export.paths["encoder"].parent.name
    copy = tmp_path / f"{encoder}_litert" / "1"
    shutil.copytree(tmp_path / encoder / "1" / contents.ASSETS, copy)
    (copy / contents.FILE).unlink()
    contents.write(copy, "encoder_litert")
    names = [part.name for part in facts.gather(copy).parts]
    assert names == [part.name for part in facts.gather(tmp_path / encoder / "1").parts]
    assert names[-1] == "encoder_litert"
    assert len(names) == len(verified_export.paths) + 1


@pytest.fixture(scope="module")
def bare(
    verified_export: hub_export.Export, tmp_path_factory: pytest.TempPathFactory
) -> facts.Facts:
    """What is known of an encoder whose source has no card, and that was not verified."""
    copy = tmp_path_factory.mktemp("bare") / "tiny" / "1"
    shutil.copytree(verified_export.paths["encoder"], copy)
    shutil.rmtree(copy / "assets.extra" / "source")
    file = copy / "assets.extra" / "verification.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "checks": []}))
    contents.write(copy, "encoder")
    return facts.gather(copy)


def test_a_source_without_a_card(bare: facts.Facts) -> None:
    for page in pages.all_pages(bare, "me", "tiny").values():
        if page.startswith("{"):
            continue
        assert "- Licence: the source has no card, and none is named" in page
        assert "- Languages: not known: the source has no card" in page
        assert page.count("Not known: the source has no card.") == 3
        assert "**It was not compared with its source.**" in page
    assert (
        ModelCard(pages.hugging_face(bare, places.on_hugging_face("me", "tiny"))).data.get(
            "license"
        )
        is None
    )


def reported(known: facts.Facts, **changes: Any) -> facts.Facts:
    """The same with another report."""
    report = dataclasses.replace(known.stated.report, **changes)
    stated = dataclasses.replace(known.stated, report=report)
    parts = [dataclasses.replace(part, stated=stated) for part in known.parts]
    return dataclasses.replace(known, parts=parts)


def test_what_was_left_out_is_a_known_difference(bare: facts.Facts) -> None:
    known = reported(bare, checks=[Check("numbers", Outcome.NOT_COMPARED, "needs torch")])
    page = pages.tf_hub(known, places.beside("me", "tiny"))
    assert "- numbers: not compared, needs torch" in page


@pytest.mark.parametrize(
    ("weights", "words", "relation"),
    [
        (settings.PRETRAINED, "The checkpoint [you/it]", "quantized"),
        (settings.TRAINED, "What became in training of the checkpoint [you/it]", "finetune"),
        (settings.NONE, "The architecture, with random weights, of the checkpoint [you/it]", None),
    ],
)
def test_whose_weights_they_are(
    bare: facts.Facts, weights: str, words: str, relation: str | None
) -> None:
    asked = {**bare.stated.report.settings, "weights": weights}
    known = dataclasses.replace(reported(bare, settings=asked), base_model="you/it")
    card = ModelCard(pages.hugging_face(known, places.on_hugging_face("me", "tiny")))
    assert f"## What it is\n\n{words}" in card.text
    assert ("nothing was trained" in card.text) == (weights == settings.PRETRAINED)
    assert card.data.get("base_model_relation") == relation
    assert card.data.get("base_model") == (relation and "you/it")
    assert "Ids go in: a tokenizer is not part of it." in card.text  # an encoder by itself
    assert pages.kaggle_model(known, "me", "tiny")["subtitle"] == "you/it as SavedModels"


def test_the_documents_of_the_source(verified_export: hub_export.Export) -> None:
    """They are in every part; a link that leads out of the checkpoint is not."""
    for path in verified_export.paths.values():
        found = sorted(each.name for each in (path / "assets.extra" / "source").iterdir())
        assert found == ["LICENSE", "README.md"]
        assert "assets.extra/source/LICENSE" in contents.read(path).files


def test_a_card_in_another_spelling(tmp_path: Path) -> None:
    for name in ("readme.md", "Licence"):
        (tmp_path / name).touch()
    assert documents.find(tmp_path) == {
        "README.md": tmp_path / "readme.md",
        "Licence": tmp_path / "Licence",
    }
    (tmp_path / "README.md").touch()
    assert documents.find(tmp_path)["README.md"] == tmp_path / "README.md"


CARDS: dict[str, tuple[str, source_card.SourceCard]] = {
    "nothing": ("", source_card.SourceCard()),
    "text alone": ("# Model\n\nText.", source_card.SourceCard()),
    "no list": (
        "---\n- a\n---\n",
        source_card.SourceCard(problem="expected names and values, found a list"),
    ),
    "of other types": (
        "---\nlicense: [1]\nlanguage: {a: b}\ndatasets: [1, x]\n---\n",
        source_card.SourceCard(datasets=("x",)),
    ),
    "a list of one": (
        "\ufeff---\r\nlicense: [mit]\r\nlanguage: no\r\n---\r\n",
        source_card.SourceCard(license="mit", languages=("no",)),
    ),
    "what the hub asks for": (
        "---\nlicense: mit\n---\n## Uses\n\n[More Information Needed]\n\n<!-- say -->",
        source_card.SourceCard(license="mit"),
    ),
    "several subjects in one heading": (
        "## Intended uses & limitations\n\nOne.\n\n## Bias in the training data\n\nTwo.\n\n"
        "### Training\n\nThree.\n",
        source_card.SourceCard(sections={"uses": "One.", "limits": "Two.", "training": "Three."}),
    ),
    "two subjects of one section": (
        "## Uses and limitations\n\nOne.\n\n## Use and bias\n\nTwo.\n",
        source_card.SourceCard(sections={"uses": "One.\n\nTwo.", "limits": "One.\n\nTwo."}),
    ),
}


@pytest.mark.parametrize("name", CARDS)
def test_cards(name: str, tmp_path: Path) -> None:
    text, wanted = CARDS[name]
    (tmp_path / "README.md").write_bytes(text.encode())
    assert source_card.read(tmp_path / "README.md") == wanted


def test_a_damaged_card(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\na: [\n---\n## Training\n\nOn data.\n")
    found = source_card.read(tmp_path / "README.md")
    assert found is not None
    assert "line" in found.problem
    assert found.sections == {"training": "On data."}


def test_a_long_section_is_cut(tmp_path: Path) -> None:
    lines = "\n".join(f"line {at}" for at in range(2000))
    (tmp_path / "README.md").write_text(f"# Training data\n\n```\n{lines}\n```\n")
    found = source_card.read(tmp_path / "README.md")
    assert found is not None
    text = found.sections["training"]
    assert len(text) < 6100
    assert text.endswith("\n```\n\n[...]")


def _half(folder: Path) -> None:
    (folder / "saved_model.pb").write_bytes(b"half")


def _later(folder: Path) -> None:
    file = folder / contents.ASSETS / contents.FILE
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "half": (_half, "saved_model.pb: expected"),
    "later": (_later, "update hub_export"),
    "none": (shutil.rmtree, "no such folder"),
    "no report": (lambda f: (f / "assets.extra" / "verification.json").unlink(), "No such file"),
}


@pytest.mark.parametrize("damage", BAD)
def test_damaged_exports(verified_export: hub_export.Export, tmp_path: Path, damage: str) -> None:
    copy = Path(shutil.copytree(verified_export.paths["encoder"], tmp_path / "copy" / "1"))
    change, words = BAD[damage]
    change(copy)
    with pytest.raises(SourceError, match=words):
        facts.gather(copy)


def test_a_damaged_export_gets_no_page(
    verified_export: hub_export.Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(verified_export.paths["encoder"], tmp_path / "copy" / "1"))
    file = copy / "variables" / "variables.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert cli.main(["publish", str(copy), f"--page={tmp_path / 'pages'}", "--nospeed"]) == 1
    assert "its sha256 is not that of the file" in capsys.readouterr().err
    assert not (tmp_path / "pages").exists()


def test_code_names_any_folder(bare: facts.Facts) -> None:
    part = dataclasses.replace(bare.parts[0], folder=Path('/x/it\'s "ü"/1'))
    place = places.beside("me", "tiny")
    assert ast.literal_eval(place.of("python", part)) == 'it\'s "ü"/1'
    assert shlex.split(place.of("versions", part)) == ['it\'s "ü"']


def test_a_system_that_tells_no_affinity(
    bare: facts.Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as macOS."""
    monkeypatch.delattr(os, "sched_getaffinity")
    assert f" on {os.cpu_count()} cores, " in speed.measured(bare).machine


def test_a_report_that_lacks_something(verified_export: hub_export.Export) -> None:
    known = facts.gather(verified_export.paths["encoder"])
    known.source["size"].pop("width")  # type: ignore[attr-defined]
    with pytest.raises(SourceError, match=r"has no attribute .width.*export the model again"):
        pages.all_pages(known, "me", "tiny")


def test_parts_that_are_not_there(verified_export: hub_export.Export, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(verified_export.paths["encoder"], tmp_path / "copy" / "1"))
    assert [part.name for part in facts.gather(alone).parts] == ["encoder"]
    with pytest.raises(SourceError, match="found encoder"):
        facts.gather(alone, ["encoder", "text_embedding"])
    some = facts.gather(verified_export.paths["encoder"], ["preprocessor"])
    assert [part.name for part in some.parts] == ["preprocessor"]


def test_a_path_that_names_no_folder_above(
    verified_export: hub_export.Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other parts are found from within the folder, too."""
    path = verified_export.paths["encoder"]
    for here, name in ((path, "."), (path.parent, "1")):
        monkeypatch.chdir(here)
        assert {each.folder for each in facts.gather(Path(name)).parts} == {
            each.resolve() for each in verified_export.paths.values()
        }


def test_pages_are_whole_or_none(
    bare: facts.Facts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = pages.all_pages(bare, "me", "tiny")
    (tmp_path / "tfhub.md").write_text("mine")
    with pytest.raises(TargetError, match=r"tfhub\.md: exists"):
        pages.write(made, tmp_path, overwrite=False)
    assert [each.name for each in tmp_path.iterdir()] == ["tfhub.md"]
    pages.write(made, tmp_path, overwrite=True)
    assert (tmp_path / "tfhub.md").read_text() == made["tfhub.md"]
    assert cli.main(["publish", str(tmp_path)]) == 1
    assert "say what to make of it: --archive, --page or --push" in capsys.readouterr().err
