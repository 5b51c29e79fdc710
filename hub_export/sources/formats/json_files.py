"""Small files of a checkpoint, and the sums that tell them from others."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hub_export.errors import SourceError


def read_json(path: Path) -> Mapping[str, Any]:
    """Reads a JSON object.

    Raises:
        SourceError: the file is missing, or no JSON, or holds anything else.
    """
    content = read_any_json(path)
    if not isinstance(content, dict):
        raise SourceError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def read_any_json(path: Path) -> object:
    """Reads JSON of any kind.

    Raises:
        SourceError: the file is missing, or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file; a checkpoint needs one") from error
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: cannot be read as JSON ({error})") from error


def is_name(entry: object) -> bool:
    """Whether an entry of an index is the name of a file beside it."""
    return isinstance(entry, str) and Path(entry).name == entry and entry not in ("", "..")


def sums(paths: Iterable[Path], folder: Path | None = None) -> dict[str, str]:
    """Name (with a folder: place in it) -> sha256, of those that exist.

    Raises:
        SourceError: a file cannot be read.
    """
    return {
        str(path.relative_to(folder or path.parent)): _sha256(path)
        for path in paths
        if path.is_file()
    }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()
