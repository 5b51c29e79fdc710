"""GTE 1.5 (https://arxiv.org/abs/2407.19669) as it was published, with `new` as its `model_type`.

Others who trained it further say `gte`, and keep the options of its code. `transformers` has the
same encoder as `gte`. Options have other defaults there, and one kind of longer rows has no name:
the fixed NTK scaling multiplies the base of RoPE's wavelengths by the factor, and each wavelength
by a power of it (https://kexue.fm/archives/9706), which is a `linear` scaling of another base.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import encoders
from hub_export.errors import SourceError
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.tensors import LazyTensors

PUBLISHED, _KNOWN = "new", "gte"
NOTE = (
    "GTE 1.5: its code is remote and is never run; transformers has the same encoder as gte, which "
    "is compared with. Names of tensors and the scaling of RoPE are translated by hub_export, for "
    "both sides."
)

_USUAL = {
    "vocab_size": 30528,
    "max_position_embeddings": 2048,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "pad_token_id": None,
}
"""Defaults of the published code: those that are others in `transformers`, or are needed here."""
_THETA = 10_000.0
_FIXED: Mapping[str, Any] = {
    "layer_norm_type": "layer_norm",
    "logn_attention_clip1": False,
    "logn_attention_scale": False,
    "pack_qkv": True,
    "position_embedding_type": "rope",
}
"""Options that select another computation, or other tensors, with the value that is supported."""
_OPTION = "pack_qkv"
"""One that `transformers` does not write."""
_IGNORED = ("unpad_inputs", "use_memory_efficient_attention")
_PREFIX = re.compile(rf"^{PUBLISHED}\.")


def recognises(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is that of such a checkpoint."""
    model_type = config.get("model_type")
    return model_type == PUBLISHED or (model_type == _KNOWN and _OPTION in config)


def configuration(options: Options) -> Mapping[str, Any]:
    """The configuration as `transformers` would have it.

    Raises:
        SourceError: an option has a value that is not supported.
    """
    for key, value in _FIXED.items():
        options.fix(key, value)
    options.ignore(*_IGNORED)
    theta = options.positive_number("rope_theta", _THETA)
    scaling = Options(options.file, options.take("rope_scaling", dict | None) or {})
    known = {**_USUAL, **options.left, "model_type": _KNOWN}
    width = _head_width(Options(options.file, known))
    return {**known, "rope_parameters": _rope(scaling, theta, width)}


def tensors(found: Checkpoint) -> Mapping[str, np.ndarray]:
    """The tensors, under the prefix of `transformers` where they have one."""
    stored, prefix = found.tensors(), encoders.architectures()[_KNOWN].table.prefix
    return LazyTensors.renamed(stored, {_PREFIX.sub(prefix, each): each for each in stored})


def _head_width(options: Options) -> int:
    width, heads = options.positive("hidden_size"), options.positive("num_attention_heads")
    return (width or 0) // (heads or 1) or 1


def _rope(scaling: Options, theta: float, width: int) -> Mapping[str, Any]:
    """What `transformers` calls `rope_parameters`.

    Args:
        scaling: the options of the scaling; none for none.
        theta: the base of the wavelengths.
        width: K, of a head.

    Raises:
        SourceError: the scaling is of another kind, or beyond what numbers can be.
    """
    if not scaling.left:
        return {"rope_type": "default", "rope_theta": theta}
    scaling.fix("type", "ntk")
    scaling.fix("mixed_b", None)
    factor = scaling.positive_number("factor")
    scaling.close()
    if factor <= 1:  # no row is longer than those of the first training
        return {"rope_type": "default", "rope_theta": theta}
    base, grown = theta * factor, factor ** (2 / width)
    if math.isinf(base):
        raise SourceError(f"{scaling.file}: factor: {factor} times rope_theta {theta} overflows")
    return {"rope_type": "linear", "rope_theta": base, "factor": grown}
