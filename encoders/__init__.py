"""Text encoders on plain TensorFlow operations, filled from published checkpoints.

One file an architecture: `ls encoders/` is the support matrix. The parts they share are in
`encoders.core`, whose docstring is the glossary of the axis letters.

    >>> architectures()["bert"].model_types
    ('bert',)
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from encoders.core.architecture import Architecture
from encoders.core.config import Dimensions
from encoders.core.embedder import Embedder
from encoders.core.encoder import Encoded, Encoder
from encoders.core.errors import ConfigError, EncoderError, WeightsError
from encoders.core.groups import by_length
from encoders.core.heads import Dense, Dropped, Head, Normalized, Normed, Truncated
from encoders.core.pooling import MODES, Pooling
from encoders.core.real_tokens import RealTokens
from encoders.core.weights import Filled

__all__ = [
    "MODES",
    "Architecture",
    "ConfigError",
    "Dense",
    "Dimensions",
    "Dropped",
    "Embedder",
    "Encoded",
    "Encoder",
    "EncoderError",
    "Filled",
    "Head",
    "Normalized",
    "Normed",
    "Pooling",
    "RealTokens",
    "Truncated",
    "WeightsError",
    "architectures",
    "by_length",
]


@functools.cache
def architectures() -> Mapping[str, Architecture]:
    """`model_type` -> architecture, from every module of this package."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg]
    found = [importlib.import_module(f"{__name__}.{name}").ARCHITECTURE for name in names]
    return {model_type: each for each in found for model_type in each.model_types}
