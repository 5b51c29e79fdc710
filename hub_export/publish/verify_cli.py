"""The command `hub_export verify`."""

import dataclasses
from pathlib import Path

from hub_export.command import Command
from hub_export.errors import ExportError
from hub_export.options import option
from hub_export.terminal import Progress, show, silenced

USAGE = """Proves an export again: after an upgrade of TensorFlow, or on another machine.

  hub_export verify exported/all_minilm_l6_v2_text_embedding/1

Reads all its files and compares their checksums; then asks the model what it was asked when it was
verified against its source, and compares the answers with those that it carries
(assets.extra/fingerprints.json): tokens must be the same, numbers as close as they had to be to the
source's. That takes seconds, and no source.

  hub_export verify PATH --checkpoint=FOLDER

compares it with its source instead, and with it the parts of the same export that lie beside it, as
at the export: tokens, weights, and numbers by torch. The source's files must be those that were
exported, by their checksums. Exit code 0 means that nothing differs.
"""


@dataclasses.dataclass(frozen=True)
class VerifySettings:
    """What verifying again is asked for."""

    path: Path = option("Folder of one version of an exported SavedModel: <name>/<version>.")
    checkpoint: str | None = option(
        "What it was exported from, a folder or a model id, to compare with. Default: nothing; the "
        "export is compared with what it answered.",
        None,
    )
    base_model: str | None = option(
        "What that adapts, if it is an adapter. Default: what the adapter says.", None
    )
    quiet: bool = option("Show nothing but errors.", False)

    def check(self) -> None:
        """Raises ExportError for values that lead nowhere."""
        if self.base_model is not None and self.checkpoint is None:
            raise ExportError("base_model: only for an adapter; say checkpoint, too")


def _verify(settings: VerifySettings) -> None:
    """Compares, and prints the report."""
    settings.check()
    with silenced():
        from hub_export.publish import proving  # noqa: PLC0415
        from hub_export.verify.checks import table  # noqa: PLC0415

    path, source, progress = settings.path, settings.checkpoint, Progress(settings.quiet)
    if source is None:
        checks = proving.as_recorded(path, progress)
    else:
        checks = proving.with_source(path, source, settings.base_model, progress)
    if not settings.quiet:
        show(table(checks))


main = Command(
    "hub_export verify",
    USAGE,
    VerifySettings,
    _verify,
    interrupted="run it again",
    arguments="path",
)
