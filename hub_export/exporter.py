"""The story of an export: read, build, save, verify, describe."""

import dataclasses
import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub_export import contents, parts, report_page
from hub_export.errors import ExportError
from hub_export.models import litert, mediapipe, served_litert
from hub_export.models.litert import LiteRtCopy
from hub_export.models.product import Product
from hub_export.models.products import products_of
from hub_export.models.served_litert import ServedCopy
from hub_export.models.session import Session
from hub_export.options import recorded, taking
from hub_export.publish import card
from hub_export.publish.report import Report, source
from hub_export.publish.staging import Staging
from hub_export.report_page import recording
from hub_export.report_page.recording import Written
from hub_export.settings import FULL, NONE, PREPROCESSOR, TRAINED, Settings
from hub_export.sources import find
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats import torch_files
from hub_export.terminal import Progress
from hub_export.verify import products as verification

REPORT = "report"


@dataclasses.dataclass(frozen=True)
class Export:
    """What an export wrote.

    Attributes:
        paths: part (`encoder`, `preprocessor`, `text_embedding`; a task's name with underscores,
            such as `text_classification`) -> the folder of its SavedModel; `encoder_litert`, ...,
            `text_embedding_mediapipe`, ... -> that of its copy; `report` -> the file of its page.
        report: how it was verified.
    """

    paths: dict[str, Path]
    report: Report


@contextmanager
def _old_left_alone() -> Iterator[None]:
    """Lets garbage collection pass over what was there before: libraries have a million objects."""
    if gc.get_freeze_count():  # the program has a mind of its own about it
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@_old_left_alone()
def run(settings: Settings) -> Export:
    """Exports a checkpoint as verified SavedModels.

    Returns:
        Paths and report. The same report stands in each SavedModel's
        `assets.extra/verification.json`.

    Raises:
        ExportError: a SourceError, TargetError or VerificationError says what is wrong; nothing
            has been written then.
    """
    progress = Progress(settings.quiet)
    settings.check()
    if settings.report:
        report_page.check()
    if settings.verify == FULL and settings.compares_numbers and not torch_files.available():
        raise ExportError(f"verify=full needs torch ({torch_files.INSTALL})")
    progress.say(f"reading {settings.model}")
    base = None if settings.base_model is None else str(settings.base_model)
    checkpoint = find.read(str(settings.model), base, settings.weights != NONE, settings.route)
    settings = dataclasses.replace(settings, name=_identifier(settings.name, checkpoint))
    if unknown := {*settings.ignored_options} - checkpoint.config.keys():
        raise ExportError(
            f"ignored_options: {checkpoint.config_file} has no {', '.join(sorted(unknown))}"
        )
    session = Session(checkpoint, settings)
    chosen = products_of(session)
    if not chosen:
        raise ExportError(_nothing(checkpoint))
    copied = [*litert.copies(session, chosen), *mediapipe.copies(session, chosen)]
    served = [*served_litert.copies(session, chosen)]
    with Staging(Path(settings.output_dir), settings.overwrite) as staging:
        report = _write(chosen, copied, served, session, staging, progress)
        names = [each.name for each in chosen] + [each.name for each in copied]
        names += [REPORT] * settings.report
        return Export(dict(zip(names, staging.commit(), strict=True)), report)


export = taking(Settings)(run)


def _nothing(checkpoint: Checkpoint) -> str:
    """Why a checkpoint has none of the parts that were asked for."""
    if checkpoint.is_static:
        return (
            f"{checkpoint.name} is a static embedding: vectors of tokens, no encoder and no task; "
            "say parts=text_embedding"
        )
    return f"{checkpoint.name} has no task that is supported; say other parts, or which task"


def _write(
    products: list[Product],
    copied: list[LiteRtCopy],
    served: list[ServedCopy],
    session: Session,
    staging: Staging,
    progress: Progress,
) -> Report:
    """Saves, verifies and describes every product, before any of them gets its final name."""
    version = str(session.settings.version)
    alone: list[Product | LiteRtCopy] = [*products, *copied]
    places = {each.name: staging.place(Path(each.folder, version)) for each in alone}
    places |= {each.name: places[each.of.name] for each in served}
    file = Path(f"{session.settings.name}_{REPORT}_{version}.html")
    page = staging.place(file) if session.settings.report else None
    notes = {}
    for product in (*alone, *served):
        progress.say(f"building and saving the {product.name}")
        product.save(places[product.name])
        notes[product.name] = dict(product.notes())
        gc.collect()  # functions and their graphs refer to each other
    for product in products:
        notes[product.name] |= session.tokenization.remarks
    session.release()
    saved = {each.name: places[each.name] for each in products}
    of_copies = [(each, places[each.name]) for each in (*copied, *served)]
    checks = verification.verify(session, saved, of_copies, progress)
    if PREPROCESSOR in notes:
        notes[PREPROCESSOR] |= verification.note(session, checks)
    described = source(session.checkpoint, session.size)
    asked, documents = recorded(session.settings), session.checkpoint.documents
    if session.settings.trained is not None:
        asked["weights"] = TRAINED  # where they lie concerns one machine alone
    report = Report(described, asked, notes, checks, verification.device())
    report.raise_if_failed()
    progress.say("describing and moving into place")
    for product in products:
        card.describe(product, places[product.name], report, documents)
    for copy in copied:
        card.describe_copy(copy, places[copy.name], report, documents)
    parts.write([*saved.values()])
    for each in alone:
        contents.write(places[each.name], each.name)
    if page is not None:
        written = [(each, places[each.name]) for each in (*alone, *served)]
        _draw(page, written, session, report, progress)
    return report


def _draw(
    file: Path, written: Written, session: Session, report: Report, progress: Progress
) -> None:
    """Measures what was written, and writes a page of all that is known.

    What was verified stands, whatever becomes of its figures.
    """
    # What draws is installed only where a page is wanted.
    from hub_export.report_page import page  # noqa: PLC0415

    try:
        page.write(file, recording.facts(session, written, report, progress))
    except Exception as error:
        progress.say(f"{REPORT}: its figures could not be drawn ({error!r:.200})")
        page.write_failure(file, error)


def _identifier(name: str | None, checkpoint: Checkpoint) -> str:
    """`distilbert-base-cased` -> `distilbert_base_cased`."""
    if name is not None:
        if not re.fullmatch(r"[0-9A-Za-z_]+", name):
            raise ExportError(f"name must be letters, digits and underscores, not {name!r}")
        return name
    last = checkpoint.name.rsplit("/", 1)[-1]
    identifier = re.sub(r"[^0-9A-Za-z]+", "_", last).strip("_")
    if not identifier:
        raise ExportError(f"no name can be made of {last!r}; give one (name)")
    return identifier
