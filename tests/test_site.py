"""What MkDocs is told: every guide has a place, every mark becomes what the code says."""

import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from tools import site_hooks

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def test_every_guide_has_a_place(tmp_path: Path) -> None:
    for name in ("index.md", "b.md", "a.md", "known.md"):
        (tmp_path / name).touch()
    nav = ["index.md", {"Guides": ["known.md"]}, {"Reference": ["reference/x.md"]}]
    config = site_hooks.on_config(types.SimpleNamespace(nav=nav, docs_dir=str(tmp_path)))
    assert config.nav[1] == {"Guides": ["known.md", "a.md", "b.md"]}


def test_marks_become_what_the_code_says() -> None:
    marked = {each: each.read_text("utf-8") for each in PAGES if "<!-- " in each.read_text("utf-8")}
    found = {each.name: site_hooks.on_page_markdown(text) for each, text in marked.items()}
    assert not re.search("<!-- (help|options|docstring)", "".join(found.values()))
    assert "--compute_dtype=<float32|bfloat16|float16>" in found["commands.md"]
    assert "- `compute_dtype: str = 'float32'`: What weights are" in found["exporting.md"]
    assert "The contract: every name, dtype and shape" in found["contract.md"]


def test_commands_are_all_there() -> None:
    """Those that setup.py installs."""
    commands = re.findall(r'"(\w+) = hub_export', (ROOT / "setup.py").read_text("utf-8"))
    page = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    assert commands
    assert {*commands} <= {*re.findall(r"^## (\w+)$", page, re.MULTILINE)}


@pytest.mark.parametrize("link", ["nowhere.md", "#nowhere"])
def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path, link: str) -> None:
    """As the Makefile builds it, with the settings of mkdocs.yml."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: '.[docs]'")
    [command] = re.findall(r"-m (mkdocs build.*)", (ROOT / "Makefile").read_text("utf-8"))
    found = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    settings = {name: found[name] for name in ("strict", "validation")}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump({"site_name": "small", **settings}))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"[page]({link})\n")
    line = [sys.executable, "-m", *command.split()]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert link in done.stderr
