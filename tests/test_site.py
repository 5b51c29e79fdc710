"""What MkDocs is told: every guide has a place, every mark becomes what the code says."""

import re
import types
from pathlib import Path

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
