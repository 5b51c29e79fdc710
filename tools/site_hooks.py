"""What MkDocs does besides when it makes the site (mkdocs.yml): help of commands, all guides."""

import contextlib
import importlib
import inspect
import io
import pkgutil
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hub_export import options
from hub_export.terminal import silenced

_MARK = re.compile(r"<!-- (help|options|docstring): ([\w.]+) -->")


def on_config(config: Any) -> Any:
    """Puts guides that the list in mkdocs.yml does not name behind those that it does."""
    [guides] = (each["Guides"] for each in config.nav if "Guides" in each)
    there = {each.name for each in Path(config.docs_dir).glob("*.md")}
    guides += sorted(there - {*guides, "index.md"})
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts in the place of a mark what the code says.

    <!-- help: module -->         what `main` of a command prints for --help
    <!-- options: class -->       the options of a settings class
    <!-- docstring: module -->    a docstring as it is written
    """
    return _MARK.sub(lambda match: _MADE[match[1]](match[2]), markdown)


def _help(name: str) -> str:
    said = io.StringIO()
    with silenced():
        command = importlib.import_module(name).main
    with contextlib.redirect_stdout(said):
        command(["--help"])
    return _as_it_is(said.getvalue())


def _options(name: str) -> str:
    kind = pkgutil.resolve_name(name)
    shown = inspect.signature(kind).parameters
    return "\n".join(
        f"- `{shown[each.name]}`: {each.metadata['help']}" for each in options.of(kind)
    )


def _docstring(name: str) -> str:
    with silenced():
        found = inspect.getdoc(importlib.import_module(name))
    return _as_it_is(found or "")


def _as_it_is(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


_MADE: Mapping[str, Callable[[str], str]] = {
    "help": _help,
    "options": _options,
    "docstring": _docstring,
}
