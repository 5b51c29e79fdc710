"""The modules of a checkpoint as parts of an embedder."""

from collections.abc import Callable, Mapping
from typing import Any

import encoders
from encoders import Head
from hub_export.text_modules import Dense, Dropout, LayerNorm, Normalize, TextModule, Truncate

_MADE: Mapping[type[TextModule], Callable[[Any], Head]] = {
    Dense: lambda m: encoders.Dense(m.inputs, m.outputs, m.activation, m.bias, m.residual),
    Dropout: lambda m: encoders.Dropped(m.rate),
    LayerNorm: lambda m: encoders.Normed(m.width),
    Normalize: lambda m: encoders.Normalized(),
    Truncate: lambda m: encoders.Truncated(m.width),
}


def head(module: TextModule) -> Head:
    """Makes a module, with its weights.

    Raises:
        SourceError: a file of weights cannot be read.
        WeightsError: the weights do not fit.
    """
    made = _MADE[type(module)](module)
    made.fill(module.tensors() if isinstance(module, (Dense, LayerNorm)) else {})
    return made
