"""The command `hub_export list`."""

import dataclasses
import json
from pathlib import Path

from hub_export.command import Command
from hub_export.options import option
from hub_export.terminal import show, silenced

USAGE = """Lists the exports in a folder: name, part, version, source, size, verified or not, task.

  hub_export list exported

Verified is yes, no, or partly, where a library of the source was not installed. It is "damaged"
where files are missing or not as long as they were written, "later format" where a later
hub_export wrote them, and "earlier format" where they were written before exports listed their
files (contents.json): such a one cannot be verified, export it again. Files are not read for that;
hub_export verify reads them.
"""
_TABLE, _JSON = "table", "json"


@dataclasses.dataclass(frozen=True)
class ListSettings:
    """What a list is asked for."""

    folder: Path = option("Folder of exports: <folder>/<name>/<version>.", Path("exported"))
    format: str = option(
        "table, or json: a list of objects, sizes in bytes.", _TABLE, choices=(_TABLE, _JSON)
    )


def _list(settings: ListSettings) -> None:
    """Prints the list."""
    with silenced():
        from hub_export.publish import shelf  # noqa: PLC0415

    found = shelf.items(settings.folder)
    if settings.format == _JSON:
        show(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
    else:
        show(shelf.table(found) if found else f"{settings.folder}: no exports")


main = Command(
    "hub_export list",
    USAGE,
    ListSettings,
    _list,
    interrupted="run it again",
    arguments="folder",
)
