"""The modules that a checkpoint of sentence-transformers consists of, listed in `modules.json`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import is_name, read_any_json
from hub_export.sources.modules import CONFIG, WEIGHTS

MODULES = "modules.json"

_TYPE = re.compile(
    r"(?:sentence_transformers\.(?:models|base\.modules|"
    r"(?:sentence_transformer|sparse_encoder|multi_vector_encoder)\.(?:modules|models))"
    r"|pylate\.models)(?:\.\w+)?\.(?P<name>\w+)"
)
_TRANSFORMER = "Transformer"


class Listed(NamedTuple):
    """A module.

    Attributes:
        name: its class.
        folder: where its files are.
    """

    name: str
    folder: Path


def modules(folder: Path) -> list[Listed]:
    """The modules of a folder.

    Raises:
        SourceError: the file is damaged, or names code that is not followed.
    """
    return [_named(folder, entry) for entry in _entries(folder / MODULES)]


def behind_transformer(folder: Path) -> list[Listed]:
    """The modules behind the first one, which is the encoder.

    Raises:
        SourceError: the file is damaged, names code that is not followed, or begins otherwise.
    """
    found = modules(folder)
    if not found or found[0] != (_TRANSFORMER, folder):
        raise SourceError(
            f"{folder / MODULES}: expected a {_TRANSFORMER} in the folder itself as the first "
            f"module, found {[*_entries(folder / MODULES)[:1]]}"
        )
    return found[1:]


def classes(folder: Path) -> list[str]:
    """The last parts of the names of the modules' classes, whatever their code.

    Raises:
        SourceError: the file is damaged.
    """
    return [str(each.get("type")).rpartition(".")[2] for each in _entries(folder / MODULES)]


def _entries(file: Path) -> Sequence[Mapping[str, Any]]:
    """The entries, each with a path within the folder."""
    entries = read_any_json(file)
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


def _named(folder: Path, entry: Mapping[str, Any]) -> Listed:
    found = _TYPE.fullmatch(str(entry.get("type")))
    if found is None:
        raise SourceError(
            f"{folder / MODULES}: the module {entry.get('type')} is not supported: its code is not "
            "sentence-transformers'"
        )
    return Listed(found["name"], folder / entry["path"])


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
