"""Small files of a checkpoint, and the sums that tell them from others."""

import codecs
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hub_export.checksums import sha256
from hub_export.errors import SourceError

_SURROGATE, _NEAR = re.compile(rb"\\u[dD][89a-fA-F]"), 20
"""What may be half of a character; two of them, one behind the other, are a whole one."""


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
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file; a checkpoint needs one") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        found = json.loads(content.decode("utf-8-sig"))
        if _SURROGATE.search(content):
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except UnicodeEncodeError as error:
        near = error.object[max(error.start - _NEAR, 0) : error.end + _NEAR]
        raise SourceError(
            f"{path}: half of a character (a lone surrogate) in {near!a}, which stands for no "
            "text; mend it by hand, or download it again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"{path}: cannot be read as JSON ({error}); {_remedy(content, error)}"
        ) from error


def has_mark(path: Path) -> bool:
    """Whether a file begins with a byte order mark, which other readers of JSON refuse."""
    with path.open("rb") as file:
        return file.read(3) == codecs.BOM_UTF8


def is_name(entry: object) -> bool:
    """Whether an entry of an index is the name of a file beside it."""
    return isinstance(entry, str) and Path(entry).name == entry and entry not in ("", "..")


def sums(paths: Iterable[Path], folder: Path | None = None) -> dict[str, str]:
    """Name (with a folder: place in it) -> sha256, of those that exist.

    Raises:
        SourceError: a file cannot be read.
    """
    found = {}
    for path in filter(Path.is_file, paths):
        try:
            found[str(path.relative_to(folder or path.parent))] = sha256(path)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    return found


def _remedy(content: bytes, error: Exception) -> str:
    """What to do with a file that is no JSON."""
    if not content.strip():
        return "it is empty: download it again"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:4]:
        return "it is UTF-16 or UTF-32: save it as UTF-8"
    if content.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: get the file itself by git lfs pull"
    if isinstance(error, json.JSONDecodeError) and error.pos >= len(error.doc.rstrip()):
        return f"it ends too early, after {len(content)} bytes: download it again"
    return "mend it by hand, or download it again"
