"""The command `hub_export publish`."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hub_export.command import Command
from hub_export.errors import ExportError
from hub_export.options import option
from hub_export.terminal import Progress, silenced

USAGE = """Hands an export on: as an archive, with a page, to a hub.

  hub_export publish --archive=all_minilm.tar.gz exported/all_minilm_l6_v2_text_embedding/1

packs it as one file that TensorFlow Hub loads from any web server:
hub.load("https://example.com/all_minilm.tar.gz"), or hub.KerasLayer of it.

  hub_export publish --page=pages exported/all_minilm_l6_v2_text_embedding/1

writes pages on the export and its other parts: what it is, how to use it, how it was verified, what
its source's card tells. pages/tfhub.md has the form of tfhub.dev, pages/huggingface/README.md that
of the Hugging Face hub; pages/kaggle/ has Kaggle's model-metadata.json, and
model-instance-metadata.json of each part.

  hub_export publish --push=hf://user/model --dry_run exported/all_minilm_l6_v2_text_embedding/1
  hub_export publish --push=kaggle://user/model/tensorFlow2/variation exported/...

shows what would go where; without --dry_run, it goes there: to the Hugging Face hub all parts of
the export and their page, to Kaggle the one that is named. The token is that of `hf auth login` or
of HF_TOKEN; for Kaggle, KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY.

The export is compared with its list of files first; a damaged one is refused, as is one that was
not verified, and for a hub one whose licence is not known. What was interrupted is taken up by the
same command again.
"""


@dataclasses.dataclass(frozen=True)
class PublishSettings:
    """What publishing is asked for."""

    path: Path = option("Folder of one version of an export: <name>/<version>.")
    archive: Path | None = option("File to write, .tar.gz or .tgz: a SavedModel.", None)
    page: Path | None = option("Folder to write pages into; made if need be.", None)
    push: str = option(
        "Where to push to: hf://user/model, or kaggle://user/model/framework/variation, of which "
        "framework is tensorFlow2, or tfLite for LiteRT copies.",
        "",
    )
    dry_run: bool = option("Show what would be pushed, and ask no hub.", False)
    private: bool = option("Make a model that is new on a hub one that nobody else sees.", True)
    parts: Sequence[str] = option(
        "Which parts of the export stand on its page and go to the Hugging Face hub, such as "
        "encoder,preprocessor. Default: all that lie beside it, copies for LiteRT, too.",
        (),
    )
    license: str = option(
        "Its licence in the Hugging Face hub's words, such as apache-2.0, where the source's card "
        "names none, or one with conditions of its own that you have read.",
        "",
    )
    speed: bool = option("Measure how fast its parts are here, for its page.", True)
    base_model: str = option(
        "What its source is called on the Hugging Face hub, where it was exported from a folder.",
        "",
    )
    owner: str = option("Who publishes it, for pages that are not pushed.", "user")
    unverified: bool = option("Archive an export that was not compared with its source.", False)
    overwrite: bool = option("Replace an archive or pages that exist.", False)
    quiet: bool = option("Show nothing but errors.", False)


def _publish(settings: PublishSettings) -> None:
    """Does what is asked for, one thing after the other."""
    if not (settings.archive or settings.page or settings.push):
        raise ExportError("say what to make of it: --archive, --page or --push")
    progress = Progress(settings.quiet)
    if settings.archive:
        _archive(settings, settings.archive, progress)
    if settings.page:
        _page(settings, settings.page, progress)
    if settings.push:
        _push(settings, progress)


def _archive(settings: PublishSettings, file: Path, progress: Progress) -> None:
    """Writes the archive, and says what it is."""
    with silenced():
        from hub_export.publish import archive  # noqa: PLC0415

    progress.say(f"packing {settings.path}")
    left = archive.write(
        settings.path, file, overwrite=settings.overwrite, unverified=settings.unverified
    )
    if left:
        progress.say(f"left out, not of the export: {', '.join(left)}")
    progress.say(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


def _page(settings: PublishSettings, folder: Path, progress: Progress) -> None:
    """Writes the pages, and says which."""
    with silenced():
        from hub_export.publish.pages import facts, pages, places, speed  # noqa: PLC0415

    known = facts.gather(settings.path, settings.parts, settings.license, settings.base_model)
    facts.check(known.parts, progress)
    if settings.speed:
        progress.say("measuring speed")
        with silenced():  # the interpreter of LiteRT speaks
            known = speed.measured(known)
    written = pages.all_pages(known, settings.owner, places.slug(known.name))
    for file in pages.write(written, folder, settings.overwrite):
        progress.say(str(file))


def _push(settings: PublishSettings, progress: Progress) -> None:
    """Pushes, or shows what would be pushed."""
    with silenced():
        from hub_export.publish import push  # noqa: PLC0415

    options = push.Options(
        target=settings.push,
        parts=settings.parts,
        license=settings.license,
        base_model=settings.base_model,
        private=settings.private,
        dry_run=settings.dry_run,
    )
    with silenced() if settings.quiet else contextlib.nullcontext():  # the bars of the libraries
        push.run(settings.path, options, progress)


main = Command(
    "hub_export publish",
    USAGE,
    PublishSettings,
    _publish,
    interrupted="no file was written in part; the same command again goes on with what it pushed",
    arguments="path",
)
