"""Whether the tensors of a base model are named as in a model for a task, or as in an encoder."""

import functools
from collections.abc import Mapping

import numpy as np

import encoders
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.tensors import LazyTensors


def prefix_of(base: Checkpoint) -> str:
    """What models for a task put before the encoder's names."""
    architecture = encoders.architectures().get(str(base.config.get("model_type")))
    return architecture.table.prefix if architecture else ""


def own_prefix(tensors: Mapping[str, np.ndarray], prefix: str) -> str:
    """The prefix, if any of the tensors has it; else nothing."""
    return prefix if any(name.startswith(prefix) for name in tensors) else ""


def prefixed(tensors: Mapping[str, np.ndarray], prefix: str) -> Mapping[str, np.ndarray]:
    """The tensors as a model for a task has them: what belongs to its encoder is told by that."""
    if own_prefix(tensors, prefix):
        return tensors
    return LazyTensors({f"{prefix}{n}": functools.partial(tensors.__getitem__, n) for n in tensors})
