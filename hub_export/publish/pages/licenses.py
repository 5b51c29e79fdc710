"""Licences: what the hubs call them, and whether an export may be handed on under them."""

from collections.abc import Sequence

from hub_export.errors import ExportError
from hub_export.publish.pages.source_card import SourceCard

_OPEN = """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear
    bsl-1.0 c-uda cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0
    eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr lppl-1.3c mit
    mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 osl-3.0 pddl postgresql unlicense wtfpl zlib
"""
PERMITTED = frozenset(_OPEN.split())
"""Licences that let anybody hand on changed copies under the same licence, with their notices."""

_NO_DERIVATIVES = "-nd-"
_NONE = ("", "unknown", "other")
_SAY = "read it and, if it lets you hand the export on, name it: --license"

KAGGLE = {
    "agpl-3.0": "GNU Affero General Public License 3.0",
    "apache-2.0": "Apache 2.0",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-3.0": "Attribution 3.0 Unported (CC BY 3.0)",
    "cc-by-4.0": "Attribution 4.0 International (CC BY 4.0)",
    "cc-by-nc-4.0": "Attribution-NonCommercial 4.0 International (CC BY-NC 4.0)",
    "cc-by-nc-sa-4.0": "CC BY-NC-SA 4.0",
    "cc-by-sa-3.0": "CC BY-SA 3.0",
    "cc-by-sa-4.0": "CC BY-SA 4.0",
    "cc0-1.0": "CC0: Public Domain",
    "cdla-permissive-1.0": "Community Data License Agreement - Permissive - Version 1.0",
    "cdla-sharing-1.0": "Community Data License Agreement - Sharing - Version 1.0",
    "gfdl": "GNU Free Documentation License 1.3",
    "gpl-2.0": "GPL 2",
    "gpl-3.0": "GPL 3",
    "lgpl-3.0": "GNU Lesser General Public License 3.0",
    "mit": "MIT",
    "odc-by": "ODC Attribution License (ODC-By)",
    "pddl": "ODC Public Domain Dedication and Licence (PDDL)",
}
"""The hub's word -> Kaggle's (https://github.com/Kaggle/kaggle-api, docs/models_metadata.md)."""


def named(cards: Sequence[SourceCard | None], said: str = "") -> str:
    """The licence of an export; empty where nobody names one.

    Args:
        cards: of the source, and of the models that it adapts.
        said: what the user names: its own, or that of a model that it adapts.

    Raises:
        ExportError: the user names another one than the cards do.
    """
    stated, said = _stated(cards), said.lower()
    if said and not {said, *_NONE} & {*stated}:
        names = ", or ".join(dict.fromkeys(stated))
        raise ExportError(
            f"license: expected {names}, which the source's card names, found {said}; leave it out"
        )
    return (said if stated[0] in _NONE else "") or stated[0]


def check(cards: Sequence[SourceCard | None], said: str = "") -> str:
    """The licence under which an export may be handed on.

    Args:
        cards: of the source, and of the models that it adapts.
        said: what the user has read, and names.

    Raises:
        ExportError: nobody names that of the source, or of a model that it adapts; one forbids
            changed copies; or one has conditions that must be read.
    """
    found, said = named(cards, said), said.lower()
    stated = [found, *(each if each not in _NONE else said for each in _stated(cards)[1:])]
    for at, each in enumerate(stated):
        if each in _NONE:
            what = "the model that the source adapts" if at else "the source"
            why = "names no licence on its card" if cards and cards[at] else "has no card"
            raise ExportError(f"licence: {what} {why}; find out under which it stands: {_SAY}=...")
        if _NO_DERIVATIVES in f"{each}-":
            raise ExportError(f"licence: {each} forbids handing on changed copies: not pushed")
        if each not in PERMITTED and each != said:
            raise ExportError(f"licence: {each} has conditions of its own; {_SAY}={each}")
    return found


def _stated(cards: Sequence[SourceCard | None]) -> list[str]:
    """What cards name, an empty word where one names none; one at least."""
    return [card.license.lower() if card else "" for card in cards] or [""]


def on_kaggle(license: str) -> str:
    """What Kaggle calls a licence.

    Raises:
        ExportError: it has no name for it.
    """
    if license not in KAGGLE:
        raise ExportError(
            f"licence: Kaggle has no name for {license}; expected one of {', '.join(KAGGLE)}"
        )
    return KAGGLE[license]
