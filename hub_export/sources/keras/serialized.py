"""Objects as Keras writes them into JSON: the name of a class, and its options."""

from pathlib import Path

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import read_json
from hub_export.sources.formats.options import Options

_CLASS, _CONFIG = "class_name", "config"


def class_name(file: Path) -> str:
    """The name of the class; it is compared with known ones, and never imported.

    Raises:
        SourceError: the file is missing or damaged, or names none.
    """
    name = read_json(file).get(_CLASS)
    if not isinstance(name, str):
        raise SourceError(f"{file}: {_CLASS}: expected the name of a class, found {name!r:.80}")
    return name


def options(file: Path) -> Options:
    """The options of the class.

    Raises:
        SourceError: the file is missing or damaged, or has none.
    """
    found = read_json(file).get(_CONFIG)
    if not isinstance(found, dict):
        raise SourceError(f"{file}: {_CONFIG}: expected an object of options, found {found!r:.80}")
    return Options(file, found)
