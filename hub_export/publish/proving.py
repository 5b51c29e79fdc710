"""Proving a finished export again: by what it answered, or by its source."""

from collections.abc import Sequence
from pathlib import Path

from hub_export import contents, parts
from hub_export.contents import Contents
from hub_export.errors import SourceError, VerificationError
from hub_export.publish import report
from hub_export.publish.report import Stated
from hub_export.terminal import Progress
from hub_export.verify import again, fingerprints, products
from hub_export.verify.again import Made
from hub_export.verify.checks import Check, Outcome, table
from hub_export.verify.closeness import closeness


def as_recorded(path: Path, progress: Progress) -> Sequence[Check]:
    """Asks an export what it was asked when it was verified.

    Raises:
        SourceError: it is damaged, or carries no answers, or cannot be asked.
        VerificationError: it answers otherwise.
    """
    found, stated = _read(path, progress)
    if fingerprints.FILE.as_posix() not in found.files:
        raise SourceError(
            f"{path}: expected {fingerprints.FILE}, found none: only a SavedModel that was "
            "verified when it was exported carries it; name its source (checkpoint), or export it "
            "again with verify=auto or full"
        )
    now = report.versions()["tensorflow"]
    progress.say(
        f"recorded with TensorFlow {stated.versions['tensorflow']} on {stated.device}; comparing "
        f"with TensorFlow {now} on {products.device()}"
    )
    with products.full_float32():
        close = closeness(stated.compute_dtype, stated.tolerance)
        checks = fingerprints.compare(path, close)
    return _passed(checks, f"{path} does not answer as it did when it was verified")


def with_source(
    path: Path, checkpoint: str, base_model: str | None, progress: Progress
) -> Sequence[Check]:
    """Compares an export, and the parts of it that lie beside it, with their source.

    Args:
        path: folder of one version of one part.
        checkpoint: the source, in the words of an export's `model`.
        base_model: what it adapts, if it is an adapter.
        progress: told of every sample.

    Raises:
        SourceError: a part is damaged, or the source is not what it was exported from.
        ExportError: a library that it is compared by, such as torch, is not installed.
        VerificationError: they differ.
    """
    path = path.absolute()
    found, stated = _read(path, progress)
    beside = [each for each in parts.siblings(path) if each != path]
    places = {_read(each, progress)[0].part: each for each in beside}
    made = Made(stated.report.source.get("sha256", {}), stated.report.settings)
    places[found.part] = path
    checks = again.compare(checkpoint, base_model, made, places, progress)
    return _passed(checks, f"{path.parent.parent} does not agree with {checkpoint}")


def _read(path: Path, progress: Progress) -> tuple[Contents, Stated]:
    """What an export consists of, every file whole, and what its report states."""
    found = contents.read(path)
    progress.say(f"reading the files of {path}")
    found.check(path)
    return found, report.read(found.assets)


def _passed(checks: Sequence[Check], problem: str) -> Sequence[Check]:
    """Raises VerificationError with the whole table if any failed."""
    if any(each.outcome == Outcome.FAILED for each in checks):
        raise VerificationError(f"{problem}:\n{table(checks)}")
    return checks
