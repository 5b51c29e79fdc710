"""Modules and activations behind an encoder as torch computes them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from encoders import DenseModule, LayerNormModule, NormalizeModule, VectorModule
from hub_export.sources.modules import ACTIVATIONS
from hub_export.verify.closeness import Floats
from hub_export.verify.references.loading import as_torch

_EMBEDDING = "sentence_embedding"


def torch_module(
    module: VectorModule, tensors: Mapping[str, np.ndarray]
) -> Callable[[Floats], Floats]:
    """A module behind the pooling as sentence-transformers computes it.

    Args:
        module: the one that is exported, for its options.
        tensors: its weights.
    """
    import torch  # noqa: PLC0415

    made = module_of(module).eval()
    made.load_state_dict(as_torch(tensors))

    def call(x: Floats) -> Floats:
        with torch.inference_mode():
            found: Floats = made({_EMBEDDING: torch.tensor(x)})[_EMBEDDING].numpy()
        return found

    return call


def torch_function(activation: str) -> Callable[[Floats], Floats]:
    """An activation as torch computes it."""
    import torch  # noqa: PLC0415

    classes = {name: each for each, name in ACTIVATIONS.items()}
    made = getattr(torch.nn, classes[activation])()

    def call(x: Floats) -> Floats:
        found: Floats = made(torch.tensor(x)).numpy()
        return found

    return call


def module_of(module: VectorModule) -> Any:
    """A module of sentence-transformers with the same options, its weights random."""
    import torch  # noqa: PLC0415
    from sentence_transformers.base import modules as base  # noqa: PLC0415
    from sentence_transformers.sentence_transformer import modules as own  # noqa: PLC0415

    if isinstance(module, DenseModule):
        classes = {name: each for each, name in ACTIVATIONS.items()}
        return base.Dense(
            module.takes,
            module.outputs,
            bias=module.linear.bias is not None,
            activation_function=getattr(torch.nn, classes[module.activation_name])(),
            use_residual=module.is_residual,
        )
    if isinstance(module, LayerNormModule):
        return own.LayerNorm(module.takes)
    return base.Normalize() if isinstance(module, NormalizeModule) else own.Dropout()
