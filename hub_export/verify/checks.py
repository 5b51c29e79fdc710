"""What comparing finds."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any


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
    """

    subject: str
    outcome: Outcome
    found: str
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
