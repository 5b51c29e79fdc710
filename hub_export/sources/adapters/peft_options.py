"""The configuration of a PEFT adapter."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from hub_export.errors import SourceError

NAMES = {"LORA": "LoRA", "IA3": "IA3", "LOHA": "LoHa", "VERA": "VeRA", "OFT": "OFT"}
"""`peft_type` -> what its authors call it."""
ALL = ".*"
"""The pattern of all modules."""
_DEFAULT_ALPHA, _MOST_ALPHA = 8, 1e9

# Options that say how the adapter was trained, or what the names of its tensors say again.
# PEFT itself passes over `fan_in_fan_out` where a layer is `torch.nn.Linear`, as all are here.
_IGNORED = frozenset(
    """
    alpha alpha_pattern auto_mapping base_model_name_or_path bias block_share coft d_initial
    ensure_weight_tying eps eva_config exclude_modules fan_in_fan_out feedforward_modules
    inference_mode init_ia3_weights init_weights layers_pattern layers_to_transform lora_alpha
    lora_dropout megatron_core module_dropout modules_to_save num_cayley_neumann_terms
    oft_block_size peft_version projection_prng_key qalora_group_size r rank_dropout rank_pattern
    revision save_projection target_modules task_type trainable_token_indices
    use_cayley_neumann use_dora use_effective_conv2d use_rslora vera_dropout
    """.split()
)
# Options that would change what is computed, with the values under which they do not.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "peft_type": tuple(NAMES),
    # Others change the base model's weights, too.
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),
}


def check(file: Path, config: Mapping[str, Any]) -> None:
    """Raises SourceError for options that are not supported."""
    problems = [
        f"{name}: {config.get(name)!r} is not supported; supported: " + ", ".join(map(repr, values))
        for name, values in _FIXED.items()
        if config.get(name, values[0]) not in values
    ]
    problems += [
        f"{name}: {value!r} is not supported"
        for name, value in config.items()
        if value and name not in _IGNORED and name not in _FIXED
    ]
    if problems:
        raise SourceError(f"{file}: unsupported adapter:\n  " + "\n  ".join(problems))


def base(file: Path, config: Mapping[str, Any]) -> list[str]:
    """The base model that a configuration names, and its revision."""
    found = []
    for key in ("base_model_name_or_path", "revision"):
        value = config.get(key) or ""
        if not isinstance(value, str):
            raise SourceError(f"{file}: {key}: expected a text, found {value!r:.100}")
        found.append(value)
    return found


def alphas(file: Path, config: Mapping[str, Any]) -> dict[str, float]:
    """The patterns of `alpha_pattern`, and one of all modules for `lora_alpha`."""
    patterns = config.get("alpha_pattern") or {}
    if not isinstance(patterns, dict):
        raise SourceError(f"{file}: alpha_pattern: expected an object, found {patterns!r:.100}")
    for pattern in patterns:
        try:
            matches(pattern, "")
        except (tf.errors.InvalidArgumentError, UnicodeEncodeError) as error:
            raise SourceError(
                f"{file}: alpha_pattern: {pattern!a:.100} is no regular expression of RE2 (which "
                "has no look-around and no references back); write out the modules"
            ) from error
    key = "alpha" if config.get("peft_type") == "LOHA" else "lora_alpha"
    found = {ALL: config.get(key, _DEFAULT_ALPHA)}
    found = patterns if ALL in patterns else {**patterns, **found}
    for pattern, alpha in found.items():
        if not isinstance(alpha, int | float) or not abs(alpha) < _MOST_ALPHA:
            where = key if pattern == ALL else f"alpha_pattern: {pattern}"
            raise SourceError(f"{file}: {where}: expected a number, found {alpha!r:.100}")
    return {pattern: float(alpha) for pattern, alpha in found.items()}


def matches(pattern: str, module: str) -> bool:
    """As PEFT understands the keys of `alpha_pattern`, but in RE2, which cannot run away."""
    return bool(tf.strings.regex_full_match(module, rf"(.*\.)?({pattern})"))
