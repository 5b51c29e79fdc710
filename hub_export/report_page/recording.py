"""Finding out what comparing has not: sizes, operations and speed of what was written."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hub_export.litert.description import SERVED, model_file
from hub_export.litert.model import cores
from hub_export.models import litert_file
from hub_export.models.litert import LiteRtCopy
from hub_export.models.product import Product
from hub_export.models.served_litert import ServedCopy
from hub_export.models.session import Session
from hub_export.publish import manifest
from hub_export.publish.report import Report, versions
from hub_export.report_page import speed
from hub_export.report_page.facts import Copy, Facts
from hub_export.report_page.speed import Asking, Texts
from hub_export.settings import ENCODER, FILL_MASK, product_of
from hub_export.sources.tokenizer.files import unpacked
from hub_export.terminal import Progress, Step

_GRAPH, _WEIGHTS, _REST = "graph", "weights", "all else"
_KINDS = {"saved_model.pb": _GRAPH, "variables": _WEIGHTS}

Written = Sequence[tuple[Product | LiteRtCopy, Path]]


def facts(session: Session, written: Written, report: Report, progress: Progress) -> Facts:
    """All that a page shows.

    Args:
        session: what was exported.
        written: models and copies, and their folders.
        report: how they were verified.
        progress: told of every one; its steps are shown.
    """
    copies = list[Copy]()
    for made, folder in written:
        progress.say(f"measuring the {made.name}")
        copies += _copies(made, folder, session)
    return Facts(report, _steps(progress, session), copies, versions(), _processor(), cores())


def _steps(progress: Progress, session: Session) -> list[Step]:
    """The steps; a checkpoint is called by its name, wherever it lies on this machine."""
    place, name = str(session.settings.model), session.checkpoint.name
    return [each._replace(name=each.name.replace(place, name)) for each in progress.steps]


def _copies(made: Product | LiteRtCopy, folder: Path, session: Session) -> Iterator[Copy]:
    """A SavedModel, or a LiteRT copy in each precision."""
    if isinstance(made, Product):
        asking = speed.of_saved_model(folder, _texts(made, session))
        lengths = speed.lengths(made.longest or speed.LENGTHS[-1])
        files, operations = _files(folder), manifest.operations(folder)
        yield _copy(made, "SavedModel", files, operations, asking, lengths)
        return
    texts = _texts(made.of, session)
    for precision in made.precisions:
        served = isinstance(made, ServedCopy)
        file = folder / (SERVED if served else model_file(precision))
        if served:
            asking, lengths = speed.of_served(folder), [made.longest]
        else:
            asking = speed.of_copy(folder, precision, texts)
            lengths = speed.lengths(made.longest)
        files, operations = {file.name: file.stat().st_size}, litert_file.operations(file)
        yield _copy(made.of, f"{made.kind} {precision}", files, operations, asking, lengths)


def _copy(
    product: Product,
    form: str,
    files: Mapping[str, int],
    operations: Mapping[str, int],
    asking: Asking,
    lengths: Sequence[int],
) -> Copy:
    part = product.name.replace("_", " ")
    return Copy(part, form, files, operations, speed.measured(asking, lengths))


def _texts(product: Product, session: Session) -> Texts | None:
    """What a product is asked, if that is texts."""
    if product.name == ENCODER:
        return None
    masked = product.name == product_of(FILL_MASK)
    with unpacked(session.tokenizer):
        return Texts(session.tokenizer, (session.tokenization.mask or "") if masked else "")


def _files(folder: Path) -> dict[str, int]:
    """Bytes of the graph, the weights and the rest of a SavedModel."""
    found = dict.fromkeys((_WEIGHTS, _GRAPH, _REST), 0)
    for each in folder.rglob("*"):
        # A copy beside an encoder is told of by itself.
        if each.is_file() and each.name != SERVED:
            found[_KINDS.get(each.relative_to(folder).parts[0], _REST)] += each.stat().st_size
    return found


def _processor() -> str:
    """What the processor is called, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
