"""A check that counts differences."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hub_export.verify.checks import Check, Outcome

SHOWN, NEAR = 3, 8
"""How many differences a report quotes, and how many tokens of each."""
_CHUNK = 10_000


def counted(
    subject: str, compared: Sequence[Any], differences: Iterable[str], tied: bool = False
) -> Check:
    """The check of a subject, which fails if something differs, unless all of it are ties."""
    found = list(differences)
    figures = {"compared": len(compared), "differences": len(found), "first": found[:SHOWN]}
    words = f"{len(found)} differences in {len(compared):,}"
    if found:
        words += f"{', all of them ties' if tied else ''}, the first: {found[0]}"
    return Check(subject, Outcome.PASSED if tied or not found else Outcome.FAILED, words, figures)


def chunks(texts: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """A few thousand at a time."""
    return (texts[begin : begin + _CHUNK] for begin in range(0, len(texts), _CHUNK))
