"""LoRA and IA3 as AdapterHub writes them, in the form of PEFT's adapters, which are merged."""

import functools
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from hub_export.errors import SourceError
from hub_export.sources.adapters.bottleneck import GATES
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.tensors import LazyTensors

_ADD, _SCALE = "add", "scale"
# Options of training, and what the names of the tensors say again.
_IGNORED = frozenset(
    """
    architecture attn_matrices dropout dtype init_weights init_weights_seed intermediate_lora
    leave_out output_lora r selfattn_lora
    """.split()
)


class Lora(NamedTuple):
    """What PEFT would have written.

    Attributes:
        kind: PEFT's name of it.
        alpha: what the product of the two matrices is multiplied by, before it is divided by r.
        tensors: by PEFT's names.
    """

    kind: str
    alpha: float
    tensors: LazyTensors


def read(
    options: Options, name: str, tensors: Mapping[str, np.ndarray], has_wrong_alpha: bool
) -> Lora:
    """Reads an adapter.

    Args:
        options: its configuration.
        name: its name.
        tensors: its tensors.
        has_wrong_alpha: whether it was trained by a version that took r for alpha.

    Raises:
        SourceError: an option is not supported, or a tensor is none of such an adapter's.
    """
    rank, alpha = options.left.get("r"), float(options.take("alpha", float | int, 8))
    options.refuse(use_dora="DoRA, as this library computes it, is", use_gating=GATES)
    for key in ("vera_d", "vera_b"):
        if options.take(key, float | int | None) is not None:
            raise SourceError(f"{options.file}: {key}: VeRA is not supported")
    mode = options.take("composition_mode", str, _ADD)
    if mode not in (_ADD, _SCALE):
        raise SourceError(
            f"{options.file}: composition_mode: expected {_ADD} or {_SCALE}, found {mode!r}"
        )
    options.ignore(*_IGNORED)
    options.close()
    alpha = float(rank) if has_wrong_alpha and isinstance(rank, int) else alpha
    pattern = re.compile(rf"(.+)\.loras\.{re.escape(name)}\.(lora_[AB])")
    matches = {each: pattern.fullmatch(each) for each in tensors}
    if strange := sorted(each for each, match in matches.items() if match is None):
        raise SourceError(f"{options.file}: the weights have {strange[0]}, which is no LoRA")
    found = {each: (match[1], match[2]) for each, match in matches.items() if match is not None}
    if mode == _SCALE:
        readers = {
            f"{module}.ia3_l": functools.partial(_factors, tensors, each, alpha)
            for each, (module, _) in found.items()
        }
        return Lora("IA3", alpha, LazyTensors(readers))
    readers = {
        f"{module}.{part}.weight": functools.partial(tensors.__getitem__, each)
        for each, (module, part) in found.items()
    }
    return Lora("LORA", alpha, LazyTensors(readers))


def _factors(tensors: Mapping[str, np.ndarray], name: str, alpha: float) -> np.ndarray:
    """float32 [out, 1]."""
    return np.asarray(tensors[name], np.float32) * np.float32(alpha)
