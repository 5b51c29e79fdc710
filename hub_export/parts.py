"""Which models belong together: those of one export name each other, by what they contain."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hub_export.errors import SourceError, TargetError

FILE = Path("assets.extra", "parts.json")
# It holds checksums of the graph and of the index of the variables, which has theirs.
_FINGERPRINT = "fingerprint.pb"


def write(models: Sequence[Path]) -> None:
    """Writes into each model of an export which ones all of them are.

    Args:
        models: folders of one version each, `<name>/<version>`.

    Raises:
        TargetError: there is no room for it.
    """
    text = json.dumps({each.parent.name: _sum(each) for each in models}, indent=2)
    for each in models:
        try:
            (each / FILE).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise TargetError(f"{each / FILE}: cannot be written ({error.strerror})") from error


def siblings(model: Path) -> list[Path]:
    """The models of the same export that lie beside a model, and itself, in their order.

    Args:
        model: folder of one version, `<name>/<version>`; one without the file stands alone.

    Raises:
        SourceError: the file is damaged.
    """
    beside = {
        model.parent.parent / name / model.name: wanted for name, wanted in _read(model).items()
    }
    return [each for each, wanted in beside.items() if _sum(each) == wanted] or [model]


def strangers(models: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """A model, and one under the name of another part of its export that another export wrote.

    An export that is killed between two of its last renames leaves such models, and so does one
    that writes some of its parts anew.

    Args:
        models: folders of one version each; one without the file belongs to any.

    Raises:
        SourceError: a file is damaged.
    """
    by_name = {(each.parent.name, each.name): each for each in models}
    for model in models:
        for name, wanted in _read(model).items():
            other = by_name.get((name, model.name))
            if other is not None and _sum(other) != wanted:
                yield model, other


def _sum(model: Path) -> str:
    file = model / _FINGERPRINT
    return hashlib.sha256(file.read_bytes() if file.exists() else b"").hexdigest()


def _read(model: Path) -> Mapping[str, str]:
    file = model / FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except (OSError, ValueError) as error:
        raise SourceError(f"{file}: cannot be read ({error}); export the model again") from error
    if not isinstance(found, dict):
        raise SourceError(f"{file}: expected an object, found {found!r:.80}; export it again")
    return found
