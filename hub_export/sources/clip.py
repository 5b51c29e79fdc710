"""CLIP (https://arxiv.org/abs/2103.00020): its text encoder, and the projection behind it.

A checkpoint holds an encoder of texts and one of images, or the former alone. It is read as what it
is in `transformers`, a `clip_text_model`; where there is a projection, its vectors are those that
texts and images are compared by, and the text embedding's.
"""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import encoders
from encoders import DenseModule
from hub_export.errors import SourceError
from hub_export.sources import huggingface, module_list
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.sources.modules import Pipeline, Placed
from hub_export.sources.sentence_transformers import CLIP

TEXT = "clip_text_model"
_OF_TEXT, _OVER_IT = "text_config", "text_config_dict"
_PROJECTED = "CLIPTextModelWithProjection"
_PROJECTION, _WIDTH = "text_projection.", "projection_dim"
_USUAL = 512
"""What either width is where the configuration leaves it out."""


def recognises(folder: Path) -> bool:
    """Whether a folder holds one; one whose files are damaged does not."""
    try:
        encoder = module_list.encoder_folder(folder)
    except SourceError:
        return False
    return huggingface.model_type(encoder) in (CLIP, TEXT)


def read(folder: Path, name: str, revision: str = "", weights: bool = True) -> Checkpoint:
    """Reads the text encoder.

    Args:
        folder: where its files are.
        name: what the user calls it.
        revision: the commit of the hub, if it is from there.
        weights: whether its weights are wanted.

    Raises:
        SourceError: a file is missing or damaged.
    """
    found = huggingface.read(folder, name, revision, weights)
    is_whole = found.config["model_type"] == CLIP
    config = _text_config(found) if is_whole else found.config
    if is_whole or _PROJECTED in (config.get("architectures") or ()):
        found = dataclasses.replace(
            found, pipeline=functools.partial(_projected, found, _projection(found, config))
        )
    if not is_whole:
        return found
    passed = huggingface.without_effect(config)
    return dataclasses.replace(
        found,
        folder=None,
        config=config,
        tensors=functools.partial(_of_text, found),
        unread=passed,
        notes=(
            *found.notes,
            *huggingface.passing_over(passed),
            "CLIP: this is its encoder of texts; that of images is left out.",
        ),
    )


def _text_config(found: Checkpoint) -> Mapping[str, Any]:
    """The configuration of the text encoder, as `transformers` reads it.

    Of two objects, the one with `_dict` in its name counts, even where it leaves something out.

    Raises:
        SourceError: it is no object.
    """
    config, over = (found.config.get(key) for key in (_OF_TEXT, _OVER_IT))
    for key, each in ((_OF_TEXT, config), (_OVER_IT, over)):
        if not isinstance(each, dict | None):
            raise SourceError(f"{found.config_file}: {key}: expected an object, found {each!r}")
    config = dict(config or {})
    if over is not None:
        kind = encoders.architectures()[TEXT].config
        own = {field.name for field in dataclasses.fields(kind)}
        config = {**{key: each for key, each in config.items() if key not in own}, **over}
    return {**config, "model_type": TEXT}


def _projection(found: Checkpoint, config: Mapping[str, Any]) -> Placed:
    """What makes the vectors that are compared with those of images.

    Raises:
        SourceError: a width is no number.
    """
    widths = {"hidden_size": config.get("hidden_size", _USUAL)}
    widths[_WIDTH] = found.config.get(_WIDTH, _USUAL)
    for key, each in widths.items():
        if not isinstance(each, int) or each < 1:
            raise SourceError(
                f"{found.config_file}: {key}: expected a positive integer, found {each!r}"
            )
    inputs, outputs = widths.values()
    dense = DenseModule(inputs, outputs, "linear", bias=False, residual=False)
    return Placed(dense, given=functools.partial(_of_projection, found))


def _of_projection(found: Checkpoint) -> Mapping[str, np.ndarray]:
    """Its tensors, by the names of a dense module."""
    tensors = found.tensors()
    own = (each for each in tensors if each.startswith(_PROJECTION))
    return LazyTensors.renamed(
        tensors, {f"linear.{each.removeprefix(_PROJECTION)}": each for each in own}
    )


def _projected(found: Checkpoint, projection: Placed) -> Pipeline:
    """What stands around the encoder, the projection first."""
    pipeline = found.pipeline()
    if pipeline.pooling is not None:
        return pipeline
    return dataclasses.replace(pipeline, modules=(projection, *pipeline.modules))


def _of_text(found: Checkpoint) -> Mapping[str, np.ndarray]:
    """The tensors of the text encoder."""
    tensors, prefix = found.tensors(), encoders.architectures()[TEXT].table.prefix
    return LazyTensors.renamed(tensors, {each: each for each in tensors if each.startswith(prefix)})
