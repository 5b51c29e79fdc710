"""Which options of a `config.json` no code of `transformers` reads.

Published configurations are full of keys that older versions, training scripts and services left
behind. Whether one matters is not a matter of lists: what the source's own code never looks at
cannot change what it computes. So its files are read, as text; nothing of them is run.
"""

import ast
import functools
import importlib.util
import re
from collections.abc import Collection, Iterator
from pathlib import Path

_IMPORTED = re.compile(r"from \.\.(\w+)(?:\.| import)")
_READERS = ("getattr", "hasattr", "setattr")
_BASE = "PreTrainedConfig"
"""What the configurations of all model types are made of."""


def unread(model_type: str, options: Collection[str]) -> frozenset[str]:
    """Those of the options that no class of `transformers` for this model type could read.

    Declared fields of its configuration, attributes of anything called a config and, in the files
    of the model type, strings that are the option's name count as read.

    Args:
        model_type: that of the configuration.
        options: keys of `config.json`.
    """
    if not options:
        return frozenset()
    library = _library()
    own = _own(library / "models", model_type)
    left = {*options} if own else set()
    for file in [*own, *library.glob("*.py"), *library.glob("integrations/*.py")]:
        text = file.read_text(encoding="utf-8")
        if any(option in text for option in left):
            left -= _read_by(file, file in own)
    return frozenset(left)


@functools.cache
def _read_by(file: Path, own: bool) -> frozenset[str]:
    """The names of options that a file reads or declares; most files are of all model types."""
    return frozenset(_reads(ast.parse(file.read_text(encoding="utf-8")), own))


def _library() -> Path:
    found = importlib.util.find_spec("transformers")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _own(models: Path, model_type: str) -> list[Path]:
    """The files of the model type, and of others that they import from; none if it has none."""
    from transformers.models.auto import configuration_auto  # noqa: PLC0415 (slow)

    if model_type not in configuration_auto.CONFIG_MAPPING_NAMES:
        return []
    name = configuration_auto.model_type_to_module_name(model_type)
    folders, waiting = set[Path](), {models.joinpath(*name.split("."))}
    while waiting:
        folder = waiting.pop()
        folders.add(folder)
        for file in _code(folder):
            names = _IMPORTED.findall(file.read_text(encoding="utf-8"))
            waiting |= {models / each for each in names if each != "auto"} - folders
    return [file for folder in folders for file in _code(folder)]


def _code(folder: Path) -> list[Path]:
    return [*folder.glob("configuration_*.py"), *folder.glob("modeling_*.py")]


def _reads(tree: ast.Module, own: bool) -> Iterator[str]:
    """The names of options that a file reads or declares."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=name) if _is_config(value):
                yield name
            case ast.Call(func=ast.Name(id=reader), args=[of, ast.Constant(value=str(name)), *_]):
                if reader in _READERS and _is_config(of):
                    yield name
            case ast.Constant(value=str(name)) if own:
                yield name
            case ast.ClassDef(name=kind) if kind == _BASE or (own and kind.endswith("Config")):
                yield from _declared(node)


def _is_config(node: ast.expr) -> bool:
    """Whether an expression is called a config."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower().endswith(("config", "cfg"))
        case _:
            return False


def _declared(node: ast.ClassDef) -> Iterator[str]:
    """The fields of a configuration, arguments of its methods and attributes of its own."""
    for each in ast.walk(node):
        match each:
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.arg(arg=name) | ast.Attribute(value=ast.Name(id="self"), attr=name):
                yield name
