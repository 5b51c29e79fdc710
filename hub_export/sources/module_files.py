"""Reading the modules that sentence-transformers puts behind an encoder from their folders."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from encoders import MODES
from hub_export.errors import SourceError
from hub_export.sources.formats import torch_files
from hub_export.sources.formats.json_files import read_json
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.tensors import SafetensorsFiles
from hub_export.sources.modules import Dense, Dropout, LayerNorm, Normalize, Pooling, TextModule

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
# Class of torch.nn -> name of the activation.
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


def read_module(name: str, folder: Path) -> TextModule:
    """Reads a module.

    Args:
        name: its class in sentence-transformers.
        folder: where its files are.

    Raises:
        SourceError: it is not supported, or a file is missing or damaged.
    """
    if name not in _READERS:
        raise SourceError(
            f"{folder}: the module {name} is not supported; supported: {', '.join(_READERS)}"
        )
    if name == Normalize.kind:  # it has no options, and often no file
        return _normalize(Options.read(folder / CONFIG))
    return _READERS[name](Options(folder / CONFIG, read_json(folder / CONFIG)))


def read_weights(folder: Path) -> Mapping[str, np.ndarray]:
    """The tensors of a module by name.

    Raises:
        SourceError: they cannot be read.
    """
    weights, pickled = (folder / name for name in WEIGHTS)
    if not weights.exists() and pickled.exists():
        return torch_files.load_bin(pickled)
    return SafetensorsFiles({"": weights})


def _pooling(options: Options) -> Pooling:
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
    pooling = Pooling(tuple(modes), options.take("include_prompt", bool, True))
    options.close()
    return pooling


def _dense(options: Options) -> Dense:
    path = options.take("activation_function", str, "torch.nn.modules.activation.Tanh")
    scope, _, name = path.rpartition(".")
    if not scope.startswith("torch.nn") or name not in ACTIVATIONS:
        raise SourceError(
            f"{options.file}: the activation {path} is not supported; supported: "
            f"{', '.join(f'torch.nn.{each}' for each in ACTIVATIONS)}"
        )
    for key in ("module_input_name", "module_output_name"):
        options.fix(key, _SENTENCE, None)
    dense = Dense(
        inputs=options.take("in_features", int),
        outputs=options.take("out_features", int),
        activation=ACTIVATIONS[name],
        bias=options.take("bias", bool, True),
        residual=options.take("use_residual", bool, False),
        folder=options.file.parent,
    )
    options.close()
    return dense


def _layer_norm(options: Options) -> LayerNorm:
    norm = LayerNorm(options.take("dimension", int), options.file.parent)
    options.close()
    return norm


def _normalize(options: Options) -> Normalize:
    for key in ("module_input_name", "module_output_name"):
        options.fix(key, _SENTENCE, None)
    return Normalize()  # sentence-transformers passes over any other option


def _dropout(options: Options) -> Dropout:
    dropout = Dropout(float(options.take("dropout", float | int, 0.2)))
    options.close()
    return dropout


_READERS: Mapping[str, Callable[[Options], TextModule]] = {
    "Pooling": _pooling,
    "Dense": _dense,
    "LayerNorm": _layer_norm,
    "Normalize": _normalize,
    "Dropout": _dropout,
}
