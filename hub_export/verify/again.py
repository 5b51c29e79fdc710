"""Comparing a finished export with its source again, as at the export."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hub_export.contents import model_of
from hub_export.errors import ExportError, SourceError
from hub_export.litert import interpreters
from hub_export.models import served_litert
from hub_export.models.litert import LiteRtCopy
from hub_export.models.mediapipe import MediaPipeCopy
from hub_export.models.product import Product
from hub_export.models.products import products_of
from hub_export.models.session import Session
from hub_export.options import named
from hub_export.settings import (
    AUTO,
    ENCODER,
    NONE,
    PRETRAINED,
    PRODUCTS,
    TASK_MODEL,
    TRAINED,
    Settings,
)
from hub_export.sources import find
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats import torch_files
from hub_export.terminal import Progress
from hub_export.verify import products
from hub_export.verify.checks import Check, Outcome, table
from hub_export.verify.tokens import transformers_tokens

_SHOWN = 3
_OTHER_WEIGHTS = {
    NONE: "random, drawn at the export",
    TRAINED: "what training in TensorFlow made of the checkpoint's",
}


class Made(NamedTuple):
    """What an export states of how it was made.

    Attributes:
        sha256: every file of its source -> its checksum.
        settings: what was asked for, as far as a report states it.
    """

    sha256: Mapping[str, str]
    settings: Mapping[str, Any]


def compare(
    model: str,
    base_model: str | None,
    made: Made,
    places: Mapping[str, Path],
    progress: Progress,
) -> list[Check]:
    """Reads the source, and compares parts of an export with it; writes nothing.

    Args:
        model: the source, in the words of an export's `model`.
        base_model: what it adapts, if it is an adapter.
        made: how the export was made.
        places: parts, and copies of parts -> their folders.
        progress: told of every sample.

    Raises:
        SourceError: the source is not what the export was made of, or cannot be read; or it has no
            such part.
        ExportError: a library that something is compared by, such as torch, is not installed.
    """
    settings = _settings(model, made, places)
    if settings.compares_numbers and not torch_files.available():
        raise ExportError(f"checkpoint: comparing numbers needs torch ({torch_files.INSTALL})")
    progress.say(f"reading {model}")
    checkpoint = find.read(model, base_model, route=settings.route)
    _check_files(checkpoint, model, made.sha256)
    session = Session(checkpoint, settings)
    chosen = products_of(session)
    copies = [*_copies(session, chosen, places)]
    if settings.compares_numbers:
        _ = session.built  # the source is asked for what the encoder has
        session.release()
    saved = {each.name: places[each.name] for each in chosen if each.name in places}
    if left := places.keys() - saved.keys() - {copy.name for copy, _ in copies}:
        raise SourceError(
            f"{model}: the export has the parts {', '.join(sorted(left))}, which this hub_export "
            "does not make of it; use the one that wrote it, or export it again"
        )
    checks = products.verify(session, saved, copies, progress, record=False)
    # That `transformers` cannot read a tokenizer, whose file is what is followed, is no lack here.
    lacking = [
        each
        for each in checks
        if each.outcome == Outcome.NOT_COMPARED and each.subject != transformers_tokens.SUBJECT
    ]
    if lacking:
        raise ExportError(f"checkpoint: not all can be compared here:\n{table(lacking)}")
    return checks


def _settings(model: str, made: Made, places: Mapping[str, Path]) -> Settings:
    """Those of the export, of these parts of it alone."""
    weights = made.settings.get("weights", PRETRAINED)
    if weights != PRETRAINED:
        why = _OTHER_WEIGHTS.get(weights, weights)
        raise SourceError(
            f"checkpoint: the weights of this export are {why}: there is no checkpoint to compare "
            "them with; leave the option out"
        )
    of = {*map(model_of, places)}
    parts = [name for name in PRODUCTS if name in of]
    parts += [TASK_MODEL] * bool(of - {*PRODUCTS})
    asked = {**made.settings, "parts": parts, "verify": AUTO}
    try:
        return named(Settings, model, **asked)
    except TypeError as error:
        raise SourceError(
            f"its report has settings that this hub_export does not know ({error}); use the one "
            "that wrote it, or export it again"
        ) from error


def _check_files(checkpoint: Checkpoint, model: str, wanted: Mapping[str, str]) -> None:
    """Raises SourceError where the files of a checkpoint are not those that were exported."""
    problems = [*_differences(checkpoint.files, wanted)]
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" * (len(problems) > _SHOWN)
        raise SourceError(
            f"{model}: expected the files that the export was made of, by the checksums in its "
            f"report, found others: {'; '.join(problems[:_SHOWN])}{more}; give the checkpoint at "
            "the revision that was exported, or export it again"
        )


def _differences(found: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*found, *wanted}):
        if name not in found:
            yield f"{name} is missing, or not read any longer"
        elif name not in wanted:
            yield f"{name} was not there, or not read"
        elif found[name] != wanted[name]:
            yield f"{name} has sha256 {found[name]}, expected {wanted[name]}"


def _copies(
    session: Session, chosen: Sequence[Product], places: Mapping[str, Path]
) -> Iterator[tuple[LiteRtCopy, Path]]:
    """Those of the places, and what lies beside an encoder's graph, each with its folder."""
    made = (kind(session, each) for kind in (LiteRtCopy, MediaPipeCopy) for each in chosen)
    copies = [each for each in made if each.name in places]
    if copies:
        interpreters.interpreter()
    for copy in copies:
        yield copy, places[copy.name]
    for served in served_litert.copies(session, chosen):
        if ENCODER in places:
            yield served, places[ENCODER]
