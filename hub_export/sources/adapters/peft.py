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

from encoders import Classification, QuestionAnswering, TaskHead, TokenClassification
from hub_export.errors import SourceError
from hub_export.sources import huggingface
from hub_export.sources.adapters import peft_options
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
        peft_options.check(file, config)
        weights = WeightsFile.find(folder, WEIGHTS)
        if weights is None:
            raise SourceError(
                f"{folder / WEIGHTS[0]}: no such file; save the adapter as safetensors"
            )
        base, revision = peft_options.base(file, config)
        tensors, alphas = _named(weights.tensors), peft_options.alphas(file, config)
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
        own = sums([self.file, self.weights])
        kind = peft_options.NAMES[self.config.get("peft_type", "LORA")]
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
        return next(
            each for pattern, each in self.alphas.items() if peft_options.matches(pattern, module)
        )


def _named(stored: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The tensors of an adapter by the names that its base model gives its parts."""
    bare = {_PREFIX.sub("", name).replace(".base_layer.", "."): name for name in stored}
    return LazyTensors.renamed(stored, {_modern(new): old for new, old in bare.items()})


def _split(name: str) -> tuple[str, str]:
    """`x.lora_A.weight` -> `x`, `lora_A`; what replaces another -> its name, nothing."""
    match = _PART.fullmatch(name)
    return (match[1], match[2]) if match else (name, "")


def _modern(name: str) -> str:
    """The norms' parameters have other names in checkpoints that came from TensorFlow."""
    for old, new in _OLD_NORMS.items():
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name
