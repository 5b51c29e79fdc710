"""Which kind of model lies in a folder."""

from pathlib import Path

from hub_export.litert import description
from hub_export.use.models.text_model import AnyTextModel, SavedTextModel, compute_on


def opened(
    place: Path,
    kind: str = "text model",
    where: str = "<name>_<task>",
    threads: int | None = None,
) -> AnyTextModel:
    """A SavedModel, or a LiteRT copy; loaded when it is first asked.

    Args:
        place: folder of either, or a file of a copy.
        kind: what it should be, for errors.
        where: how exports of this kind are called, for errors.
        threads: how many cores it may use; by default all that the process has.

    Raises:
        SourceError: a copy is none, or takes no texts.
        ExportError: `threads` is less than one, or TensorFlow already computes on another number.
    """
    if not _is_copy(place):
        if threads is not None:
            compute_on(threads)
        return SavedTextModel(place, kind, where)
    # It needs `tokenizers`, which SavedModels do not.
    from hub_export.use.models.litert_model import LiteRtTextModel  # noqa: PLC0415

    return LiteRtTextModel(place, threads)


def _is_copy(place: Path) -> bool:
    return place.suffix == description.SUFFIX or (place / description.FILE).is_file()
