"""What stands around an encoder that makes vectors of texts, in sentence-transformers' words.

The modules themselves are those of `encoders`; here they are read from their folders.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from encoders import (
    MODES,
    DenseModule,
    DropoutModule,
    LayerNormModule,
    NormalizeModule,
    VectorModule,
)
from hub_export.errors import SourceError
from hub_export.sources.formats import torch_files
from hub_export.sources.formats.json_files import read_json
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.tensors import SafetensorsFiles

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")

# Booleans of older files, in the order of the vectors.
_LEGACY = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Where torch has its activations, and their classes -> names of activations.
_SCOPES = ("torch.nn", "torch.nn.modules.activation", "torch.nn.modules.linear")
ACTIVATIONS = {
    "GELU": "gelu",
    "Hardswish": "hardswish",
    "Identity": "linear",
    "LeakyReLU": "leaky_relu",
    "Mish": "mish",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
}
_SENTENCE = "sentence_embedding"


@dataclasses.dataclass(frozen=True)
class PoolingOptions:
    """How a checkpoint pools.

    Attributes:
        modes: as those of `encoders.Pooling`.
        include_prompt: whether the tokens of a prompt take part.
    """

    modes: tuple[str, ...]
    include_prompt: bool = True


class Placed(NamedTuple):
    """A module behind the pooling, and the folder of its weights, if it has any."""

    module: VectorModule
    folder: Path | None = None


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """What stands around an encoder.

    Attributes:
        pooling: makes one vector of a text; None where the checkpoint does not say.
        modules: what follows, in its order.
        max_length: the longest row of tokens that the checkpoint admits, where it tells.
        lower_case: whether texts are lower-cased before anything else.
        prompts: name -> what is put before a text.
        default_prompt: the name of the one that is put there unasked.
        dimensions: how many columns are kept; None for all.
        pairs: whether the checkpoint compares two texts in one row (a cross-encoder).
        splade: of a sparse embedding, whether weights are added up, and whether the logarithm is
            taken twice; None of all else.
        activation: of a cross-encoder, the class of torch that makes scores of its logits, where
            the checkpoint tells.
    """

    pooling: PoolingOptions | None = None
    modules: tuple[Placed, ...] = ()
    max_length: int | None = None
    lower_case: bool = False
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt: str | None = None
    dimensions: int | None = None
    pairs: bool = False
    splade: tuple[bool, bool] | None = None
    activation: str | None = None

    @property
    def normalizes(self) -> bool:
        """Whether the last module makes vectors of length one."""
        return bool(self.modules) and isinstance(self.modules[-1].module, NormalizeModule)


def read_pooling(folder: Path) -> PoolingOptions:
    """Reads the pooling.

    Raises:
        SourceError: it is not supported, or its file is missing or damaged.
    """
    options = Options(folder / CONFIG, read_json(folder / CONFIG))
    legacy = {key: options.take(key, bool, False) for key in _LEGACY}
    default = [mode for key, mode in _LEGACY.items() if legacy[key]] or ["mean"]
    modes = options.take("pooling_mode", str | list, default)
    modes = [modes] if isinstance(modes, str) else modes
    unknown = [mode for mode in modes if not (isinstance(mode, str) and mode in MODES)]
    if unknown or not modes:
        raise SourceError(
            f"{options.file}: the pooling {unknown} is not supported; supported: {', '.join(MODES)}"
        )
    for key in ("word_embedding_dimension", "embedding_dimension"):
        options.take(key, int, 0)
    pooling = PoolingOptions(tuple(modes), options.take("include_prompt", bool, True))
    options.close()
    return pooling


def read_splade(folder: Path) -> tuple[bool, bool]:
    """Reads the pooling of a sparse embedding.

    Raises:
        SourceError: it is not supported, or its file is missing or damaged.
    """
    options = Options(folder / CONFIG, read_json(folder / CONFIG))
    found = []
    for key, known in (
        ("pooling_strategy", ("max", "sum")),
        ("activation_function", ("relu", "log1p_relu")),
    ):
        value = options.take(key, str, known[0])
        if value not in known:
            raise SourceError(
                f"{options.file}: {key}: expected {' or '.join(known)}, found {value!r}"
            )
        found.append(value == known[1])
    for key in ("word_embedding_dimension", "embedding_dimension", "chunk_size"):
        options.take(key, int | None)
    options.close()
    is_sum, is_doubled = found
    return is_sum, is_doubled


def read_module(name: str, folder: Path) -> Placed:
    """Reads a module behind the pooling.

    Args:
        name: its class in sentence-transformers.
        folder: where its files are.

    Raises:
        SourceError: it is not supported, or a file is missing or damaged.
    """
    if name not in _READERS:
        known = ", ".join(["Pooling", *_READERS])
        raise SourceError(f"{folder}: the module {name} is not supported; supported: {known}")
    if name == NormalizeModule.kind:  # it has no options, and often no file
        return Placed(_normalize(Options.read(folder / CONFIG)))
    made = _READERS[name](Options(folder / CONFIG, read_json(folder / CONFIG)))
    return Placed(made, folder if made.table.rows else None)


def read_weights(folder: Path) -> Mapping[str, np.ndarray]:
    """The tensors of a module by name.

    Raises:
        SourceError: they cannot be read.
    """
    weights, pickled = (folder / name for name in WEIGHTS)
    if not weights.exists() and pickled.exists():
        return torch_files.load_bin(pickled)
    return SafetensorsFiles({"": weights})


def torch_activation(path: str, file: Path) -> str:
    """The activation of a class of torch, such as `torch.nn.modules.activation.Tanh`.

    Raises:
        SourceError: it is another class.
    """
    scope, _, name = path.rpartition(".")
    if scope not in _SCOPES or name not in ACTIVATIONS:
        raise SourceError(
            f"{file}: the activation {path} is not supported; supported: "
            f"{', '.join(f'torch.nn.{each}' for each in ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def _dense(options: Options) -> DenseModule:
    path = options.take("activation_function", str, "torch.nn.modules.activation.Tanh")
    activation = torch_activation(path, options.file)
    for key in ("module_input_name", "module_output_name"):
        options.fix(key, _SENTENCE, None)
    dense = DenseModule(
        inputs=options.take("in_features", int),
        outputs=options.take("out_features", int),
        activation_name=activation,
        bias=options.take("bias", bool, True),
        residual=options.take("use_residual", bool, False),
    )
    options.close()
    return dense


def _layer_norm(options: Options) -> LayerNormModule:
    norm = LayerNormModule(options.take("dimension", int))
    options.close()
    return norm


def _normalize(options: Options) -> NormalizeModule:
    for key in ("module_input_name", "module_output_name"):
        options.fix(key, _SENTENCE, None)
    return NormalizeModule()  # sentence-transformers passes over any other option


def _dropout(options: Options) -> DropoutModule:
    dropout = DropoutModule(float(options.take("dropout", float | int, 0.2)))
    options.close()
    return dropout


_READERS: Mapping[str, Callable[[Options], VectorModule]] = {
    "Dense": _dense,
    "LayerNorm": _layer_norm,
    "Normalize": _normalize,
    "Dropout": _dropout,
}
