"""PEFT adapters, merged into their base model.

What each kind makes of a weight is in `changes`. All else that the adapter holds (biases, modules
that were trained in full, the head of a task) replaces what the base model has. A tensor is made
when it is read.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from encoders import Classification, QuestionAnswering, TaskHead, TokenClassification
from hub_export.errors import SourceError
from hub_export.sources import huggingface
from hub_export.sources.adapters.changes import KINDS, SHARED, Given, Kind, UnfitError
from hub_export.sources.adapters.prefixes import own_prefix, prefix_of, prefixed
from hub_export.sources.checkpoint import BASE, Checkpoint
from hub_export.sources.formats.json_files import read_json, sums
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.sources.formats.weights_file import WeightsFile

CONFIG, WEIGHTS = "adapter_config.json", ("adapter_model.safetensors", "adapter_model.bin")
# `transformers` has no such model, or gives its modules, and with them the adapter's tensors, names
# that are not those of the checkpoint's; or, of GPT-2, the checkpoint has its kernels turned.
UNSUPPORTED = (
    *("gpt2", "gte", "jina_bert", "jina_bert_qk_post_norm", "jina_embeddings_v3"),
    *("nomic_bert", "nomic_bert_moe", "static_embedding"),
)
_NAMES = {"LORA": "LoRA", "IA3": "IA3", "LOHA": "LoHa", "VERA": "VeRA", "OFT": "OFT"}
_DEFAULT_ALPHA, _MOST_ALPHA = 8, 1e9
ALL = ".*"
_PARTS = "|".join(re.escape(part) for kind in KINDS for part in kind.parts)
_PREFIX = re.compile(r"base_model\.(model\.)?")
_PART = re.compile(rf"(.*)\.({_PARTS})(?:\.weight)?")
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
    "peft_type": tuple(_NAMES),
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
        weights = WeightsFile.find(folder, WEIGHTS)
        if weights is None:
            raise SourceError(
                f"{folder / WEIGHTS[0]}: no such file; save the adapter as safetensors"
            )
        base, revision = _names(file, config)
        tensors, alphas = _named(weights.tensors), _alphas(file, config)
        return cls(file, weights.path, base, revision, config, tensors, alphas)

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
            files={**{BASE + file: each for file, each in base.files.items()}, **own},
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
        modules = dict[str, dict[str, str]]()
        for name in self.tensors.keys() - (set() if with_head else heads):
            module, part = _split(name)
            if part:
                modules.setdefault(module, {})[part] = name
            elif name.rsplit(".", 1)[-1] not in SHARED:
                bare = name.removeprefix(prefix)
                target = names.get(bare, bare if name in heads else before + bare)
                merged[target] = functools.partial(self.tensors.__getitem__, name)
        for module, parts in modules.items():
            bare = f"{module}.weight".removeprefix(prefix)
            target = names.get(bare, before + bare)
            if target not in tensors:
                raise SourceError(
                    f"{self.weights}: adapts {module}, which {base.name} does not have; say the "
                    "right base model with --base_model"
                )
            kinds = self._kinds(module, parts)
            change = functools.partial(self._changed, tensors, module, parts, kinds)
            merged[target] = functools.partial(change, target)
            bias = target.removesuffix("weight") + "bias"
            if bias in tensors and any(each.of_bias for each in kinds):
                merged[bias] = functools.partial(change, bias, is_bias=True)
        return LazyTensors(merged)

    def _kinds(self, module: str, parts: Mapping[str, str]) -> list[Kind]:
        """What is done to a module with parts of these names."""
        kinds = [each for each in KINDS if not parts.keys().isdisjoint(each.needed)]
        needed = [part for each in kinds for part in each.needed] or [
            next(each.needed[0] for each in KINDS if not parts.keys().isdisjoint(each.parts))
        ]
        if missing := [part for part in needed if part not in parts]:
            name = next(iter(parts.values()))
            ending = ".weight" * ("lora_" in missing[0] and "embedding" not in missing[0])
            raise SourceError(f"{self.weights}: has {name}, but no {module}.{missing[0]}{ending}")
        return kinds

    def _changed(
        self,
        tensors: Mapping[str, np.ndarray],
        module: str,
        parts: Mapping[str, str],
        kinds: Sequence[Kind],
        target: str,
        is_bias: bool = False,
    ) -> np.ndarray:
        """A weight, or a bias, with what the adapter does to it."""
        made = np.asarray(tensors[target], np.float32)
        given = Given(module, self._alpha(module), self.config, self._shared(module))
        for kind in kinds:
            own = {part: parts[part] for part in kind.parts if part in parts}
            read = {part: np.asarray(self.tensors[own[part]], np.float32) for part in own}
            try:
                if is_bias:
                    made = made if kind.of_bias is None else kind.of_bias(made, read)
                else:
                    made = kind.change(made, read, given)
            except UnfitError as error:
                shapes = [f"{own[part]} {list(values.shape)}" for part, values in read.items()]
                raise SourceError(
                    f"{self.weights}: {' and '.join(shapes)} do not go with {target} "
                    f"{list(made.shape)}; say the right base model with --base_model"
                ) from error
        return made

    def _shared(self, module: str) -> Mapping[str, np.ndarray]:
        """The tensors of all layers; VeRA's alone has any."""
        if self.config.get("peft_type") != "VERA":
            return {}
        found = {
            part: np.asarray(self.tensors[name], np.float32)
            for name in self.tensors
            if (part := name.rsplit(".", 1)[-1]) in SHARED
        }
        if found.keys() != {*SHARED}:
            raise SourceError(
                f"{self.weights}: adapts {module}, but has no {' and '.join(SHARED)}; save the "
                "adapter with save_projection=True"
            )
        return found

    def _alpha(self, module: str) -> float:
        return next(each for pattern, each in self.alphas.items() if _matches(pattern, module))


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
    key = "alpha" if config.get("peft_type") == "LOHA" else "lora_alpha"
    found = {ALL: config.get(key, _DEFAULT_ALPHA)}
    found = patterns if ALL in patterns else {**patterns, **found}
    for pattern, alpha in found.items():
        if not isinstance(alpha, int | float) or not abs(alpha) < _MOST_ALPHA:
            where = key if pattern == ALL else f"alpha_pattern: {pattern}"
            raise SourceError(f"{file}: {where}: expected a number, found {alpha!r:.100}")
    return {pattern: float(alpha) for pattern, alpha in found.items()}


def _named(stored: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The tensors of an adapter by the names that its base model gives its parts."""
    bare = {_PREFIX.sub("", name).replace(".base_layer.", "."): name for name in stored}
    return LazyTensors.renamed(stored, {_modern(new): old for new, old in bare.items()})


def _split(name: str) -> tuple[str, str]:
    """`x.lora_A.weight` -> `x`, `lora_A`; what replaces another -> its name, nothing."""
    match = _PART.fullmatch(name)
    return (match[1], match[2]) if match else (name, "")


def _matches(pattern: str, module: str) -> bool:
    """As PEFT understands the keys of `alpha_pattern`, but in RE2, which cannot run away."""
    return bool(tf.strings.regex_full_match(module, rf"(.*\.)?({pattern})"))


def _modern(name: str) -> str:
    """The norms' parameters have other names in checkpoints that came from TensorFlow."""
    for old, new in _OLD_NORMS.items():
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name
