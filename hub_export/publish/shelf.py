"""A folder of exports, and what each of them is."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from hub_export import contents
from hub_export.contents import ASSETS, FormatError, NoContentsError
from hub_export.errors import SourceError
from hub_export.publish import report
from hub_export.settings import TASKS, product_of

DAMAGED, EARLIER, LATER, UNKNOWN = "damaged", "earlier format", "later format", "-"
_TASK_OF = {product_of(task): task for task in TASKS}
_MARKS = (report.FILE, contents.FILE)
_STATES = {NoContentsError: EARLIER, FormatError: LATER}


@dataclasses.dataclass(frozen=True)
class Item:
    """An export; what cannot be read of it is `-`.

    Attributes:
        name: what its folder is called.
        part: which part of an export it is.
        version: the version folder.
        source: the checkpoint, and its revision.
        size: in bytes, of all its files.
        verified: yes, partly, no; or that it is damaged, or of an earlier or later format.
        task: what it answers, if it is the model of a task.
    """

    name: str
    part: str
    version: int
    source: str
    size: int
    verified: str
    task: str


def items(folder: Path) -> list[Item]:
    """The exports in a folder, by name and version. Their sizes are checked, not their content.

    Raises:
        SourceError: there is no such folder.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: expected a folder of exports, found none")
    found = [each for each in folder.glob("[!.]*/*") if each.name.isdecimal() and _is_export(each)]
    return [_item(each) for each in sorted(found, key=lambda e: (e.parent.name, int(e.name)))]


def table(found: Sequence[Item]) -> str:
    """Exports as aligned text, a line each, below the names of the columns."""
    rows = [[*_row(each)] for each in found]
    rows.insert(0, [field.name for field in dataclasses.fields(Item)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(item: Item) -> Iterator[str]:
    for name, value in dataclasses.asdict(item).items():
        yield f"{value / 1e6:.1f} MB" if name == "size" else str(value)


def _is_export(folder: Path) -> bool:
    return any((place / mark).is_file() for place in (folder, folder / ASSETS) for mark in _MARKS)


def _item(folder: Path) -> Item:
    name, version = folder.parent.name, int(folder.name)
    size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
    try:
        found = contents.read(folder)
        found.check(folder, deep=False)
        stated = report.read(found.assets)
    except SourceError as error:
        state = _STATES.get(type(error), DAMAGED)
        return Item(name, UNKNOWN, version, UNKNOWN, size, state, UNKNOWN)
    source = f"{stated.name}@{stated.revision}" if stated.revision else stated.name
    task = _TASK_OF.get(found.of, UNKNOWN)
    return Item(name, found.part, version, source, size, stated.verified.value, task)
