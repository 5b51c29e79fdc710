"""Adapters of AdapterHub, as the library `adapters` and its predecessors save them.

Bottleneck adapters (Houlsby, Pfeiffer, parallel) are computed inside the encoder; LoRA and IA3 are
merged into it. The prediction head that is saved beside an adapter comes along.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hub_export.errors import SourceError
from hub_export.sources import huggingface
from hub_export.sources.adapters import bottleneck, head, lora, peft, peft_options
from hub_export.sources.adapters.prefixes import own_prefix, prefix_of
from hub_export.sources.checkpoint import BASE, Checkpoint
from hub_export.sources.formats.json_files import read_json, sums
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.sources.formats.weights_file import WeightsFile

CONFIG, FUSION = "adapter_config.json", "adapter_fusion_config.json"
WEIGHTS = ("adapter.safetensors", "pytorch_adapter.bin")
SUPPORTED = tuple(bottleneck.PLACES)
"""By `model_type`."""
_NO_LORA = ("deberta",)  # its query, key and value are adapted in one
_LORA = "lora"
_UNSUPPORTED = {
    "mtl_lora": "MTL-LoRA",
    "prefix_tuning": "prefix tuning",
    "prompt_tuning": "prompt tuning",
    "reft": "ReFT",
    "union": "a union of several kinds (mix-and-match, UniPELT)",
}
_VERSION = re.compile(r"adapters\.(\d+)\.(\d+).*")
_RIGHT_ALPHA = (1, 1)
"""The version from which on LoRA's alpha counts."""


def recognises(folder: Path) -> bool:
    """Whether a folder has an adapter of AdapterHub.

    Raises:
        SourceError: its configuration is no JSON.
    """
    if (folder / FUSION).exists():
        return True
    file = folder / CONFIG
    return file.exists() and {"config", "model_type"} <= read_json(file).keys()


@dataclasses.dataclass(frozen=True)
class Adapter:
    """An adapter whose files have been found.

    Attributes:
        file: its configuration.
        base_model: what it was trained on, by its own account; or nothing.
        base_revision: nothing: it does not say.
        config: what the file says.
        weights: its tensors.
        head: its prediction head, where it has one.
    """

    file: Path
    base_model: str
    base_revision: str
    config: Mapping[str, Any]
    weights: WeightsFile
    head: head.Head | None

    @classmethod
    def read(cls, folder: Path) -> "Adapter":
        """Reads an adapter.

        Raises:
            SourceError: a file is missing or damaged, or adapters of its kind are not supported.
        """
        if (folder / FUSION).exists():
            raise SourceError(f"{folder / FUSION}: AdapterFusion is not supported")
        file = folder / CONFIG
        config = read_json(file)
        own, base = config["config"], config.get("model_name") or ""
        if not isinstance(own, dict) or not isinstance(base, str):
            raise SourceError(
                f"{file}: expected an object for config and a text for model_name, found "
                f"{own!r:.100} and {base!r:.100}; save the adapter again with the library adapters"
            )
        kind = own.get("architecture")
        if kind not in (None, _LORA):
            raise SourceError(
                f"{file}: {_UNSUPPORTED.get(str(kind), kind)} is not supported; supported: "
                "bottleneck adapters, LoRA and IA3"
            )
        weights = WeightsFile.find(folder, WEIGHTS)
        if weights is None:
            raise SourceError(f"{folder}: no weights; expected one of {', '.join(WEIGHTS)}")
        return cls(file, base, "", config, weights, head.read(folder))

    def merged(self, base: Checkpoint, name: str, revision: str) -> Checkpoint:
        """The base model with the adapter in it.

        Args:
            base: the model that it adapts.
            name: what the user calls the adapter.
            revision: its commit, if it was downloaded.

        Raises:
            SourceError: it does not go with the base model, or an option is not supported.
        """
        expected, model_type = self.config["model_type"], base.config.get("model_type")
        if expected not in SUPPORTED:
            raise SourceError(
                f"{self.file}: adapters of model_type {expected} are not supported; supported: "
                + ", ".join(SUPPORTED)
            )
        if model_type != expected:
            raise SourceError(
                f"{self.file}: is for model_type {expected}, but {base.name} is {model_type}; say "
                "the right base model with --base_model"
            )
        is_lora = self.config["config"].get("architecture") == _LORA
        made = (self._merged if is_lora else self._inside)(base, name, revision)
        return made if self.head is None else self.head.on(made)

    @property
    def _name(self) -> str:
        return str(self.config.get("name"))

    @property
    def _options(self) -> Options:
        return Options(self.file, self.config["config"])

    @property
    def _version(self) -> tuple[int, ...] | None:
        """That of the library `adapters`; None of its predecessors'."""
        match = _VERSION.fullmatch(str(self.config.get("version")))
        return match and tuple(map(int, match.groups()))

    def _merged(self, base: Checkpoint, name: str, revision: str) -> Checkpoint:
        """With LoRA or IA3 merged into the weights."""
        if (model_type := base.config["model_type"]) in _NO_LORA:
            raise SourceError(f"{self.file}: LoRA of model_type {model_type} is not supported")
        has_wrong_alpha = self._version is not None and self._version < _RIGHT_ALPHA
        read = lora.read(self._options, self._name, self.weights.tensors, has_wrong_alpha)
        return peft.Adapter(
            file=self.file,
            weights=self.weights.path,
            base_model=self.base_model,
            base_revision=self.base_revision,
            config={"peft_type": read.kind},
            tensors=read.tensors,
            alphas={peft_options.ALL: read.alpha},
        ).merged(base, name, revision)

    def _inside(self, base: Checkpoint, name: str, revision: str) -> Checkpoint:
        """With the adapters in the blocks."""
        if base.adapters is not None:
            raise SourceError(f"{self.file}: a stack of adapters is not supported")
        is_old = "version" not in self.config
        tensors = self.weights.tensors
        read = bottleneck.read(self._options, base.config, self._name, tensors, is_old)
        own = sums([self.file, self.weights.path])
        adapted = dataclasses.replace(
            base,
            name=name,
            revision=revision,
            folder=None,
            weights_file=self.weights.path,
            tensors=functools.partial(_beside, base, read.tensors),
            adapters=read.adapters,
            files={**{BASE + file: each for file, each in base.files.items()}, **own},
            notes=(*base.notes, f"Bottleneck adapters, inside the blocks of {base.name}."),
        )
        return huggingface.with_own_files(adapted, self.file.parent)


def _beside(base: Checkpoint, adapters: Mapping[str, np.ndarray]) -> LazyTensors:
    """The tensors of a base model and of its adapters."""
    tensors = base.tensors()
    prefix = own_prefix(tensors, prefix_of(base))
    own = {f"{prefix}{each}": functools.partial(adapters.__getitem__, each) for each in adapters}
    return LazyTensors(
        {**{each: functools.partial(tensors.__getitem__, each) for each in tensors}, **own}
    )
