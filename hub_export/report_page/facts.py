"""What a page is made of. Whoever finds something out puts it here, and the page reads it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hub_export.publish.report import Report
from hub_export.terminal import Step


class Speed(NamedTuple):
    """How long an answer takes.

    Attributes:
        tokens: of each text, or row; special ones included.
        texts: asked together.
        seconds: until all of them are answered, the median of several times.
    """

    tokens: int
    texts: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Copy:
    """A model that was written.

    Attributes:
        part: which part of the export it is, such as `text embedding`.
        form: what it is, such as `SavedModel` or `LiteRT int8`.
        files: what is in its folder -> bytes.
        operations: how often it has each operation.
        speeds: how long its answers take.
    """

    part: str
    form: str
    files: Mapping[str, int]
    operations: Mapping[str, int]
    speeds: Sequence[Speed]


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that a page shows.

    Attributes:
        report: how the export was verified.
        steps: how long each step of it took.
        copies: what was written.
        versions: of the packages that took part.
        processor: what it was measured on.
        cores: of it that the process may use.
    """

    report: Report
    steps: Sequence[Step]
    copies: Sequence[Copy]
    versions: Mapping[str, str]
    processor: str
    cores: int
