"""The command `hub_export verify`."""

import dataclasses
from pathlib import Path

from hub_export.command import Command
from hub_export.errors import SourceError, VerificationError
from hub_export.settings import option
from hub_export.terminal import Progress, silenced

USAGE = """Proves an export again: after an upgrade of TensorFlow, or on another machine.

  hub_export verify exported/all_minilm_l6_v2_text_embedding/1

Reads all its files and compares their checksums; then asks the model what it was asked when it was
verified against its source, and compares the answers with those that it carries
(assets.extra/fingerprints.json): tokens must be the same, numbers as close as they had to be to the
source's. That takes seconds, and no source. Exit code 0 means that nothing differs.
"""


@dataclasses.dataclass(frozen=True)
class VerifySettings:
    """What verifying again is asked for."""

    path: Path = option("Folder of one version of an exported SavedModel: <name>/<version>.")
    quiet: bool = option("Show nothing but errors.", False)


def _verify(settings: VerifySettings) -> None:
    """Compares, and prints the report."""
    with silenced():
        from hub_export import contents  # noqa: PLC0415
        from hub_export.publish import report  # noqa: PLC0415
        from hub_export.verify import fingerprints, products  # noqa: PLC0415
        from hub_export.verify.checks import Outcome, table  # noqa: PLC0415
        from hub_export.verify.closeness import closeness  # noqa: PLC0415

    path, progress = settings.path, Progress(settings.quiet)
    found = contents.read(path)
    progress.say(f"reading the files of {path}")
    found.check(path)
    stated = report.read(found.assets)
    if fingerprints.FILE.as_posix() not in found.files:
        raise SourceError(
            f"{path}: expected {fingerprints.FILE}, found none: only a SavedModel that was "
            "verified when it was exported carries it; export it again with verify=auto or full"
        )
    now = report.versions()["tensorflow"]
    progress.say(
        f"recorded with TensorFlow {stated.versions['tensorflow']} on {stated.device}; comparing "
        f"with TensorFlow {now} on {products.device()}"
    )
    with products.full_float32():
        close = closeness(stated.compute_dtype, stated.tolerance)
        checks = fingerprints.compare(path, close)
    if any(each.outcome == Outcome.FAILED for each in checks):
        raise VerificationError(
            f"{path} does not answer as it did when it was verified:\n{table(checks)}"
        )
    if not settings.quiet:
        print(table(checks))


main = Command(
    "hub_export verify",
    USAGE,
    VerifySettings,
    _verify,
    interrupted="run it again",
    arguments="path",
)
