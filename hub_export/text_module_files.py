"""Reading the modules that sentence-transformers puts behind an encoder from their folders."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from encoders import MODES
from hub_export import reference
from hub_export.errors import SourceError
from hub_export.files import read_json
from hub_export.tensors import SafetensorsFiles
from hub_export.text_modules import (
    Dense,
    Dropout,
    LayerNorm,
    Normalize,
    Pooling,
    Tensors,
    TextModule,
)

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
    file = folder / CONFIG
    return _READERS[name](_Options(file, read_json(file) if file.exists() else {}))


class _Options:
    """The options of a module; those that nobody asked for are refused."""

    def __init__(self, file: Path, content: Mapping[str, Any]) -> None:
        self.file = file
        self._left = dict(content)

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """The value of an option; without a default, it must be there."""
        value = self._left.pop(key, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise SourceError(f"{self.file}: {key}: expected {kind.__name__}, found {value!r}")
        return value

    def fix(self, key: str, *values: Any) -> None:
        """Refuses an option whose value is none of these."""
        value = self._left.pop(key, values[0])
        if value not in values:
            raise SourceError(f"{self.file}: {key}: only {values[0]!r} is supported, not {value!r}")

    def close(self) -> None:
        """Refuses what is left."""
        if self._left:
            raise SourceError(f"{self.file}: unknown options {dict(self._left)}")

    def tensors(self) -> Callable[[], Tensors]:
        """Reads the weights beside these options."""
        weights, pickled = (self.file.with_name(name) for name in WEIGHTS)
        if not weights.exists() and pickled.exists():
            return lambda: reference.load_bin(pickled)
        return lambda: SafetensorsFiles({"": weights})


def _pooling(options: _Options) -> Pooling:
    legacy = {key: options.take(key, bool, False) for key in _LEGACY}
    default = [mode for key, mode in _LEGACY.items() if legacy[key]] or ["mean"]
    modes = options.take("pooling_mode", object, default)
    modes = tuple([modes] if isinstance(modes, str) else modes)
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise SourceError(
            f"{options.file}: the pooling {unknown} is not supported; supported: {', '.join(MODES)}"
        )
    for key in ("word_embedding_dimension", "embedding_dimension"):
        options.take(key, int, 0)
    pooling = Pooling(modes, options.take("include_prompt", bool, True))
    options.close()
    return pooling


def _dense(options: _Options) -> Dense:
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
        tensors=options.tensors(),
    )
    options.close()
    return dense


def _layer_norm(options: _Options) -> LayerNorm:
    norm = LayerNorm(options.take("dimension", int), options.tensors())
    options.close()
    return norm


def _normalize(options: _Options) -> Normalize:
    for key in ("module_input_name", "module_output_name"):
        options.fix(key, _SENTENCE, None)
    return Normalize()  # sentence-transformers passes over any other option


def _dropout(options: _Options) -> Dropout:
    dropout = Dropout(float(options.take("dropout", object, 0.2)))
    options.close()
    return dropout


_READERS: Mapping[str, Callable[[_Options], TextModule]] = {
    "Pooling": _pooling,
    "Dense": _dense,
    "LayerNorm": _layer_norm,
    "Normalize": _normalize,
    "Dropout": _dropout,
}
