"""What a source says of itself for people: its card, its licence, its notices.

They go into every export as they are, so that its page can tell what they tell, and because most
licences ask for it.
"""

import re
from collections.abc import Mapping
from pathlib import Path

CARD = "README.md"
# As the Hugging Face hub downloads them.
PATTERNS = (CARD, "LICEN[CS]E*", "NOTICE*", "USE_POLICY*")
_NAMES = re.compile(rf"{CARD}|(LICEN[CS]E|NOTICE|USE_POLICY)[\w.-]{{,30}}", re.IGNORECASE)
_LARGEST = 4 << 20
"""Cards with the scores of hundreds of benchmarks have half a megabyte."""


def find(folder: Path, base: Mapping[str, Path] | None = None) -> dict[str, Path]:
    """Name -> file, of a checkpoint's documents.

    A link that leads out of the checkpoint is passed over: it would publish a file of the machine.

    Args:
        folder: where the checkpoint's files are; a file by itself has none.
        base: those of the model that it adapts, which get `base/` in front of their names.
    """
    files = sorted(each for each in folder.glob("*") if _NAMES.fullmatch(each.name))
    # Of several spellings of the card the standard one is the first in order, and stands.
    own = {_name(each): each for each in reversed(files) if _is_document(each, folder)}
    return own | {f"base/{name}": file for name, file in (base or {}).items()}


def _name(file: Path) -> str:
    """As it is, but a card's as it is read."""
    return CARD if file.name.upper() == CARD.upper() else file.name


def _is_document(file: Path, folder: Path) -> bool:
    real = file.resolve()
    # In the cache of the hub, a snapshot's files are links to its blobs.
    homes = (folder.resolve(), folder.resolve().parent.parent / "blobs")
    inside = any(home in real.parents for home in homes)
    return inside and real.is_file() and real.stat().st_size <= _LARGEST
