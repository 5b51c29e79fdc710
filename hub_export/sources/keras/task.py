"""What stands around the backbone of a Keras preset, as its `task.json` says.

keras-hub's text embedders pool and normalise (`keras_hub.models.TextEmbedder`); the heads of its
other tasks are left out.
"""

import re
from pathlib import Path

from encoders import NormalizeModule
from hub_export.errors import SourceError
from hub_export.sources.keras import serialized
from hub_export.sources.modules import Pipeline, Placed, PoolingOptions

CONFIG, PREPROCESSOR = "task.json", "preprocessor.json"
_EMBEDDER = re.compile(r"\w*TextEmbedder")
_LEFT_OUT = re.compile(r"\w*(Classifier|MaskedLM)")
_POOLINGS = ("mean", "cls", "max")
_OTHERS = ("backbone", "preprocessor", "name", "trainable", "dtype")


def read(folder: Path) -> Pipeline:
    """Reads the task of a preset; one without a task is a backbone alone.

    Raises:
        SourceError: the task is not known, or an option of it; or a file is damaged.
    """
    file = folder / CONFIG
    if not file.exists():
        return Pipeline()
    task = serialized.class_name(file)
    if _LEFT_OUT.fullmatch(task):
        return Pipeline()
    if not _EMBEDDER.fullmatch(task):
        raise SourceError(
            f"{file}: the task {task!r} is not supported; supported: text embedders, and without "
            "their heads classifiers and masked language models"
        )
    options = serialized.options(file)
    options.ignore(*_OTHERS)
    mode = options.take("pooling_mode", str, _POOLINGS[0])
    if mode not in _POOLINGS:
        raise SourceError(f"{file}: pooling_mode: one of {', '.join(_POOLINGS)}, not {mode!r}")
    normal = options.take("normalize", bool, True)
    options.close()
    return Pipeline(
        pooling=PoolingOptions((mode,)),
        modules=(Placed(NormalizeModule()),) if normal else (),
        max_length=_length(folder),
    )


def _length(folder: Path) -> int | None:
    """The length of the preprocessor's rows, where the preset has one."""
    file = folder / PREPROCESSOR
    if not file.exists():
        return None
    return serialized.options(file).positive("sequence_length")
