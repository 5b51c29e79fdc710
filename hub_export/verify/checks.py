"""What comparing finds."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

from hub_export.verify.details import Details


class Outcome(str, enum.Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "FAILED"
    DIFFERS = "differs"
    """Not from the source: from another reading of it."""
    NOT_COMPARED = "not compared"


@dataclasses.dataclass(frozen=True)
class Check:
    """One comparison of an export with its source.

    Attributes:
        subject: what was compared.
        outcome: how it ended.
        found: the result in words.
        figures: the same in numbers.
        details: what figures on a page show of it, if anything.
    """

    subject: str
    outcome: Outcome
    found: str
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    details: Details | None = None


def table(checks: Sequence[Check]) -> str:
    """Checks as aligned text, a line each."""
    width = max((len(each.subject) for each in checks), default=0)
    lines = (f"{c.subject:<{width}}  {c.outcome.value:<12}  {c.found}" for c in checks)
    return "\n".join(lines)
