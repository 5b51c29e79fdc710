"""What `transformers` has no classes for, in torch: adapters in its encoders, heads of AdapterHub.

Written from the documentation of AdapterHub, step by step as it computes them
(https://docs.adapterhub.ml/methods).
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

import encoders
from encoders import GIVEN, SUM, BottleneckForm, Form
from hub_export.settings import QUESTION_ANSWERING, TEXT_CLASSIFICATION
from hub_export.sources.checkpoint import Checkpoint

Weights = Mapping[str, torch.Tensor]
# Of each part of a block: what gets its input, what gives its output, the norm behind it.
_PLACES: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "attention": (
        (".attention.value.kernel", ".attention.input.kernel"),
        ".attention.output.kernel",
        ".attention_layer_norm.gamma",
    ),
    "feed_forward": (
        (".feed_forward.inner.kernel",),
        ".feed_forward.output.kernel",
        ".feed_forward_layer_norm.gamma",
    ),
}


def modules(model: Any, name: str) -> list[Any]:
    """The modules of a model whose name is this, a number in the place of each field in braces."""
    pattern = re.sub(r"\\{\w+\\}", r"\\d+", re.escape(name))
    return [each for own, each in model.named_modules() if re.fullmatch(pattern, own)]


def hook_in(model: Any, checkpoint: Checkpoint) -> None:
    """Has a model of `transformers` compute a checkpoint's adapters.

    Args:
        model: the encoder.
        checkpoint: with adapters.
    """
    adapters, tensors = checkpoint.adapters, checkpoint.tensors()
    assert adapters is not None
    table = encoders.architectures()[checkpoint.config["model_type"]].table
    for part, endings in _PLACES.items():
        rows = (
            next(row for row in table.rows if row.target.endswith(ending)) for ending in endings
        )
        names = (row.sources[0].removesuffix(".weight") for row in rows)
        places = zip(*(modules(model, name) for name in names), strict=True)
        for number, place in enumerate(places):
            weights = _weights(tensors, f"adapters.{number}.{part}.")
            if weights:
                _Join(adapters.form, weights).between(*place)


def _weights(tensors: Mapping[str, np.ndarray], beginning: str) -> Weights:
    """Those of a module, by their names in it."""
    found = (name for name in tensors if re.search(rf"(^|\.){re.escape(beginning)}", name))
    return {
        name.partition(beginning)[2]: torch.tensor(np.asarray(tensors[name], np.float32))
        for name in found
    }


class _Join:
    """An adapter between the output of a part of a block and the norm behind it."""

    def __init__(self, form: BottleneckForm, weights: Weights) -> None:
        self._form, self._weights = form, weights
        self._got = self._given = torch.empty(0)

    def between(self, first: Any, last: Any, layer_norm: Any) -> None:
        """Notes what the first module gets and the last gives; takes the place of the norm."""

        def got(_: Any, inputs: Any) -> None:
            self._got = inputs[0]

        def given(_: Any, inputs: Any, output: Any) -> None:
            self._given = output

        first.register_forward_pre_hook(got)
        last.register_forward_hook(given)
        layer_norm.register_forward_hook(lambda *_: self._joined(layer_norm.forward))

    def _joined(self, layer_norm: Any) -> torch.Tensor:
        form, got, given = self._form, self._got, self._given
        if form.is_parallel:
            y = self._norm("norm_after", self._added(got)) + given
        else:
            seen = layer_norm(given + got) if form.sees_normalised else given
            residual = given if form.residual == GIVEN else seen
            residual = given + got if form.residual == SUM else residual
            y = self._added(seen)
            y = y + residual if form.is_added_before_norm else y
            y = self._norm("norm_after", y)
            y = y if form.is_added_before_norm else y + residual
        return layer_norm(y + got) if form.is_normalised else y

    def _added(self, x: torch.Tensor) -> torch.Tensor:
        """What its layers make of an input."""
        y = self._linear("down", self._norm("norm_before", x))
        y = self._linear("up", _activated(self._form.activation, y))
        return y * self._weights.get("scaling", self._form.scaling)

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """By a norm of its own, where it has one."""
        if f"{name}.weight" not in self._weights:
            return x
        weight, bias = (self._weights[f"{name}.{each}"] for each in ("weight", "bias"))
        return functional.layer_norm(x, weight.shape, weight, bias)


class Headed:
    """An encoder of `transformers` with a head of AdapterHub's on it.

    Attributes:
        base_model: the encoder.
    """

    def __init__(self, model: Any, form: Form, checkpoint: Checkpoint, task: str) -> None:
        """Takes its parts.

        Args:
            model: the encoder.
            form: of the head.
            checkpoint: has its tensors.
            task: what it is for.
        """
        self.base_model = model.eval()
        self._form, self._task = form, task
        layers = filter(None, (form.dense, form.output))
        self._layers = [_weights(checkpoint.tensors(), f"{name}.") for name in layers]

    def eval(self) -> "Headed":
        """Itself: it has no dropout."""
        return self

    def __call__(self, **rows: Any) -> Mapping[str, torch.Tensor]:
        """The outputs for a batch, by name."""
        found = self.base_model(**rows)
        x = found.pooler_output if self._form.is_pooled else found.last_hidden_state
        for number, layer in enumerate(self._layers):
            x = _activated(self._form.activation, x) if number else x
            x = functional.linear(x, layer["weight"], layer["bias"])
        if self._task == QUESTION_ANSWERING:
            return {"start_logits": x[..., 0], "end_logits": x[..., 1]}
        is_of_rows = self._task == TEXT_CLASSIFICATION and not self._form.is_pooled
        return {"logits": x[:, 0] if is_of_rows else x}


def _activated(name: str, x: torch.Tensor) -> torch.Tensor:
    from transformers.activations import get_activation  # noqa: PLC0415

    activated: torch.Tensor = get_activation(name)(x)
    return activated
