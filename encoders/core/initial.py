"""Values to start training from, where a checkpoint has none to give.

Drawn as BERT's own code does (https://github.com/google-research/bert, `modeling.py`): kernels and
tables from a normal distribution that is cut off at twice its deviation, gammas one, all else zero.
"""

import functools
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from encoders.core.errors import ConfigError
from encoders.core.rows import Row
from encoders.core.weights import Declared

DEVIATION = 0.02


def initial(
    rows: Iterable[Row], encoder: tf.Module, deviation: float
) -> Mapping[str, Callable[[], np.ndarray]]:
    """Tensor name -> draws its values: the same ones at every call.

    Args:
        rows: the weight table, written out.
        encoder: the encoder, its variables declared.
        deviation: of the normal distribution, before it is cut off.

    Raises:
        ConfigError: a variable is not trainable: its values are computed, not learnt.
    """
    found = {}
    for row in rows:
        declared = functools.reduce(_part, row.target.split("."), encoder)
        if declared is None:
            continue  # the encoder was built without it
        if not declared.trainable:
            raise ConfigError(f"{row.target} is not trainable: random values make no sense there")
        found[row.sources[0]] = functools.partial(_draw, row, declared, deviation)
    return found


def _part(owner: Any, name: str) -> Any:
    if owner is None:
        return None
    return owner[int(name)] if name.isdigit() else getattr(owner, name)


def _draw(row: Row, declared: Declared, deviation: float) -> np.ndarray:
    """float32, in the layout of the checkpoint's tensor."""
    shape = row.change.source_shape(declared.shape)
    if len(shape) == 1:
        return np.full(shape, row.target.endswith(".gamma"), np.float32)
    generator = np.random.default_rng(zlib.crc32(row.target.encode()))
    values = generator.standard_normal(shape, np.float32)
    while (outside := np.abs(values) > 2).any():
        values[outside] = generator.standard_normal(int(outside.sum()), np.float32)
    return values * np.float32(deviation)
