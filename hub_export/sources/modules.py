"""What stands around an encoder that makes vectors of texts, in sentence-transformers' words.

The modules themselves are those of `encoders`; here they are read from their folders.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from encoders import (
    DenseModule,
    DropoutModule,
    LayerNormModule,
    NormalizeModule,
    VectorModule,
)
from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import read_json
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.weights_file import WeightsFile
from hub_export.sources.late_interaction import LateInteraction

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")

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
SENTENCES, TOKENS = "sentence_embedding", "token_embeddings"
"""What a module makes vectors of."""


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
    """A module that makes one vector of another, and where its weights are.

    Attributes:
        module: the module.
        folder: that of its weights, if it has any.
        only: what the names of its tensors begin with, where others lie beside them.
        given: reads its tensors, by the module's names, where they lie elsewhere.
    """

    module: VectorModule
    folder: Path | None = None
    only: str = ""
    given: Callable[[], Mapping[str, np.ndarray]] | None = None

    def weights(self) -> Mapping[str, np.ndarray]:
        """The tensors by the module's names.

        Raises:
            SourceError: they cannot be read.
        """
        if self.given is not None:
            return self.given()
        return {} if self.folder is None else read_weights(self.folder, self.only)


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
        late: of late interaction, whose modules make a vector of each token's; None of all else.
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
    late: LateInteraction | None = None

    @property
    def normalizes(self) -> bool:
        """Whether the last module makes vectors of length one."""
        return bool(self.modules) and isinstance(self.modules[-1].module, NormalizeModule)


def read_module(name: str, folder: Path, of: str = SENTENCES) -> Placed:
    """Reads a module that makes one vector of another.

    Args:
        name: its class in sentence-transformers.
        folder: where its files are.
        of: SENTENCES, or TOKENS: what it must make vectors of.

    Raises:
        SourceError: it is not supported, or a file is missing or damaged.
    """
    readers = _READERS if of == SENTENCES else _OF_TOKENS
    if name not in readers:
        known = ", ".join(["Pooling" if of == SENTENCES else "MultiVectorMask", *readers])
        raise SourceError(f"{folder}: the module {name} is not supported; supported: {known}")
    if name == NormalizeModule.kind:  # it has no options, and often no file
        return Placed(_normalize(Options.read(folder / CONFIG), of))
    made = readers[name](Options(folder / CONFIG, read_json(folder / CONFIG)), of)
    return Placed(made, folder if made.table.rows else None)


def read_weights(folder: Path, only: str = "") -> Mapping[str, np.ndarray]:
    """The tensors of a module by name.

    Args:
        folder: where they are.
        only: what their names begin with.

    Raises:
        SourceError: they cannot be read.
    """
    found = (WeightsFile.find(folder, WEIGHTS) or WeightsFile(folder / WEIGHTS[0])).tensors
    return {name: found[name] for name in found if name.startswith(only)} if only else found


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


def _dense(options: Options, of: str) -> DenseModule:
    path = options.take("activation_function", str, "torch.nn.modules.activation.Tanh")
    activation = torch_activation(path, options.file)
    for key in ("module_input_name", "module_output_name"):
        options.fix(key, of, None)
    dense = DenseModule(
        inputs=options.take("in_features", int),
        outputs=options.take("out_features", int),
        activation_name=activation,
        bias=options.take("bias", bool, True),
        residual=options.take("use_residual", bool, False),
    )
    options.close()
    return dense


def _layer_norm(options: Options, of: str) -> LayerNormModule:
    del of
    norm = LayerNormModule(options.take("dimension", int))
    options.close()
    return norm


def _normalize(options: Options, of: str) -> NormalizeModule:
    if (named := options.take("module_input_name", str | None) or SENTENCES) != of:
        raise SourceError(f"{options.file}: module_input_name: expected {of}, found {named}")
    options.fix("module_output_name", of, None)
    return NormalizeModule()  # sentence-transformers passes over any other option


def _dropout(options: Options, of: str) -> DropoutModule:
    del of
    dropout = DropoutModule(float(options.take("dropout", float | int, 0.2)))
    options.close()
    return dropout


_Reader = Callable[[Options, str], VectorModule]
_OF_TOKENS: Mapping[str, _Reader] = {"Dense": _dense, "Normalize": _normalize}
_READERS: Mapping[str, _Reader] = {
    **_OF_TOKENS,
    "LayerNorm": _layer_norm,
    "Dropout": _dropout,
}
