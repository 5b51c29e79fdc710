"""The command `hub_export publish`."""

import dataclasses
from pathlib import Path

from hub_export.command import Command
from hub_export.settings import option
from hub_export.terminal import Progress, silenced

USAGE = """Packs an export for others, as one file that TensorFlow Hub loads from any web server.

  hub_export publish --archive=all_minilm.tar.gz exported/all_minilm_l6_v2_text_embedding/1

Where a web server gives that file, Python takes the model by its address:

  hub.load("https://example.com/all_minilm.tar.gz")
  hub.KerasLayer("https://example.com/all_minilm.tar.gz")

The export is compared with its list of files first; a damaged one is refused, as is one that was
not verified. The same export gives the same bytes. The archive gets its name when it is complete.
"""


@dataclasses.dataclass(frozen=True)
class PublishSettings:
    """What publishing is asked for."""

    path: Path = option("Folder of one version of an exported SavedModel: <name>/<version>.")
    archive: Path = option("File to write, .tar.gz or .tgz.")
    unverified: bool = option("Take an export that was not compared with its source.", False)
    overwrite: bool = option("Replace an archive that exists.", False)
    quiet: bool = option("Show nothing but errors.", False)


def _publish(settings: PublishSettings) -> None:
    """Writes the archive, and says what it is."""
    with silenced():
        from hub_export.publish import archive  # noqa: PLC0415

    progress = Progress(settings.quiet)
    progress.say(f"packing {settings.path}")
    left = archive.write(
        settings.path,
        settings.archive,
        overwrite=settings.overwrite,
        unverified=settings.unverified,
    )
    if left:
        progress.say(f"left out, not of the export: {', '.join(left)}")
    progress.say(f"{settings.archive}: {settings.archive.stat().st_size / 1e6:.1f} MB")


main = Command(
    "hub_export publish",
    USAGE,
    PublishSettings,
    _publish,
    interrupted="nothing was written",
    arguments="path",
)
