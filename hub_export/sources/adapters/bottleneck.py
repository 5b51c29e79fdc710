"""Bottleneck adapters of AdapterHub (https://docs.adapterhub.ml/methods): options and tensors."""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from encoders import CHANNEL, GIVEN, LEARNED, SEEN, SUM, Adapters, BottleneckForm
from hub_export.errors import SourceError
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.tensors import LazyTensors

_BLOCK = r"encoder\.layer\.(\d+)"
_BERT = (rf"{_BLOCK}\.attention\.output", rf"{_BLOCK}\.output")
_TRANSFORMER = r"transformer\.layer\.(\d+)"
_GROUP = r"encoder\.albert_layer_groups\.(\d+)\.albert_layers\.(\d+)"
PLACES: Mapping[str, tuple[str, str]] = {
    "albert": (rf"{_GROUP}\.attention\.attention_adapters", rf"{_GROUP}\.output_adapters"),
    "bert": _BERT,
    "deberta": _BERT,
    "deberta-v2": _BERT,
    "distilbert": (rf"{_TRANSFORMER}\.attention_adapters", rf"{_TRANSFORMER}\.output_adapters"),
    "electra": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}
"""`model_type` -> patterns of the modules that have the adapters of attention and feed-forward."""
_PARTS = ("attention", "feed_forward")

# The first is today's, the others stand in adapters of the library's first version.
_LISTS = "adapters|attention_text_(?:task|lang)_adapters|layer_text_(?:task|lang)_adapters"
# Options of training (stochastic depth among them, which is left out of it here), and what the
# shapes and names of the tensors say again.
_IGNORED = frozenset(
    """
    architecture factorized_phm_W factorized_phm_rule hypercomplex_nonlinearity init_weights
    init_weights_seed inv_adapter inv_adapter_reduction_factor invertible_adapter learn_phm phm_bias
    phm_c_init phm_dim phm_init_range phm_rank reduction_factor shared_W_phm shared_phm_rule
    stochastic_depth
    """.split()
)
GATES = "gates (UniPELT), which average over padding, are"
_RENAMED = {"leakyrelu": "leaky_relu"}
# What adapters without a version say -> what it means today.
_FORMERLY = {"gelu": "gelu_new", "gelu_orig": "gelu"}


class Bottleneck(NamedTuple):
    """Adapters and their tensors, by the names of `encoders`."""

    adapters: Adapters
    tensors: LazyTensors


def read(
    options: Options,
    config: Mapping[str, Any],
    name: str,
    tensors: Mapping[str, np.ndarray],
    is_old: bool,
) -> Bottleneck:
    """Reads the adapters of a model.

    Args:
        options: the adapter's configuration.
        config: the base model's.
        name: of the adapter.
        tensors: the adapter's.
        is_old: whether it comes from the library's first versions.

    Raises:
        SourceError: an option is not supported, or the tensors are not those of such adapters.
    """
    # Adapters of the first versions may ask for invertible ones, and have none.
    if any("invertible" in each for each in tensors):
        raise SourceError(f"{options.file}: invertible adapters (MAD-X) are not supported")
    parts = [options.take(key, bool) for key in ("mh_adapter", "output_adapter")]
    if parts[0] and config["model_type"] == "albert":
        raise SourceError(
            f"{options.file}: mh_adapter: not supported for albert, where the library adapts what "
            "the attention gets, not what it gives"
        )
    left_out = _left_out(options)
    form = _form(options, is_old)
    places = [
        re.compile(rf"(?:\w+\.)?{each}\.(?:{_LISTS})\.{re.escape(name)}\.(.+)")
        for each in PLACES[config["model_type"]]
    ]
    inner = config.get("inner_group_num", 1)  # of ALBERT
    renamed = dict(_renamed(options, places, inner, form.norm_before, tensors))
    attention, feed_forward = (_bottlenecks(renamed, tensors, part) for part in _PARTS)
    found = [bool(attention), bool(feed_forward)]
    if found != parts or not any(parts):
        raise SourceError(
            f"{options.file}: mh_adapter, output_adapter: expected adapters of {_shown(parts)}, "
            f"found tensors of {_shown(found)}"
        )
    readers = {to: functools.partial(tensors.__getitem__, of) for to, of in renamed.items()}
    return Bottleneck(Adapters(form, attention, feed_forward, left_out), LazyTensors(readers))


def _left_out(options: Options) -> frozenset[int]:
    """Numbers of blocks without adapters."""
    found = options.take("leave_out", list, [])
    if not all(isinstance(each, int) for each in found):
        raise SourceError(
            f"{options.file}: leave_out: expected numbers of layers, found {found!r:.100}"
        )
    return frozenset(found)


def _form(options: Options, is_old: bool) -> BottleneckForm:
    options.ignore(*_IGNORED)
    options.refuse(
        phm_layer="Compacter's layers are",
        use_gating=GATES,
        cross_adapter="adapters of attention to another sequence are",
    )
    activation = options.take("non_linearity", str).lower()
    is_parallel = options.take("is_parallel", bool, False)
    sees_normalised = options.take("original_ln_before", bool, False)
    renamed = _RENAMED | (_FORMERLY if is_old else {})
    form = BottleneckForm(
        activation=renamed.get(activation, activation),
        is_parallel=is_parallel,
        sees_normalised=sees_normalised and not is_parallel,
        is_normalised=options.take("original_ln_after", bool, True),
        norm_before=options.take("ln_before", bool, False),
        norm_after=options.take("ln_after", bool, False),
        residual=_residual(options, sees_normalised),
        is_added_before_norm=options.take("adapter_residual_before_ln", bool, False),
        scaling=_scaling(options),
        dropout=float(options.take("dropout", float | int, 0.0)),
    )
    options.close()
    return form


def _residual(options: Options, sees_normalised: bool) -> str:
    key = "residual_before_ln"
    value = options.take(key, str if isinstance(options.left.get(key), str) else bool, True)
    if value == "post_add" and sees_normalised:
        return SUM
    if isinstance(value, str):
        raise SourceError(
            f"{options.file}: {key}: expected true or false, or post_add where original_ln_before "
            f"is true, found {value!r}"
        )
    return GIVEN if value else SEEN


def _scaling(options: Options) -> float | str:
    value = options.take("scaling", float | int | str, 1.0)
    if isinstance(value, str) and value not in (LEARNED, CHANNEL):
        raise SourceError(
            f"{options.file}: scaling: expected a number, {LEARNED} or {CHANNEL}, found {value!r}"
        )
    return value if isinstance(value, str) else float(value)


def _renamed(
    options: Options,
    places: list[re.Pattern[str]],
    inner: int,
    norm_before: bool,
    tensors: Mapping[str, np.ndarray],
) -> Iterator[tuple[str, str]]:
    """Name of a tensor in `encoders` -> its name in the file."""
    # The first norm is also the first of the layers that end in the bottleneck.
    names = {
        "adapter_norm_before": "norm_before",
        f"adapter_down.{int(norm_before)}": "down",
        "adapter_up": "up",
        "adapter_norm_after": "norm_after",
    }
    for name in tensors:
        matches = zip(_PARTS, (place.fullmatch(name) for place in places), strict=True)
        part, match = next((each for each in matches if each[1]), ("", None))
        if match is None:
            raise SourceError(
                f"{options.file}: the weights have {name}, which belongs to no bottleneck adapter"
            )
        *numbers, layer = match.groups()
        layer, _, kind = layer.rpartition(".")
        if not norm_before or layer != "adapter_down.0":
            number = functools.reduce(lambda group, block: group * inner + int(block), numbers, 0)
            target = ("adapters", str(number), part, names.get(layer, layer), kind)
            yield ".".join(filter(None, target)), name


def _bottlenecks(
    renamed: Mapping[str, str], tensors: Mapping[str, np.ndarray], part: str
) -> dict[int, int]:
    """Number of a block -> the width of its adapter."""
    pattern = re.compile(rf"adapters\.(\d+)\.{part}\.down\.bias")
    matches = {name: pattern.fullmatch(name) for name in renamed}
    return {int(match[1]): len(tensors[renamed[name]]) for name, match in matches.items() if match}


def _shown(parts: list[Any]) -> str:
    names = ("attention", "feed-forward")
    return " and ".join(name for name, has in zip(names, parts, strict=True) if has) or "nothing"
