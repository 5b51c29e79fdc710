"""Text encoders on plain TensorFlow operations, filled from published checkpoints.

One file an architecture: `ls encoders/` is the support matrix. The parts they share are in
`encoders.core`, whose docstring is the glossary of the axis letters; what may stand on an encoder
is in `encoders.heads`.

    >>> architectures()["bert"].model_types
    ('bert',)
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from encoders.core.architecture import Architecture
from encoders.core.blocks.activations import activation
from encoders.core.bottleneck import CHANNEL, GIVEN, LEARNED, SEEN, SUM, Adapters, BottleneckForm
from encoders.core.config import SIZES, Dimensions
from encoders.core.declared import Stored
from encoders.core.encoder import Encoded, Encoder, Inside, TokenOfRow
from encoders.core.errors import ConfigError, EncoderError, WeightsError
from encoders.core.layout.groups import by_length
from encoders.core.layout.layout import TokenById, first_token, last_token
from encoders.core.layout.real_tokens import RealTokens
from encoders.core.rows import (
    FLATTEN,
    KEEP,
    KERAS,
    SPLIT_INPUTS,
    SPLIT_OUTPUTS,
    TENSORFLOW,
    TORCH,
    Change,
    Row,
    Rows,
)
from encoders.core.weights import Filled, Table
from encoders.heads.classification import Classification
from encoders.heads.embedding import TextEmbedding
from encoders.heads.fill_mask import FillMask
from encoders.heads.forms import Form
from encoders.heads.head import Head, HeadedEncoder, TaskHead
from encoders.heads.late_interaction import LateInteraction
from encoders.heads.modules import (
    DenseModule,
    DropoutModule,
    LayerNormModule,
    NormalizeModule,
    TruncateModule,
    VectorModule,
)
from encoders.heads.multiple_choice import MultipleChoice
from encoders.heads.pooling import MODES, Pooling
from encoders.heads.question_answering import QuestionAnswering
from encoders.heads.sparse_embedding import SparseEmbedding
from encoders.heads.token_classification import TokenClassification

__all__ = [
    "CHANNEL",
    "FLATTEN",
    "GIVEN",
    "KEEP",
    "KERAS",
    "LEARNED",
    "MODES",
    "SEEN",
    "SIZES",
    "SPLIT_INPUTS",
    "SPLIT_OUTPUTS",
    "SUM",
    "TENSORFLOW",
    "TORCH",
    "Adapters",
    "Architecture",
    "BottleneckForm",
    "Change",
    "Classification",
    "ConfigError",
    "DenseModule",
    "Dimensions",
    "DropoutModule",
    "Encoded",
    "Encoder",
    "EncoderError",
    "FillMask",
    "Filled",
    "Form",
    "Head",
    "HeadedEncoder",
    "Inside",
    "LateInteraction",
    "LayerNormModule",
    "MultipleChoice",
    "NormalizeModule",
    "Pooling",
    "QuestionAnswering",
    "RealTokens",
    "Row",
    "Rows",
    "SparseEmbedding",
    "Stored",
    "Table",
    "TaskHead",
    "TextEmbedding",
    "TokenById",
    "TokenClassification",
    "TokenOfRow",
    "TruncateModule",
    "VectorModule",
    "WeightsError",
    "activation",
    "architectures",
    "by_length",
    "first_token",
    "last_token",
]


@functools.cache
def architectures() -> Mapping[str, Architecture]:
    """`model_type` -> architecture, from every module of this package."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg]
    found = [importlib.import_module(f"{__name__}.{name}").ARCHITECTURE for name in names]
    return {model_type: each for each in found for model_type in each.model_types}
