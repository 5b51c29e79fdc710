"""PEFT adapters, merged into their base model.

- LoRA (https://arxiv.org/abs/2106.09685): a weight W becomes W + s * B A, with s = alpha / r, or
  alpha / sqrt(r) where the adapter is rank-stabilised (https://arxiv.org/abs/2312.03732).
- DoRA (https://arxiv.org/abs/2402.09353): the rows of that sum get the lengths m that were learned.
- IA3 (https://arxiv.org/abs/2205.05638): what a layer gives, or what it gets, is multiplied by l.

All else that the adapter holds (biases, modules that were trained in full, the head of a task)
replaces what the base model has. A tensor is made when it is read.
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

from encoders import Classification, QuestionAnswering, TaskHead, TokenClassification
from hub_export.errors import SourceError
from hub_export.sources import huggingface
from hub_export.sources.adapters.prefixes import own_prefix, prefix_of, prefixed
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.json_files import read_json, sums
from hub_export.sources.formats.tensors import LazyTensors, SafetensorsFiles

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# `transformers` gives its modules, and with them the adapter's tensors, names that are not those of
# the checkpoint's tensors; or, of GPT-2, the checkpoint has its kernels turned.
UNSUPPORTED = ("gpt2", "gte", "jina_embeddings_v3", "nomic_bert", "static_embedding")
_NAMES = {"LORA": "LoRA", "IA3": "IA3"}
_DEFAULT_ALPHA, _MOST_ALPHA = 8, 1e9
ALL = ".*"
_PARTS = {"lora_A": "A", "lora_B": "B", "lora_embedding_A": "A", "lora_embedding_B": "B"}
_MAGNITUDE, _FACTORS = "lora_magnitude_vector", "ia3_l"
_PART = re.compile(rf"(.*)\.({'|'.join([*_PARTS, _MAGNITUDE, _FACTORS])})(?:\.weight)?")
_TASKS: Mapping[str, type[TaskHead]] = {
    "SEQ_CLS": Classification,
    "TOKEN_CLS": TokenClassification,
    "QUESTION_ANS": QuestionAnswering,
}
"""`task_type` -> the head that the adapter brings along."""
_OLD_NORMS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}

# Options that say how the adapter was trained, or what the names of its tensors say again.
# PEFT itself passes over `fan_in_fan_out` where a layer is `torch.nn.Linear`, as all are here.
_IGNORED = frozenset(
    """
    alpha_pattern auto_mapping base_model_name_or_path bias ensure_weight_tying eva_config
    exclude_modules fan_in_fan_out feedforward_modules inference_mode init_ia3_weights
    layers_pattern layers_to_transform lora_alpha lora_dropout megatron_core modules_to_save
    peft_version qalora_group_size r rank_pattern revision target_modules task_type use_dora
    use_rslora
    """.split()
)
# Options that would change what is computed, with the values under which they do not.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "peft_type": ("LORA", "IA3"),
    # Others change the base model's weights, too.
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),
}


@dataclasses.dataclass(frozen=True)
class Adapter:
    """An adapter whose configuration has been read.

    Attributes:
        file: its configuration.
        weights: its weights.
        base_model: what it was trained on, by its own account; or nothing.
        base_revision: the commit, branch or tag of that; or nothing.
        config: its options.
        tensors: its tensors, without PEFT's prefix.
        alphas: pattern of modules -> alpha; the first one that matches counts.
    """

    file: Path
    weights: Path
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
        return cls(file, weights, base, revision, config, _named(weights), _alphas(file, config))

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
        own, kind = sums([self.file, self.weights]), _NAMES[self.config.get("peft_type", "LORA")]
        head = self._head(base)
        heads = () if head else sorted(self._heads(prefix_of(base)))
        merged = dataclasses.replace(
            base,
            name=name,
            revision=revision,
            folder=None,
            config=base.config if head is None else self._config(base, head),
            weights_file=self.weights,
            tensors=functools.partial(self._merge, base, head is not None),
            head_form=base.head_form if head is None else None,
            head_problem=base.head_problem if head is None else "",
            files={**{f"base model: {file}": each for file, each in base.files.items()}, **own},
            unused={**base.unused, **dict.fromkeys(heads, "belongs to a task head")},
            notes=(
                *base.notes,
                f"A {kind} adapter, merged into the weights of {base.name}.",
            ),
        )
        return huggingface.with_own_files(merged, folder)

    def _heads(self, prefix: str) -> set[str]:
        """The tensors beside the encoder, where the adapter is of a task model."""
        if not any(name.startswith(prefix) for name in self.tensors):
            return set()
        return {name for name in self.tensors if not name.startswith(prefix)}

    def _head(self, base: Checkpoint) -> type[TaskHead] | None:
        """What the adapter's own head does; None where it has none, or one of no use."""
        head = _TASKS.get(str(self.config.get("task_type")))
        if head is None or base.config.get("model_type") not in head.forms:
            return None
        return head if f"{head.form_of(base.config).output}.weight" in self.tensors else None

    def _config(self, base: Checkpoint, head: type[TaskHead]) -> Mapping[str, Any]:
        """That of the base model, of a model for the task.

        The names of the labels are the base model's, if it has as many.
        """
        count = len(self.tensors[f"{head.form_of(base.config).output}.weight"])
        config = {**base.config, "architectures": [f"PeftModel{head.ending}"]}
        named = config.get("id2label")
        if not isinstance(named, dict) or len(named) != count:
            config = {k: v for k, v in config.items() if k not in ("label2id", "num_labels")}
            config["id2label"] = {str(at): f"LABEL_{at}" for at in range(count)}
        return config

    def _merge(self, base: Checkpoint, with_head: bool) -> LazyTensors:
        tensors, prefix = base.tensors(), prefix_of(base)
        heads = self._heads(prefix)
        tensors = prefixed(tensors, prefix) if with_head else tensors
        # The base model and the adapter may have been saved as a task model or not, each by itself.
        names = {_modern(name).removeprefix(prefix): name for name in tensors}
        before = own_prefix(tensors, prefix)
        merged: dict[str, Callable[[], np.ndarray]] = {
            name: functools.partial(tensors.__getitem__, name) for name in tensors
        }
        for name in self.tensors.keys() - (set() if with_head else heads):
            module, part = _split(name)
            bare = (f"{module}.weight" if part else name).removeprefix(prefix)
            target = names.get(bare, bare if name in heads else before + bare)
            if not part:
                merged[target] = functools.partial(self.tensors.__getitem__, name)
            elif target not in tensors:
                raise SourceError(
                    f"{self.weights}: adapts {module}, which {base.name} does not "
                    "have; say the right base model with --base_model"
                )
            elif part == _FACTORS:
                bias = target.removesuffix("weight") + "bias"
                for each in {target, bias} & tensors.keys():
                    merged[each] = functools.partial(self._scaled, tensors, each, name)
            elif part == _MAGNITUDE:
                if f"{module}.lora_A.weight" not in self.tensors:
                    raise SourceError(f"{self.weights}: has {name}, but no {module}.lora_A.weight")
            elif _other(name) not in self.tensors:
                raise SourceError(f"{self.weights}: has {name}, but no {_other(name)}")
            elif part == "A":
                merged[target] = functools.partial(self._sum, tensors, target, module, name)
        return LazyTensors(merged)

    def _scaled(self, tensors: Mapping[str, np.ndarray], target: str, name: str) -> np.ndarray:
        """Weight or bias of a layer whose outputs, or inputs, are multiplied by l, in float32."""
        values = np.asarray(tensors[target], np.float32)
        factors = np.asarray(self.tensors[name], np.float32)
        is_bias, is_of_outputs = values.ndim == 1, factors.shape == (len(values), 1)
        if is_of_outputs or (not is_bias and factors.shape == (1, values.shape[1])):
            return values * (factors[:, 0] if is_bias else factors)
        if is_bias and len(factors) == 1:  # of inputs
            return values
        raise self._unfit(name, factors, target, values)

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
            raise self._unfit(f"{name} {list(a.shape)} and {second}", b, target, weight)
        total: np.ndarray = weight + np.float32(self._scale(module, len(a))) * product
        lengths = self._lengths(module)
        if lengths is None:
            return total
        if "lora_embedding" in name or lengths.shape != total.shape[:1]:
            raise self._unfit(f"{module}.{_MAGNITUDE}", lengths, target, weight)
        return total * (lengths / np.linalg.norm(total, axis=1))[:, np.newaxis]

    def _lengths(self, module: str) -> np.ndarray | None:
        """Those that DoRA has learned for the rows of a weight."""
        for name in (f"{module}.{_MAGNITUDE}", f"{module}.{_MAGNITUDE}.weight"):
            if name in self.tensors:
                return np.asarray(self.tensors[name], np.float32)
        return None

    def _unfit(
        self, names: str, values: np.ndarray, target: str, weight: np.ndarray
    ) -> SourceError:
        """What to raise where tensors do not go together."""
        return SourceError(
            f"{self.weights}: {names} {list(values.shape)} do not go with {target} "
            f"{list(weight.shape)}; say the right base model with --base_model"
        )

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
    found = {ALL: config.get("lora_alpha", _DEFAULT_ALPHA)}
    found = patterns if ALL in patterns else {**patterns, **found}
    for pattern, alpha in found.items():
        if not isinstance(alpha, int | float) or not abs(alpha) < _MOST_ALPHA:
            where = "lora_alpha" if pattern == ALL else f"alpha_pattern: {pattern}"
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
    match = _PART.fullmatch(name)
    return (match[1], _PARTS.get(match[2], match[2])) if match else (name, "")


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
