"""Adapters as the library `adapters` saves them, and what it computes, by hooks in torch.

The library itself goes with other versions of `transformers`. What stands here is written from its
documentation (https://docs.adapterhub.ml/methods); `tests/hub_export/test_adapterhub.py` has
numbers that the library itself gave.
"""

import functools
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

NAME = "mine"
FULL = {
    "adapter_residual_before_ln": False,
    "cross_adapter": False,
    "dropout": 0.0,
    "init_weights": "bert",
    "inv_adapter": None,
    "inv_adapter_reduction_factor": None,
    "is_parallel": False,
    "leave_out": [],
    "ln_after": False,
    "ln_before": False,
    "mh_adapter": False,
    "non_linearity": "relu",
    "original_ln_after": True,
    "original_ln_before": False,
    "output_adapter": True,
    "phm_layer": False,
    "reduction_factor": 4,
    "residual_before_ln": True,
    "scaling": 1.0,
    "stochastic_depth": 0.0,
    "use_gating": False,
}
"""A configuration as it is saved, with the defaults of the library."""
HOULSBY = {**FULL, "mh_adapter": True, "non_linearity": "swish"}
PFEIFFER = {**FULL, "original_ln_before": True}
PARALLEL = {**FULL, "is_parallel": True, "scaling": 4.0, "reduction_factor": 2}


class Place(NamedTuple):
    """Where an adapter stands in a block: names of modules."""

    gets: str
    gives: str
    norm: str
    holder: str


def _bert(value: str) -> tuple[Place, Place]:
    output = "attention.output"
    return (
        Place(f"attention.self.{value}", f"{output}.dense", f"{output}.LayerNorm", output),
        Place("intermediate.dense", "output.dense", "output.LayerNorm", "output"),
    )


PLACES: Mapping[str, tuple[Place | None, Place]] = {
    "albert": (None, Place("ffn", "ffn_output", "full_layer_layer_norm", "output_adapters")),
    "bert": _bert("value"),
    "deberta": _bert("in_proj"),
    "deberta-v2": _bert("value_proj"),
    "distilbert": (
        Place("attention.v_lin", "attention.out_lin", "sa_layer_norm", "attention_adapters"),
        Place("ffn.lin1", "ffn.lin2", "output_layer_norm", "output_adapters"),
    ),
    "electra": _bert("value"),
    "roberta": _bert("value"),
    "xlm-roberta": _bert("value"),
}
"""`model_type` -> of attention and of feed-forward."""


class Bottleneck(torch.nn.Module):
    """An adapter, its parts by the library's names."""

    def __init__(self, width: int, bottleneck: int, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config, norms = config, []
        if config["ln_before"]:
            self.adapter_norm_before = torch.nn.LayerNorm(width)
            norms = [self.adapter_norm_before]
        self.adapter_down = torch.nn.Sequential(*norms, torch.nn.Linear(width, bottleneck))
        self.adapter_up = torch.nn.Linear(bottleneck, width)
        if config["ln_after"]:
            self.adapter_norm_after = torch.nn.LayerNorm(width)
        sizes = {"learned": 1, "channel": width}
        if config["scaling"] in sizes:
            self.scaling = torch.nn.Parameter(torch.ones(sizes[config["scaling"]]))
        else:
            self.scaling = config["scaling"]

    def forward(self, hidden: Any, got: Any, norm: Callable[[Any], Any]) -> Any:
        """What a part gives, and what it has got -> what the block goes on with."""
        config, given = self.config, hidden
        residual = hidden
        if config["is_parallel"]:
            hidden = got
        elif config["original_ln_before"]:
            summed = hidden + got
            hidden = norm(summed)
            if config["residual_before_ln"] == "post_add":
                residual = summed
        if not config["residual_before_ln"]:
            residual = hidden
        output = self.adapter_up(self.activation(self.adapter_down(hidden))) * self.scaling
        last = self.adapter_norm_after if config["ln_after"] else torch.nn.Identity()
        if config["is_parallel"]:
            output = last(output) + given
        elif config["adapter_residual_before_ln"]:
            output = last(output + residual)
        else:
            output = last(output) + residual
        return norm(output + got) if config["original_ln_after"] else output

    def activation(self, x: Any) -> Any:
        """What stands between the dense layers."""
        functions = {
            "gelu_new": functools.partial(torch.nn.functional.gelu, approximate="tanh"),
            "leakyrelu": torch.nn.functional.leaky_relu,
            "relu": torch.relu,
            "swish": torch.nn.functional.silu,
        }
        return functions[self.config["non_linearity"]](x)


def load(base: Path) -> Any:
    """The encoder of a folder."""
    return transformers.AutoModel.from_pretrained(base, attn_implementation="eager").eval()


def adapt(model: Any, config: Mapping[str, Any]) -> None:
    """Puts random adapters into a model."""
    torch.manual_seed(5)
    width = model.config.hidden_size
    for number, block in enumerate(blocks(model)):
        if number in config["leave_out"]:
            continue
        factor = config["reduction_factor"]
        factor = factor.get(str(number), factor["default"]) if isinstance(factor, dict) else factor
        for key, place in zip(
            ("mh_adapter", "output_adapter"), PLACES[model.config.model_type], strict=True
        ):
            if config[key] and place:
                _put(block, place, Bottleneck(width, max(int(width // factor), 1), config))


def fill_with_waves(model: Any) -> None:
    """Gives every parameter values that depend on its name alone, not on a library's generator."""
    for name, parameter in model.named_parameters():
        waves = 0.3 * np.sin(0.7 * np.arange(parameter.numel()) + zlib.crc32(name.encode()) % 100)
        waves += float(name.endswith("weight") and parameter.ndim == 1)
        parameter.data = torch.tensor(waves.reshape(parameter.shape), dtype=torch.float32)


def blocks(model: Any) -> Iterator[Any]:
    """In the library's order."""
    if model.config.model_type == "albert":
        for group in model.encoder.albert_layer_groups:
            yield from group.albert_layers
    elif model.config.model_type == "distilbert":
        yield from model.transformer.layer
    else:
        yield from model.encoder.layer


def _put(block: Any, place: Place, adapter: Bottleneck) -> None:
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.3)
    if place.holder not in dict(block.named_modules()):
        block.add_module(place.holder, torch.nn.Module())
    block.get_submodule(place.holder).adapters = torch.nn.ModuleDict({NAME: adapter})
    norm, seen = block.get_submodule(place.norm), dict[str, Any]()

    def got(_: Any, inputs: Any) -> None:
        seen["got"] = inputs[0]

    def given(_: Any, inputs: Any, output: Any) -> None:
        seen["given"] = output

    block.get_submodule(place.gets).register_forward_pre_hook(got)
    block.get_submodule(place.gives).register_forward_hook(given)
    norm.register_forward_hook(lambda *_: adapter(seen["given"], seen["got"], norm.forward))


def save(
    folder: Path, model: Any, config: Mapping[str, Any], old: bool = False, **meta: Any
) -> None:
    """Writes the adapters of a model; with `old`, pickled, and without a version."""
    prefix = f"{model.base_model_prefix}."
    tensors = {
        f"{prefix}{name}": tensor.clone()
        for name, tensor in model.state_dict().items()
        if f".{NAME}." in name
    }
    write(folder, "adapter", config, tensors, model, old, **meta)


def head(layers: int, labels: int, width: int, between: Any) -> torch.nn.Sequential:
    """A prediction head, its layers by the library's numbers."""
    torch.manual_seed(6)
    parts: list[Any] = []
    for layer in range(layers):
        last = layer == layers - 1
        parts += [torch.nn.Dropout(), torch.nn.Linear(width, labels if last else width)]
        parts += [] if last or between is None else [between]
    made = torch.nn.Sequential(*parts).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def save_head(
    folder: Path, model: Any, config: Mapping[str, Any] | None, head: Any, **meta: Any
) -> None:
    """Writes a head."""
    tensors = {f"heads.{NAME}.{name}": each for name, each in head.state_dict().items()}
    write(folder, "head", config, tensors, model, **meta)


def write(
    folder: Path,
    kind: str,
    config: Mapping[str, Any] | None,
    tensors: dict[str, Any],
    model: Any,
    old: bool = False,
    **meta: Any,
) -> None:
    """Writes a configuration and tensors, of an `adapter` or a `head`."""
    folder.mkdir(exist_ok=True, parents=True)
    content = {
        "config": config,
        "hidden_size": model.config.hidden_size,
        "model_class": f"{type(model).__name__.removesuffix('Model')}AdapterModel",
        "model_name": "",
        "model_type": model.config.model_type,
        "name": NAME,
        **({} if old else {"version": "adapters.1.3.0"}),
        **meta,
    }
    (folder / f"{kind}_config.json").write_text(json.dumps(content))
    if old:
        torch.save(tensors, folder / f"pytorch_{kind}.bin")
    else:
        name = {"adapter": "adapter", "head": "model_head"}[kind]
        save_file(tensors, folder / f"{name}.safetensors")


def outputs(model: Any, ids: Any, mask: Any) -> np.ndarray:
    """The last layer's, float32 [B, S, D]."""
    with torch.inference_mode():
        found = model(torch.tensor(ids), attention_mask=torch.tensor(mask))
    values: np.ndarray = found.last_hidden_state.numpy()
    return values
