"""What an export found out about itself."""

import dataclasses
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hub_export.errors import VerificationError
from hub_export.sources.checkpoint import Checkpoint
from hub_export.verify.checks import Check, Outcome

FILE = "verification.json"
_DISTRIBUTIONS = (
    "hub_export",
    "tensorflow",
    "tensorflow-text",
    "tokenizers",
    "transformers",
    "torch",
    "sentence-transformers",
    "numpy",
)


@dataclasses.dataclass(frozen=True)
class Report:
    """All checks of an export, and what it was made from.

    Attributes:
        source: name, revision, sha256s and notes of the checkpoint.
        settings: what the user asked for.
        notes: what a user of the models should know.
        checks: the comparisons.
        device: what computed the export's numbers.
    """

    source: Mapping[str, Any]
    settings: Mapping[str, Any]
    notes: Mapping[str, Any]
    checks: Sequence[Check]
    device: str = ""

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.outcome != Outcome.FAILED for check in self.checks)

    def table(self) -> str:
        """The checks as aligned text, a line each."""
        if not self.checks:
            return "not verified, as asked (verify=none)"
        width = max(len(check.subject) for check in self.checks)
        lines = (f"{c.subject:<{width}}  {c.outcome.value:<12}  {c.found}" for c in self.checks)
        return "\n".join(lines)

    def raise_if_failed(self) -> None:
        """Raises VerificationError with the whole table if any check failed."""
        if not self.passed:
            raise VerificationError(
                f"the export does not agree with {self.source['name']} and has been removed:\n"
                + self.table()
            )

    def write(self, assets: Path) -> None:
        """Writes `verification.json` into a SavedModel's `assets.extra`."""
        assets.mkdir(exist_ok=True)
        content = {**dataclasses.asdict(self), "versions": versions()}
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (assets / FILE).write_text(text + "\n", encoding="utf-8")


def source(checkpoint: Checkpoint) -> dict[str, Any]:
    """What tells a checkpoint from any other."""
    return {
        "name": checkpoint.name,
        "revision": checkpoint.revision,
        "model_type": checkpoint.config.get("model_type"),
        "sha256": dict(checkpoint.files),
        "notes": list(checkpoint.notes),
    }


def versions() -> dict[str, str]:
    """The versions of the packages that took part."""
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
