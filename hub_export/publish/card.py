"""What lies beside a model for its users: the report, the source's documents, a page to read."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hub_export.contents import ASSETS
from hub_export.errors import TargetError
from hub_export.litert.description import SERVED, model_file
from hub_export.models import mediapipe, served_litert
from hub_export.models.litert import LiteRtCopy
from hub_export.models.mediapipe import MediaPipeCopy
from hub_export.models.product import Product
from hub_export.publish import manifest
from hub_export.publish.pages.rendering import render
from hub_export.publish.report import Report
from hub_export.settings import ENCODER

FILE, SOURCE = "README.md", "source"
_MARKS = {"_litert": " (LiteRT)", "_mediapipe": " (MediaPipe)"}


def describe(product: Product, path: Path, report: Report, documents: Mapping[str, Path]) -> None:
    """Writes `assets.extra/` of a SavedModel: report, requirements, documents and `README.md`.

    Raises:
        TargetError: there is no room for them.
    """
    with _explained(path / ASSETS):
        (path / ASSETS).mkdir(exist_ok=True)
        manifest.write(path, path / ASSETS)
    page = render(
        "card",
        title=title(product.name),
        part=product.name,
        usage=product.usage,
        report=report,
        served=product.name == ENCODER and report.notes.get(ENCODER + served_litert.SUFFIX),
        served_file=SERVED,
        custom_ops=manifest.custom_ops(path),
    )
    _write(path / ASSETS, page, report, documents)


def describe_copy(
    copy: LiteRtCopy, path: Path, report: Report, documents: Mapping[str, Path]
) -> None:
    """Writes report, documents and `README.md` into a LiteRT copy's folder.

    Raises:
        TargetError: there is no room for them.
    """
    place, notes = f"{copy.folder}/{report.settings['version']}", report.notes[copy.name]
    is_mediapipe = isinstance(copy, MediaPipeCopy)
    page = render(
        "copy",
        title=title(copy.name),
        of=copy.of.name.replace("_", " "),
        kind="Model" if copy.of.name == ENCODER else "TextModel",
        place=place,
        first=f"{place}/{model_file(notes['precisions'][0])}",
        longest=notes["longest"],
        mediapipe_task=mediapipe.TASKS[copy.of.name] if is_mediapipe else "",
        files=[(file.name, file.stat().st_size) for file in sorted(path.glob("*.tflite"))],
        report=report,
    )
    _write(path, page, report, documents)


def title(part: str) -> str:
    """What a part is called on a page.

    >>> title("text_embedding_litert")
    'Text embedding (LiteRT)'
    """
    for mark, words in _MARKS.items():
        part = part.replace(mark, words)
    return part[:1].upper() + part[1:].replace("_", " ")


def _write(folder: Path, page: str, report: Report, documents: Mapping[str, Path]) -> None:
    """Writes report and page, and copies the source's documents."""
    with _explained(folder):
        report.write(folder)
        (folder / FILE).write_text(page, encoding="utf-8")
        for name, file in documents.items():
            (folder / SOURCE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / SOURCE / name)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TargetError(f"{folder}: cannot be written ({error.strerror})") from error
