"""The modules that a checkpoint of sentence-transformers consists of, listed in `modules.json`.

The first one is the encoder; its files lie in the folder itself or, in older checkpoints, in a
subfolder of its own. A `Router` has lists of modules in its place, one for each of its routes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import is_name, read_any_json, read_json
from hub_export.sources.modules import CONFIG, WEIGHTS

MODULES = "modules.json"

_TYPE = re.compile(
    r"(?:sentence_transformers\.(?:models|base\.modules|"
    r"(?:sentence_transformer|sparse_encoder|multi_vector_encoder)\.(?:modules|models))"
    r"|pylate\.models)(?:\.\w+)?\.(?P<name>\w+)"
)
_TRANSFORMER = "Transformer"
_OF_JINA, _TASK = "custom_st.Transformer", ["task"]
"""The class that Jina Embeddings 3 brought along, and what it is told with each text."""
_FIRST = (_TRANSFORMER, "CLIPModel")
_ENCODERS = (*_FIRST, "MLMTransformer")
_ROUTERS = ("Router", "Asym")
ROUTES = "router_config.json"
"""Where a router's routes are told; older ones have them in CONFIG."""
_TABLES = (("structure", list), ("types", str))
_HERE = ("", ".")
"""Paths of the folder itself; the second is model2vec's."""


class Listed(NamedTuple):
    """A module.

    Attributes:
        name: its class.
        folder: where its files are.
    """

    name: str
    folder: Path


def modules(folder: Path, route: str = "") -> list[Listed]:
    """The modules of a folder.

    Args:
        folder: where `modules.json` is.
        route: which route of a router to follow; by default its own default.

    Raises:
        SourceError: the file is damaged, or names code that is not followed.
    """
    return [_named(folder, entry) for entry in _followed(folder, route)]


def behind_transformer(folder: Path, route: str = "") -> list[Listed]:
    """The modules behind the first one, which is the encoder.

    Raises:
        SourceError: the file is damaged, names code that is not followed, or begins otherwise.
    """
    found = modules(folder, route)
    if not found or found[0].name not in _FIRST:
        first = f"a {found[0].name}" if found else "none"
        raise SourceError(
            f"{folder / MODULES}: expected a {_TRANSFORMER} as the first module, which is the "
            f"encoder, found {first}"
        )
    return found[1:]


def classes(folder: Path, route: str = "") -> list[str]:
    """The last parts of the names of the modules' classes, whatever their code.

    Raises:
        SourceError: the file is damaged.
    """
    return [_class(each) for each in _followed(folder, route)]


def encoder_folder(folder: Path, route: str = "") -> Path:
    """Where the encoder's own files are: the folder itself, or a subfolder.

    Raises:
        SourceError: a file is damaged, or a router has no such route.
    """
    entries = [*_followed(folder, route)] if (folder / MODULES).exists() else []
    if entries and _class(entries[0]) in _ENCODERS:
        return folder / entries[0]["path"]
    return folder


def is_encoder_of(folder: Path) -> bool:
    """Whether the folder above lists this one as its encoder."""
    try:
        return encoder_folder(folder.parent).resolve() == folder.resolve()
    except SourceError:
        return False


def has_routes(folder: Path) -> bool:
    """Whether there is a router among the modules of a folder.

    Raises:
        SourceError: the file is damaged.
    """
    return bool(_routers(folder))


def route_taken(folder: Path, asked: str) -> str:
    """The route to follow: what is asked for, or the router's default; nothing without a router.

    Raises:
        SourceError: a file is damaged, or the router has no such route.
    """
    return next((_Router.read(each, asked).route for each in _routers(folder)), "")


def _routers(folder: Path) -> list[Path]:
    """The folders of its routers."""
    if not (folder / MODULES).exists():
        return []
    return [folder / each["path"] for each in _entries(folder / MODULES) if _is_router(each)]


def _followed(folder: Path, route: str) -> Iterator[Mapping[str, Any]]:
    """The entries, in the place of a router those of its route."""
    for entry in _entries(folder / MODULES):
        if _is_router(entry):
            found = _Router.read(folder / entry["path"], route).modules
            yield from ({"path": str(Path(entry["path"], at)), "type": found[at]} for at in found)
        else:
            yield entry


class _Router(NamedTuple):
    """One route of a router.

    Attributes:
        route: its name.
        modules: name of the folder -> class, in order.
    """

    route: str
    modules: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path, asked: str) -> "_Router":
        """Reads its file.

        Raises:
            SourceError: the file is damaged, or has no such route.
        """
        new, old = folder / ROUTES, folder / CONFIG
        file = old if old.exists() and not new.exists() else new
        content = read_json(file)
        routes, types = (_table(content, *each) for each in _TABLES)
        if routes is None or types is None:
            raise SourceError(
                f"{file}: expected structure, route -> modules, and types of the modules"
            )
        route = asked or (content.get("parameters") or {}).get("default_route")
        if route not in routes:
            raise SourceError(
                f"{file}: the model has the routes {', '.join(sorted(routes))}, of which a text "
                f"takes one; say which with --route (found {route!r})"
            )
        if others := [each for each in routes[route] if not is_name(each) or each not in types]:
            raise SourceError(f"{file}: expected the name of a module, found {others[0]!r}")
        return cls(route, {each: types[each] for each in routes[route]})


def _table(content: Mapping[str, Any], key: str, kind: type) -> dict[str, Any] | None:
    """An object of an object, if all of its values are of this type."""
    found = content.get(key)
    fits = isinstance(found, dict) and all(isinstance(each, kind) for each in found.values())
    return found if fits else None


def _is_router(entry: Mapping[str, Any]) -> bool:
    return _class(entry) in _ROUTERS


def _class(entry: Mapping[str, Any]) -> str:
    return str(entry.get("type")).rpartition(".")[2]


def _entries(file: Path) -> Sequence[Mapping[str, Any]]:
    """The entries, each with a path within the folder."""
    entries = read_any_json(file)
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise SourceError(f"{file}: expected a list of modules, each an object")
    for entry in entries:
        if not (entry.get("path") in _HERE or is_name(entry.get("path"))):
            raise SourceError(
                f"{file}: expected the name of a subfolder as path, found {entry.get('path')!r}"
            )
        if entry.get("kwargs") and (entry.get("type"), entry["kwargs"]) != (_OF_JINA, _TASK):
            raise SourceError(f"{file}: kwargs of a module are not supported: {entry['kwargs']}")
    return entries


def _named(folder: Path, entry: Mapping[str, Any]) -> Listed:
    if entry.get("type") == _OF_JINA and _is_of_jina(folder / entry["path"]):
        return Listed(_TRANSFORMER, folder / entry["path"])
    found = _TYPE.fullmatch(str(entry.get("type")))
    if found is None:
        raise SourceError(
            f"{folder / MODULES}: the module {entry.get('type')} is not supported: its code is not "
            "sentence-transformers'"
        )
    return Listed(found["name"], folder / entry["path"])


def _is_of_jina(folder: Path) -> bool:
    """Whether an encoder is Jina Embeddings 3; see `remote.jina_embeddings_v3`."""
    config = read_json(folder / CONFIG)
    return config.get("position_embedding_type") == "rotary" and "lora_adaptations" in config


def module_files(folder: Path) -> list[str]:
    """The files that `modules.json` leads to, relative to the folder, whether they exist or not.

    Empty where there is no such file, or no sense in it; none of them is outside of the folder.
    """
    return [f"{path}/{file}" for path in subfolders(folder) for file in (CONFIG, *WEIGHTS)]


def subfolders(folder: Path) -> list[str]:
    """The subfolders that `modules.json` leads to, those of every route of a router with them.

    Empty where there is no such file, or no sense in it.
    """
    try:
        entries: Any = read_any_json(folder / MODULES)
        paths = [entry["path"] for entry in entries]
        if any(map(_is_router, entries)):
            paths += read_json(folder / ROUTES)["types"]
    except (SourceError, TypeError, KeyError):
        return []
    return [path for path in paths if is_name(path) and re.fullmatch(r"[\w.-]+", path)]
