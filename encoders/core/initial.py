"""Values to start training from, where a checkpoint has none to give.

Drawn as BERT's own code does (https://github.com/google-research/bert, `modeling.py`): kernels and
tables from a normal distribution that is cut off at twice its deviation, gammas one, all else zero.
Heads, which that code does not have, say what theirs are drawn from.
"""

import functools
import math
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from encoders.core.declared import Declared
from encoders.core.errors import ConfigError
from encoders.core.rows import Row

DEVIATION = 0.02


class Normal(NamedTuple):
    """A normal distribution around zero.

    Attributes:
        deviation: of it, before it is cut off.
        cut: how many deviations away nothing is drawn any longer.
    """

    deviation: float = DEVIATION
    cut: float = 2.0


UNCUT = math.inf
Normals = Callable[[str], Normal]
"""The target of a row -> what its values are drawn from."""


def deviation_of(config: Mapping[str, Any]) -> float:
    """That of a configuration's values to start from, `initializer_range`.

    Raises:
        ConfigError: it is not more than zero.
    """
    deviation = config.get("initializer_range", DEVIATION)
    if not isinstance(deviation, int | float) or not deviation > 0:
        raise ConfigError(f"initializer_range must be more than 0, not {deviation!r}")
    return deviation


def initial(
    rows: Iterable[Row], part: tf.Module, normals: Normals = lambda _: Normal()
) -> Mapping[str, Callable[[], np.ndarray]]:
    """Tensor name -> draws its values: the same ones at every call.

    Args:
        rows: the weight table, written out.
        part: an encoder, or what stands on one, its variables declared.
        normals: what the values of kernels and tables are drawn from.

    Raises:
        ConfigError: a variable is not trainable: its values are computed, not learnt.
    """
    found = {}
    for row in rows:
        declared = functools.reduce(_part, row.target.split("."), part)
        if declared is None:
            continue  # it was built without
        if not declared.trainable and row.optional:
            continue  # it is computed where it is missing
        if not declared.trainable:
            raise ConfigError(f"{row.target} is not trainable: random values make no sense there")
        found[row.sources[0]] = functools.partial(_draw, row, declared, normals(row.target))
    return found


def _part(owner: Any, name: str) -> Any:
    if owner is None:
        return None
    return owner[int(name)] if name.isdigit() else getattr(owner, name)


def _draw(row: Row, declared: Declared, normal: Normal) -> np.ndarray:
    """float32, in the layout of the checkpoint's tensor."""
    shape = row.change.source_shape(declared.shape)
    if len(shape) == 1:
        return np.full(shape, row.target.endswith(".gamma"), np.float32)
    generator = np.random.default_rng(zlib.crc32(row.target.encode()))
    values = generator.standard_normal(shape, np.float32)
    while (outside := np.abs(values) > normal.cut).any():
        values[outside] = generator.standard_normal(int(outside.sum()), np.float32)
    return values * np.float32(normal.deviation)
