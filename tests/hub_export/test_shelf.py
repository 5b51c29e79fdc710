"""A folder of exports: what it is said to hold, and proving one of them again."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

import hub_export
from hub_export import cli, contents
from hub_export.checksums import sha256
from hub_export.verify import fingerprints

NAMES = ("encoder", "preprocessor", "text_embedding", "text_classification")

Run = Callable[[Sequence[str]], tuple[int, str]]


@pytest.fixture
def copy(verified_export: hub_export.Export, tmp_path: Path) -> Path:
    """Of the text embedding."""
    return Path(
        shutil.copytree(verified_export.paths["text_embedding"], tmp_path / "shelf" / "copy" / "1")
    )


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def _run(line: Sequence[str]) -> tuple[int, str]:
        capsys.readouterr()
        code = cli.main(line)
        said = capsys.readouterr()
        return code, said.out if code == 0 else said.err

    return _run


def listed(run: Run, folder: Path) -> list[dict[str, object]]:
    code, said = run(["list", str(folder), "--format=json"])
    assert code == 0
    found: list[dict[str, object]] = json.loads(said)
    return found


def test_the_list(verified_export: hub_export.Export, run: Run) -> None:
    folder = verified_export.paths["encoder"].parents[1]
    (folder / "notes").mkdir(exist_ok=True)
    found = listed(run, folder)
    assert {each["part"] for each in found} == {*NAMES}
    for each in found:
        path = folder / str(each["name"]) / str(each["version"])
        assert path == verified_export.paths[str(each["part"])]
        assert each["source"] == "shelf-bert"
        assert each["verified"] == "yes"
        files = [file for file in path.rglob("*") if file.is_file()]
        assert each["size"] == sum(file.stat().st_size for file in files)
        is_task = each["part"] == "text_classification"
        assert each["task"] == ("text-classification" if is_task else "-")
    _, said = run(["list", str(folder)])
    head, *lines = said.splitlines()
    assert head.split() == ["name", "part", "version", "source", "size", "verified", "task"]
    assert len(lines) == len(found)
    assert len({line.index("shelf-bert ") for line in lines}) == 1  # aligned


def test_what_stands_badly_on_the_shelf(
    copy: Path, tiny_export: hub_export.Export, run: Run
) -> None:
    shelf = copy.parents[1]
    for name in ("half", "later", "bare"):
        shutil.copytree(copy, shelf / name / "2")
    (shelf / "half" / "2" / "saved_model.pb").unlink()
    file = shelf / "later" / "2" / contents.ASSETS / contents.FILE
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    (shelf / "bare" / "2" / contents.ASSETS / contents.FILE).unlink()
    shutil.copytree(tiny_export.paths["preprocessor"], shelf / "unverified" / "3")
    assert {each["name"]: each["verified"] for each in listed(run, shelf)} == {
        "bare": "earlier format",
        "copy": "yes",
        "half": "damaged",
        "later": "later format",
        "unverified": "no",
    }


def test_empty_and_missing_folders(tmp_path: Path, run: Run) -> None:
    assert run(["list", str(tmp_path)]) == (0, f"{tmp_path}: no exports\n")
    code, said = run(["list", str(tmp_path / "none")])
    assert (code, "expected a folder of exports" in said) == (1, True)


def test_the_folder_of_exports_need_not_be_named(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exported").mkdir()
    assert run(["list"]) == (0, "exported: no exports\n")


def test_a_reader_that_has_read_enough(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for line in (["list", str(tmp_path)], ["--help"]):
        command = [sys.executable, "-m", "hub_export", *line]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    os.close(writing)


@pytest.mark.parametrize("part", NAMES)
def test_verified_again(verified_export: hub_export.Export, part: str, run: Run) -> None:
    path = verified_export.paths[part]
    code, said = run(["verify", str(path)])
    assert code == 0, said
    assert "FAILED" not in said
    outcomes = [line.split()[2] for line in said.splitlines()]
    assert {*outcomes} == {"passed"}
    assert len(outcomes) >= {"encoder": 4, "preprocessor": 5}.get(part, 1)
    assert (path / fingerprints.FILE).stat().st_size < 300_000


def _recorded(copy: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Writes other fingerprints, and a list of files that they are right in."""
    file = copy / fingerprints.FILE
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")
    contents.write(copy, "text_embedding")


def test_other_numbers_are_told(copy: Path, run: Run) -> None:
    def change(content: dict[str, object]) -> None:
        content["answers"]["serving_default"]["default"][7][3] += 1e-4  # type: ignore[index]

    _recorded(copy, change)
    code, said = run(["verify", str(copy)])
    assert code == 1
    assert "does not answer as it did" in said
    assert "serving_default, default  FAILED" in said


def test_other_weights_are_told(
    copy: Path, tiny_export: hub_export.Export, run: Run, tmp_path: Path
) -> None:
    """The graph and the numbers of one model, the record of another."""
    other = Path(shutil.copytree(tiny_export.paths["text_embedding"], tmp_path / "other" / "1"))
    for name in ("fingerprints.json", "verification.json"):
        shutil.copy(copy / contents.ASSETS / name, other / contents.ASSETS / name)
    code, said = run(["verify", str(other)])
    assert code == 1  # verification.json is not as it was written
    assert "damaged" in said
    contents.write(other, "text_embedding")
    code, said = run(["verify", str(other)])
    assert code == 1
    assert "FAILED" in said


def test_other_tokens_are_told(
    verified_export: hub_export.Export, tmp_path: Path, run: Run
) -> None:
    copy = Path(shutil.copytree(verified_export.paths["preprocessor"], tmp_path / "copy" / "1"))

    def change(content: dict[str, object]) -> None:
        content["answers"]["tokenize"]["ids"][8] = "0" * 16  # type: ignore[index]

    _recorded(copy, change)
    code, said = run(["verify", str(copy)])
    assert code == 1
    assert "1 differences in" in said
    assert "tokenize, ids" in said


def test_verified_by_its_source(
    verified_export: hub_export.Export, classifier: Path, run: Run
) -> None:
    """With all parts of the export, whichever is named."""
    path = verified_export.paths["preprocessor"]
    before = {each: each.stat().st_mtime_ns for each in path.parents[1].rglob("*")}
    code, said = run(["verify", str(path), f"--checkpoint={classifier}"])
    assert code == 0, said
    again = [line.split("  ")[0] for line in said.splitlines()]
    assert {*again} == {each.subject for each in verified_export.report.checks}
    assert "FAILED" not in said
    assert "not compared" not in said
    assert {each: each.stat().st_mtime_ns for each in path.parents[1].rglob("*")} == before


def test_copies_are_verified_by_their_source(calm_bert: Path, tmp_path: Path, run: Run) -> None:
    """Of an export that was not verified itself."""
    asked = {"parts": ["encoder"], "litert": ["float16"], "litert_length": 16}
    done = hub_export.export(calm_bert, tmp_path, verify="none", serving_tflite="float32", **asked)
    copy, encoder = done.paths["encoder_litert"], done.paths["encoder"]
    code, said = run(["verify", str(copy), f"--checkpoint={calm_bert}"])
    assert code == 0, said
    assert {line.split(",")[0] for line in said.splitlines()} == {"LiteRT float16"}
    code, said = run(["verify", str(encoder), f"--checkpoint={calm_bert}"])
    assert code == 0, said
    found = {line.split("  ")[0].split(",")[0] for line in said.splitlines()}
    assert {"weights of the encoder", "numbers", "model.tflite float32"} == found


@pytest.fixture
def encoder(verified_export: hub_export.Export, tmp_path: Path) -> Path:
    """A copy of it alone."""
    return Path(shutil.copytree(verified_export.paths["encoder"], tmp_path / "alone" / "1"))


def _stated(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Writes another report, and a list of files that it is right in."""
    file = path / contents.ASSETS / "verification.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")
    contents.write(path, "encoder")


def test_another_source_is_told(encoder: Path, classifier: Path, tmp_path: Path, run: Run) -> None:
    other = Path(shutil.copytree(classifier, tmp_path / "other"))
    tensors = load_file(other / "model.safetensors")
    tensors["bert.encoder.layer.0.output.dense.bias"][0] += 0.1
    save_file(tensors, other / "model.safetensors", {"format": "pt"})
    (other / "modules.json").write_text("[]")
    (other / "tokenizer_config.json").unlink()
    line = ["verify", str(encoder), f"--checkpoint={other}"]
    code, said = run(line)
    assert code == 1
    sums = r"model\.safetensors has sha256 \w{64}, expected \w{64}"
    assert re.search(rf"{sums}; modules\.json was not there", said)
    assert "tokenizer_config.json is missing" in said

    (other / "modules.json").unlink()
    shutil.copy(classifier / "tokenizer_config.json", other)
    found = sha256(other / "model.safetensors")
    _stated(encoder, lambda said: said["source"]["sha256"].update({"model.safetensors": found}))
    code, said = run(line)
    assert code == 1
    assert f"{encoder.parent.parent} does not agree with {other}" in said
    assert re.search(r"weights of the encoder +FAILED", said)
    assert re.search(r"numbers, pooled_output +FAILED", said)


def test_what_has_no_source(encoder: Path, classifier: Path, run: Run) -> None:
    line = ["verify", str(encoder), f"--checkpoint={classifier}"]
    _stated(encoder, lambda said: said["settings"].update(weights="none"))
    code, said = run(line)
    assert (code, "random, drawn at the export: there is no checkpoint" in said) == (1, True)
    _stated(encoder, lambda said: said["settings"].update(weights="pretrained", later=1))
    code, said = run(line)
    assert (code, "settings that this hub_export does not know" in said) == (1, True)
    code, said = run(["verify", str(encoder), "--base_model=x"])
    assert (code, "base_model: only for an adapter" in said) == (1, True)


def test_what_cannot_be_verified_again(
    tiny_export: hub_export.Export, copy: Path, run: Run
) -> None:
    code, said = run(["verify", str(tiny_export.paths["text_embedding"])])
    assert code == 1
    assert "expected assets.extra/fingerprints.json, found none" in said
    (copy / "variables" / "variables.index").unlink()
    code, said = run(["verify", str(copy)])
    assert code == 1
    assert "variables.index: No such file" in said
