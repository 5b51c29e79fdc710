"""What an export found out about itself."""

import dataclasses
import enum
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from encoders import Dimensions
from hub_export.errors import SourceError, VerificationError
from hub_export.sources.checkpoint import Checkpoint
from hub_export.verify.checks import Check, Outcome, table

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
        return table(self.checks) or "not verified, as asked (verify=none)"

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
        for check in content["checks"]:
            del check["details"]
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (assets / FILE).write_text(text + "\n", encoding="utf-8")


def source(checkpoint: Checkpoint, size: Dimensions) -> dict[str, Any]:
    """What tells a checkpoint from any other, and the sizes of its encoder."""
    return {
        "name": checkpoint.name,
        "revision": checkpoint.revision,
        "model_type": checkpoint.config.get("model_type"),
        "sha256": dict(checkpoint.files),
        "notes": list(checkpoint.notes),
        "size": dataclasses.asdict(size),
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


class Verified(str, enum.Enum):
    """How much of an export was compared with its source."""

    YES = "yes"
    PARTLY = "partly"
    """A library of the source was not installed: some comparisons were left out."""
    NO = "no"
    """It was asked not to be; or a comparison found differences."""


@dataclasses.dataclass(frozen=True)
class Stated:
    """What the report of a finished export states, as far as others ask.

    Attributes:
        name: of the source.
        revision: of the source, where it has one.
        verified: how much was compared.
        device: what computed the export's numbers.
        versions: package -> its version then.
        compute_dtype: what weights are stored and multiplied as.
        tolerance: the one that was asked for, if any.
        report: all of it.
    """

    name: str
    revision: str | None
    verified: Verified
    device: str
    versions: Mapping[str, str]
    compute_dtype: str
    tolerance: float | None
    report: Report


def read(assets: Path) -> Stated:
    """Reads `verification.json`.

    Raises:
        SourceError: there is none, or it is damaged.
    """
    file = assets / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        source, settings = content["source"], content["settings"]
        checks = [
            Check(**{**each, "outcome": Outcome(each["outcome"])}) for each in content["checks"]
        ]
        return Stated(
            str(source["name"]),
            source["revision"],
            _verified([each.outcome for each in checks]),
            content["device"],
            content["versions"],
            settings["compute_dtype"],
            settings["tolerance"],
            Report(source, settings, content["notes"], checks, content["device"]),
        )
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise SourceError(
            f"{file}: missing or damaged ({error!r:.200}); copy the export again, or export the "
            "model again"
        ) from error


def _verified(outcomes: Sequence[Outcome]) -> Verified:
    if not outcomes or Outcome.FAILED in outcomes:
        return Verified.NO
    return Verified.PARTLY if Outcome.NOT_COMPARED in outcomes else Verified.YES
