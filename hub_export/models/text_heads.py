"""The modules of a checkpoint as parts of an embedder."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import encoders
from encoders import Head
from hub_export.models.session import naming
from hub_export.sources.module_files import read_weights
from hub_export.sources.modules import Dense, Dropout, LayerNorm, Normalize, TextModule, Truncate

_MADE: Mapping[type[TextModule], Callable[[Any], Head]] = {
    Dense: lambda m: encoders.Dense(m.inputs, m.outputs, m.activation, m.bias, m.residual),
    Dropout: lambda m: encoders.Dropped(m.rate),
    LayerNorm: lambda m: encoders.Normed(m.width),
    Normalize: lambda m: encoders.Normalized(),
    Truncate: lambda m: encoders.Truncated(m.width),
}


def heads(modules: Sequence[TextModule], weights: str) -> list[Head]:
    """Makes modules, with their weights, or with random ones if `weights` is `none`.

    Raises:
        SourceError: a file of weights cannot be read, or they do not fit.
    """
    return [_head(module, weights) for module in modules]


def _head(module: TextModule, weights: str) -> Head:
    made = _MADE[type(module)](module)
    if weights == "none":
        made.draw()
    elif isinstance(module, (Dense, LayerNorm)):
        with naming(module.folder):
            made.fill(read_weights(module.folder))
    return made
