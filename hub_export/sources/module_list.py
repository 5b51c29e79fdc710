"""`modules.json`: which modules sentence-transformers puts in a row, and where their files are."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import is_name, read_any_json
from hub_export.sources.module_files import CONFIG, WEIGHTS, read_module
from hub_export.sources.modules import TextModule

MODULES = "modules.json"

_TYPE = re.compile(
    r"sentence_transformers\.(?:models|base\.modules|sentence_transformer\.modules)"
    r"(?:\.\w+)?\.(?P<name>\w+)"
)


def read_modules(folder: Path) -> list[TextModule]:
    """All modules but the transformer; the pooling, if there is one, is the first of them.

    Raises:
        SourceError: the file is damaged, or a module is not supported.
    """
    file = folder / MODULES
    entries = _listed(file, read_any_json(file))
    names = [_name(file, entry) for entry in entries]
    behind = names[1:]
    if names[:1] != ["Transformer"] or entries[0]["path"] != "":
        raise SourceError(
            f"{file}: expected a Transformer in the folder itself as the first module, found "
            f"{entries[:1]}"
        )
    if "Pooling" in behind[1:] or (behind and behind[0] != "Pooling"):
        raise SourceError(
            f"{file}: expected the modules Transformer, Pooling and, where wanted, Dense, "
            f"LayerNorm, Normalize, Dropout behind them; found {', '.join(names)}"
        )
    return [
        read_module(name, folder / entry["path"])
        for name, entry in zip(behind, entries[1:], strict=True)
    ]


def module_files(folder: Path) -> list[str]:
    """The files that `modules.json` leads to, relative to the folder, whether they exist or not.

    Empty where there is no such file, or no sense in it; none of them is outside of the folder.
    """
    try:
        entries: Any = read_any_json(folder / MODULES)
        paths = [entry["path"] for entry in entries]
    except (SourceError, TypeError, KeyError):
        return []
    named = [path for path in paths if is_name(path) and re.fullmatch(r"[\w.-]+", path)]
    return [f"{path}/{file}" for path in named for file in (CONFIG, *WEIGHTS)]


def _listed(file: Path, entries: object) -> Sequence[Mapping[str, Any]]:
    """The entries, each with a type and with a path within the folder."""
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise SourceError(f"{file}: expected a list of modules, each an object")
    for entry in entries:
        if not (entry.get("path") == "" or is_name(entry.get("path"))):
            raise SourceError(
                f"{file}: expected the name of a subfolder as path, found {entry.get('path')!r}"
            )
        if entry.get("kwargs"):
            raise SourceError(f"{file}: kwargs of a module are not supported: {entry['kwargs']}")
    return entries


def _name(file: Path, entry: Mapping[str, Any]) -> str:
    found = _TYPE.fullmatch(str(entry.get("type")))
    if found is None:
        raise SourceError(
            f"{file}: the module {entry.get('type')} is not supported: its code is not "
            "sentence-transformers'"
        )
    return found["name"]
