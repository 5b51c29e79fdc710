"""PEFT adapters of type LoRA (https://arxiv.org/abs/2106.09685), merged into their base model.

An adapted weight W becomes W + s * B A, with s = alpha / r, or alpha / sqrt(r) where the adapter is
rank-stabilised (https://arxiv.org/abs/2312.03732). All else that the adapter holds (biases, modules
that were trained in full) replaces what the base model has. A sum is made when its tensor is read.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import encoders
from hub_export.errors import SourceError
from hub_export.sources import huggingface
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.json_files import read_json, sums
from hub_export.sources.formats.tensors import LazyTensors, SafetensorsFiles

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# `transformers` gives its modules, and with them the adapter's tensors, names that are not those of
# the checkpoint's tensors.
UNSUPPORTED = ("nomic_bert",)
_DEFAULT_ALPHA, _MOST_ALPHA = 8, 1e9
_ALL = ".*"
_LORA = re.compile(r"(.*)\.lora_(?:embedding_)?([AB])(?:\.weight)?")
_OLD_NORMS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}

# Options that say how the adapter was trained, or what the names of its tensors say again.
# PEFT itself passes over `fan_in_fan_out` where a layer is `torch.nn.Linear`, as all are here.
_IGNORED = frozenset(
    """
    alpha_pattern auto_mapping base_model_name_or_path bias ensure_weight_tying eva_config
    exclude_modules
    fan_in_fan_out inference_mode layers_pattern layers_to_transform lora_alpha lora_dropout
    megatron_core modules_to_save peft_version qalora_group_size r rank_pattern revision
    target_modules task_type use_rslora
    """.split()
)
# Options that would change what is computed, with the values under which they do not.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    # Others change the base model's weights, too.
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),
}


@dataclasses.dataclass(frozen=True)
class Adapter:
    """An adapter whose configuration has been read.

    Attributes:
        file: its configuration.
        base_model: what it was trained on, by its own account; or nothing.
        base_revision: the commit, branch or tag of that; or nothing.
        config: its options.
        tensors: its tensors, without PEFT's prefix.
        alphas: pattern of modules -> alpha; the first one that matches counts.
    """

    file: Path
    base_model: str
    base_revision: str
    config: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]
    alphas: Mapping[str, float]

    @classmethod
    def read(cls, folder: Path) -> "Adapter":
        """Reads an adapter.

        Raises:
            SourceError: a file is missing or damaged, or an option is not supported.
        """
        file = folder / CONFIG
        config = read_json(file)
        problems = [
            f"{name}: {config.get(name)!r} is not supported; supported: "
            + ", ".join(map(repr, values))
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
        weights = folder / WEIGHTS
        if not weights.exists():
            raise SourceError(f"{weights}: no such file; save the adapter as safetensors")
        base, revision = _names(file, config)
        return cls(file, base, revision, config, _named(weights), _alphas(file, config))

    @property
    def _weights(self) -> Path:
        return self.file.with_name(WEIGHTS)

    def merged(self, base: Checkpoint, name: str, revision: str) -> Checkpoint:
        """The base model with the adapter in it.

        Args:
            base: the model that it adapts.
            name: what the user calls the adapter.
            revision: its commit, if it was downloaded.

        Raises:
            SourceError: its tokenizer is damaged, or adapters of the architecture are unsupported.
        """
        if (model_type := base.config.get("model_type")) in UNSUPPORTED:
            raise SourceError(
                f"{self.file}: adapters of model_type {model_type} are not supported; merge it "
                "into its base model with peft, and export that"
            )
        folder = self.file.parent
        own = sums([self.file, self._weights])
        heads = dict.fromkeys(sorted(self._heads(_prefix(base))), "belongs to a task head")
        merged = dataclasses.replace(
            base,
            name=name,
            revision=revision,
            folder=None,
            weights_file=self._weights,
            tensors=functools.partial(self._merge, base),
            files={**{f"base model: {file}": each for file, each in base.files.items()}, **own},
            unused={**base.unused, **heads},
            notes=(*base.notes, f"A LoRA adapter, merged into the weights of {base.name}."),
        )
        return huggingface.with_own_files(merged, folder)

    def _heads(self, prefix: str) -> set[str]:
        """The tensors beside the encoder, where the adapter is of a task model."""
        if not any(name.startswith(prefix) for name in self.tensors):
            return set()
        return {name for name in self.tensors if not name.startswith(prefix)}

    def _merge(self, base: Checkpoint) -> LazyTensors:
        tensors, prefix = base.tensors(), _prefix(base)
        # The base model and the adapter may have been saved as a task model or not, each by itself.
        names = {_modern(name).removeprefix(prefix): name for name in tensors}
        before = prefix if any(name.startswith(prefix) for name in tensors) else ""
        merged: dict[str, Callable[[], np.ndarray]] = {
            name: functools.partial(tensors.__getitem__, name) for name in tensors
        }
        for name in self.tensors.keys() - self._heads(prefix):
            module, matrix = _split(name)
            bare = (f"{module}.weight" if matrix else name).removeprefix(prefix)
            target = names.get(bare, before + bare)
            if not matrix:
                merged[target] = functools.partial(self.tensors.__getitem__, name)
            elif target not in tensors:
                raise SourceError(
                    f"{self._weights}: adapts {module}, which {base.name} does not "
                    "have; say the right base model with --base_model"
                )
            elif _other(name) not in self.tensors:
                raise SourceError(f"{self._weights}: has {name}, but no {_other(name)}")
            elif matrix == "A":
                merged[target] = functools.partial(self._sum, tensors, target, module, name)
        return LazyTensors(merged)

    def _sum(
        self, tensors: Mapping[str, np.ndarray], target: str, module: str, name: str
    ) -> np.ndarray:
        """W + s * B A, in float32."""
        weight = np.asarray(tensors[target], np.float32)
        second = _other(name)
        a, b = (np.asarray(self.tensors[each], np.float32) for each in (name, second))
        fits = a.ndim == b.ndim == 2 and 0 < len(a) == b.shape[1]
        product = b @ a if fits else np.zeros(0)
        product = product.T if "lora_embedding" in name else product
        if product.shape != weight.shape:
            raise SourceError(
                f"{self._weights}: {name} {list(a.shape)} and {second} "
                f"{list(b.shape)} do not go with {target} {list(weight.shape)}; say the right base "
                "model with --base_model"
            )
        return weight + np.float32(self._scale(module, len(a))) * product

    def _scale(self, module: str, rank: int) -> float:
        alpha = next(each for pattern, each in self.alphas.items() if _matches(pattern, module))
        return alpha / (math.sqrt(rank) if self.config.get("use_rslora") else rank)


def _names(file: Path, config: Mapping[str, Any]) -> list[str]:
    """The base model that a configuration names, and its revision."""
    found = []
    for key in ("base_model_name_or_path", "revision"):
        value = config.get(key) or ""
        if not isinstance(value, str):
            raise SourceError(f"{file}: {key}: expected a text, found {value!r:.100}")
        found.append(value)
    return found


def _alphas(file: Path, config: Mapping[str, Any]) -> dict[str, float]:
    """The patterns of `alpha_pattern`, and one of all modules for `lora_alpha`."""
    patterns = config.get("alpha_pattern") or {}
    if not isinstance(patterns, dict):
        raise SourceError(f"{file}: alpha_pattern: expected an object, found {patterns!r:.100}")
    for pattern in patterns:
        try:
            _matches(pattern, "")
        except (tf.errors.InvalidArgumentError, UnicodeEncodeError) as error:
            raise SourceError(
                f"{file}: alpha_pattern: {pattern!a:.100} is no regular expression of RE2 (which "
                "has no look-around and no references back); write out the modules"
            ) from error
    found = {_ALL: config.get("lora_alpha", _DEFAULT_ALPHA)}
    found = patterns if _ALL in patterns else {**patterns, **found}
    for pattern, alpha in found.items():
        if not isinstance(alpha, int | float) or not abs(alpha) < _MOST_ALPHA:
            where = "lora_alpha" if pattern == _ALL else f"alpha_pattern: {pattern}"
            raise SourceError(f"{file}: {where}: expected a number, found {alpha!r:.100}")
    return {pattern: float(alpha) for pattern, alpha in found.items()}


def _named(weights: Path) -> Mapping[str, np.ndarray]:
    """The tensors of an adapter by the names that its base model gives its parts."""
    stored = SafetensorsFiles({"": weights})
    readers = {
        _modern(
            name.removeprefix("base_model.model.").replace(".base_layer.", ".")
        ): functools.partial(stored.__getitem__, name)
        for name in stored
    }
    return LazyTensors(readers)


def _split(name: str) -> tuple[str, str]:
    """`x.lora_A.weight` -> `x`, `A`; a tensor that replaces another -> its name, nothing."""
    match = _LORA.fullmatch(name)
    return (match[1], match[2]) if match else (name, "")


def _other(name: str) -> str:
    """A -> B, B -> A."""
    found = re.search(r"\.lora_(embedding_)?([AB])", name)
    at = found.end() - 1 if found else len(name)
    return name[:at] + {"A": "B", "B": "A"}.get(name[at : at + 1], "") + name[at + 1 :]


def _matches(pattern: str, module: str) -> bool:
    """As PEFT understands the keys of `alpha_pattern`, but in RE2, which cannot run away."""
    return bool(tf.strings.regex_full_match(module, rf"(.*\.)?({pattern})"))


def _modern(name: str) -> str:
    """The norms' parameters have other names in checkpoints that came from TensorFlow."""
    for old, new in _OLD_NORMS.items():
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name


def _prefix(base: Checkpoint) -> str:
    """What task models put before the encoder's names."""
    architecture = encoders.architectures().get(str(base.config.get("model_type")))
    return architecture.table.prefix if architecture else ""
