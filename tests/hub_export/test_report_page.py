"""The page of figures: whole, in every section, for everyone, and loading nothing."""

import dataclasses
import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

import hub_export
from hub_export import contract, report_page, timing
from hub_export.publish.report import Report
from hub_export.report_page import page, recording, speed
from hub_export.report_page.facts import Copy, Facts, Speed
from hub_export.terminal import Progress, Step
from hub_export.verify import samples
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.details import Script, Similarities, Spread
from hub_export.verify.tokens import scripts
from tests import checkpoints

SECTIONS = {
    "checks": 0,
    "layers": 2,
    "differences": 1,
    "scripts": 1,
    "similarity": 3,
    "speed": 6,
    "sizes": 1,
    "operations": 5,
    "steps": 1,
}
"""Key of a section -> how many figures it has, of the export below."""
STYLE = (Path(report_page.__file__).parent / "page.css").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[hub_export.Export, ET.Element]:
    """An export with a copy, whose rows are too short for the sample sentences, and its page."""
    source, out = (tmp_path_factory.mktemp(each) for each in ("source", "report"))
    source /= "tiny-bert"
    checkpoints.save_model(source, "bert", num_hidden_layers=2)
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(checkpoints.PIECES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "LENGTHS", (8, 16))
        patch.setattr(timing, "SECONDS", 0.0)
        patch.setattr(contract, "MOST_SEGMENTS", 2)
        patch.setitem(samples.AMOUNTS, "quick", samples.Amount(step=200, fuzz=100, pairs=20))
        copies = {"litert": ["float32"], "litert_length": 16}
        done = hub_export.export(source, out, verify="quick", report=True, **copies)
    # It is XML, too: no tag is left open, no name unknown.
    return done, ET.fromstring(done.paths["report"].read_text(encoding="utf-8"))


def text(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_it_stands_beside_the_exports(exported: tuple[hub_export.Export, ET.Element]) -> None:
    done, root = exported
    file = done.paths["report"]
    assert file.name == "tiny_bert_report_1.html"
    assert file.parent == done.paths["encoder"].parents[1]
    assert text(root.find(".//h1")) == "tiny_bert"
    # The folder of the checkpoint is of this machine alone.
    assert str(file.parent) not in file.read_text(encoding="utf-8")


def test_it_loads_nothing(exported: tuple[hub_export.Export, ET.Element]) -> None:
    _, root = exported
    loading = {"src", "srcset", "data", "poster", "action", "background"}
    for element in root.iter():
        assert element.tag not in ("script", "iframe", "object", "embed", "img", "base")
        assert not loading & element.attrib.keys()
        for name, value in element.attrib.items():
            assert "://" not in value
            if name == "href":
                assert value.startswith("#") or value == "data:,"
    assert "url(" not in STYLE and "@import" not in STYLE


def test_names_are_given_once_and_links_lead_somewhere(
    exported: tuple[hub_export.Export, ET.Element],
) -> None:
    _, root = exported
    names = [each.attrib["id"] for each in root.iter() if "id" in each.attrib]
    assert len(names) == len(set(names))
    used = {each.attrib["href"][1:] for each in root.iter() if "#" in each.attrib.get("href", "")}
    paths = "".join(value for each in root.iter() for value in each.attrib.values())
    used |= {*re.findall(r"url\(#([^)]+)\)", paths)}
    assert used <= {*names}


def test_every_section_has_figures_with_words_and_tables(
    exported: tuple[hub_export.Export, ET.Element],
) -> None:
    _, root = exported
    found = {
        each.attrib["aria-labelledby"]: each.findall(".//figure") for each in root.iter("section")
    }
    assert {key: len(figures) for key, figures in found.items()} == SECTIONS
    for figure in itertools.chain(*found.values()):
        assert text(figure.find("figcaption"))
        svg, table = figure.find(".//svg"), figure.find(".//table")
        assert svg.attrib["role"] == "img"
        assert re.search(r"\d", svg.attrib["aria-label"])  # it says how much
        width = len(table.findall("./thead/tr/th"))
        rows = table.findall("./tbody/tr")
        assert rows
        assert {len(row) for row in rows} == {width}
        assert text(table.find("caption"))
    headings = [int(each.tag[1]) for each in root.iter() if re.fullmatch("h[1-6]", each.tag)]
    assert headings == [1] + [2] * len(SECTIONS)


def test_figures_say_what_the_checks_found(
    exported: tuple[hub_export.Export, ET.Element],
) -> None:
    done, root = exported
    figures = {
        check.subject.removeprefix("numbers, "): check.figures["distance"]
        for check in done.report.checks
        if check.subject.startswith("numbers, ")
    }
    table = root.find(".//section[@aria-labelledby='layers']//table")
    found = [[text(cell) for cell in row] for row in table.iter("tr")][1:]
    wanted = [figures[name] for name in ("encoder_outputs_0", "encoder_outputs_1")]
    assert [row[0] for row in found[:2]] == ["layer 1", "layer 2"]
    assert [row[2] for row in found[:2]] == [f"{each:.2e}" for each in wanted]
    compared = text(root.find(".//section[@aria-labelledby='checks']//table"))
    assert all(check.subject in compared for check in done.report.checks)


def test_colours_of_a_figure_are_the_pages(
    exported: tuple[hub_export.Export, ET.Element],
) -> None:
    _, root = exported
    drawn = "".join(ET.tostring(each, "unicode") for each in root.iter("svg"))
    assert not re.search(r"#[0-9a-fA-F]{6}\b|rgb\(", drawn)
    assert {*re.findall(r"var\(--(\w+)\)", drawn)} <= {*palettes()[0]}


def palettes() -> list[dict[str, str]]:
    """Variable -> colour: light, dark, and on paper."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in blocks]


def contrast(one: str, other: str) -> float:
    """The ratio that WCAG 2 defines."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast() -> None:
    """Of letters at least 4.5, of bars and lines 3 (WCAG 2.2, AA)."""
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    light, dark, paper = palettes()
    assert light.keys() == dark.keys() == paper.keys()
    assert light == paper
    assert contrast(light["ink"], dark["ink"]) > 10
    for colours in (light, dark):
        for letters in ("ink", "muted", "link", "good", "bad"):
            assert contrast(colours[letters], colours["surface"]) >= 4.5
        assert contrast(colours["ink"], colours["raised"]) >= 4.5
        for drawn in ("limit", "one", "two", "three", "four", "five", "six"):
            assert contrast(colours[drawn], colours["surface"]) >= 3


def facts(*checks: Check, name: str = "a") -> Facts:
    source = {"name": name, "revision": None, "model_type": "bert"}
    report = Report(source, {"name": name, "compute_dtype": "float32"}, {}, checks, "CPU")
    speeds = [Speed(8, 1, 0.5), Speed(8, speed.TOGETHER, 1.5)]
    copy = Copy("encoder", "SavedModel", {"weights": 1}, {"MatMul": 2}, speeds)
    return Facts(report, [Step("reading", 1.0)], [copy], {"hub_export": "0"}, "", 1)


def test_names_are_text() -> None:
    """A checkpoint may be called anything."""
    name = "</h1><script>alert('&')</script>"
    root = ET.fromstring(page.render(facts(name=name)))
    assert root.find(".//script") is None
    assert text(root.find(".//h1")) == name


def test_labels_are_text() -> None:
    """Neither mathematics nor what XML does not allow; the name of a folder may be either."""
    names = ["$\\frac$", "a$", "b$_\x01", "\0\udc80"]
    found = facts()
    steps = [Step(name, 1.0) for name in names]
    root = ET.fromstring(page.render(dataclasses.replace(found, steps=steps)))
    section = root.find(".//section[@aria-labelledby='steps']")
    drawn = {each.text for each in section.find(".//svg").iter("text")}
    assert {"$\\frac$", "a$", "b$_\ufffd", "\ufffd\ufffd"} <= drawn


def test_an_export_stands_without_its_figures(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("<no> figures")

    monkeypatch.setattr(recording, "facts", fail)
    done = hub_export.export(
        tiny_bert, tmp_path, parts=["preprocessor"], verify="none", report=True
    )
    assert (done.paths["preprocessor"] / "saved_model.pb").is_file()
    root = ET.fromstring(done.paths["report"].read_text(encoding="utf-8"))
    assert "its figures could not be drawn: ValueError('<no> figures')" in text(root)


def test_without_checks_the_page_says_so() -> None:
    root = ET.fromstring(page.render(facts()))
    assert text(root.find(".//*[@class='verdict partly']")) == "Not verified, as asked"
    of_layers = root.find(".//section[@aria-labelledby='layers']")
    assert text(of_layers).endswith("Nothing was compared that would show here.")


def test_what_was_not_compared_is_told() -> None:
    checks = Check("a", Outcome.PASSED, ""), Check("b", Outcome.NOT_COMPARED, "needs torch")
    root = ET.fromstring(page.render(facts(*checks)))
    verdict = text(root.find(".//*[@class='verdict partly']"))
    assert verdict == "1 of 2 comparisons passed, 1 not compared"


def test_numbers_that_are_equal_need_no_figure() -> None:
    figures = {"distance": 0.0, "scale": 1.0, "allowed": 1e-5}
    spread = Spread({None: 7})
    checks = Check("numbers, pooled_output", Outcome.PASSED, "", figures, spread)
    root = ET.fromstring(page.render(facts(checks)))
    assert root.find(".//section[@aria-labelledby='differences']//figure") is None
    assert root.find(".//section[@aria-labelledby='layers']//figure") is not None


def test_nothing_is_allowed() -> None:
    """tolerance=0: what is equal passes."""
    figures = {"distance": 0.0, "scale": 1.0, "allowed": 0.0}
    spread = Spread({None: 7})
    subjects = ("numbers, sequence_output", "vectors, against torch")
    checks = [Check(each, Outcome.PASSED, "", figures, spread) for each in subjects]
    root = ET.fromstring(page.render(facts(*checks)))
    assert len(root.findall(".//section[@aria-labelledby='layers']//figure")) == 1


def test_cosines_are_called_so() -> None:
    figures = {"distance": 1e-4, "scale": 1.0, "allowed": 2e-3}
    check = Check("numbers, pooled_output", Outcome.PASSED, "lowest cosine 0.9999", figures)
    root = ET.fromstring(page.render(facts(check)))
    [table] = root.findall(".//section[@aria-labelledby='layers']//table")
    assert text(table.find("thead")) == "what1 - cosinedifferenceallowed"
    assert "1.0e-04" in root.find(".//section[@aria-labelledby='layers']//svg").attrib["aria-label"]


def test_a_page_that_exists_stays(tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny_bert_report_1.html").write_text("mine")
    with pytest.raises(hub_export.TargetError, match=r"report_1\.html: exists"):
        hub_export.export(tiny_bert, tmp_path, parts=["encoder"], verify="none", report=True)
    assert [each.name for each in tmp_path.iterdir()] == ["tiny_bert_report_1.html"]


def test_packages_are_asked_for_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(report_page, "_NEEDS", ("jinja2", "not_there"))
    with pytest.raises(hub_export.ExportError, match=r"needs not_there \(pip install '\.\[report"):
        hub_export.export(tmp_path / "nothing", tmp_path, report=True)


# What is recorded for it.


def test_spread() -> None:
    found = Spread.of(np.array([[0.0, 0.75], [1.0, 3.0]], np.float32)) + Spread.of(np.zeros(2))
    assert found.counts == {None: 3, 0: 1, 1: 1, 2: 1}


def test_similarities() -> None:
    source = np.array([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    found = Similarities.of("abc", source, source[:, ::-1])
    np.testing.assert_array_equal(found.source, np.diag([1.0, 1.0, 0.0]))
    np.testing.assert_array_equal(found.export, found.source)


def test_scripts(tiny_bert: Path) -> None:
    """Tokens count for the script that they begin in, texts for each script in them."""
    source = Tokenizer.from_file(str(tiny_bert / "tokenizer.json"))
    tally, texts = scripts.Tally(), ["a b", "", "b д", "дд"]
    differ = [False, False, True, False]
    tally.add(texts, source.encode_batch(texts, add_special_tokens=False), differ)
    assert [*tally.found.found.items()] == [
        ("Latin", Script(3, 2, 1)),
        ("Cyrillic", Script(2, 2, 1)),
        ("Common", Script(0, 2, 1)),
    ]


def test_steps() -> None:
    progress = Progress(quiet=True)
    assert progress.steps == []
    progress.say("one")
    progress.say("two")
    first, second = progress.steps
    assert (first.name, second.name) == ("one", "two")
    assert 0 <= first.seconds < 1
    assert dataclasses.replace(facts(), steps=progress.steps).steps[0].name == "one"
