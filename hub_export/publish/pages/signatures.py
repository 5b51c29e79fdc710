"""What the signatures of a SavedModel take and give, read from its file: nothing is loaded."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from hub_export.errors import SourceError

_INTERNAL = "__"
_BOOKKEEPING = re.compile(r"_CHECKPOINTABLE_OBJECT_GRAPH|(.*/)?save_counter/.*")
"""What TensorFlow writes among the variables of a model, and is none of it."""


class Tensor(NamedTuple):
    """An input or an output.

    Attributes:
        name: of it.
        dtype: such as `float32`.
        shape: such as `[?, 384]`; `?` is any size.
    """

    name: str
    dtype: str
    shape: str


class Signature(NamedTuple):
    """A signature.

    Attributes:
        name: of it.
        inputs: by name.
        outputs: by name.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def read(folder: Path) -> tuple[Signature, ...]:
    """The signatures of a SavedModel, by name.

    Raises:
        SourceError: it is damaged.
    """
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((folder / "saved_model.pb").read_bytes())
        found = model.meta_graphs[0].signature_def
        return tuple(
            Signature(name, _tensors(found[name].inputs), _tensors(found[name].outputs))
            for name in sorted(found)
            if not name.startswith(_INTERNAL)
        )
    except Exception as error:  # of protobuf's own kinds
        raise SourceError(
            f"{folder}: not a SavedModel ({error!r:.200}); export it again"
        ) from error


def parameters(folder: Path) -> int:
    """How many numbers the variables of a SavedModel have.

    Raises:
        SourceError: they are damaged.
    """
    try:
        shapes = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        found = shapes.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError) as error:
        raise SourceError(f"{folder}: its variables cannot be read ({error!r:.200})") from error
    return sum(
        math.prod(shape) for name, shape in found.items() if not _BOOKKEEPING.fullmatch(name)
    )


def _tensors(infos: Mapping[str, Any]) -> tuple[Tensor, ...]:
    return tuple(_tensor(name, infos[name]) for name in sorted(infos))


def _tensor(name: str, info: Any) -> Tensor:
    shape = info.tensor_shape
    sizes = ", ".join("?" if each.size < 0 else str(each.size) for each in shape.dim)
    known = "of any rank" if shape.unknown_rank else f"[{sizes}]"
    return Tensor(name, tf.as_dtype(info.dtype).name, known)
