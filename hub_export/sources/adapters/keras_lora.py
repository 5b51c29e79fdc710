"""LoRA as keras-hub's `save_lora_weights` writes it, merged into the preset that it adapts.

A `.lora.h5` holds the two factors of what is added to a kernel, float32 [..., R] and [R, N], under
the number of the kernel's layer: its place among all layers of the backbone that have weights, as
Keras lists them. Neither the preset nor a factor (alpha) is told: keras-hub reads them with one.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np

from encoders import Row
from hub_export.errors import SourceError
from hub_export.sources.checkpoint import BASE, Checkpoint
from hub_export.sources.formats.json_files import sums
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.sources.keras import h5, preset

ENDING = ".lora.h5"
_FACTOR = re.compile(r"lora/([0-9]+)/vars/lora_kernel_([ab])")
_RANK = "lora/vars/rank"


def recognises(path: Path) -> bool:
    """Whether this is such a file, or a folder with one and no checkpoint."""
    if path.is_file():
        return path.name.endswith(ENDING)
    return not (path / preset.CONFIG).exists() and any(path.glob(f"*{ENDING}"))


@dataclasses.dataclass(frozen=True)
class Adapter:
    """An adapter that has been found.

    Attributes:
        file: its weights.
        tensors: its factors, by their names.
        layers: number of a layer -> the names of its two factors.
    """

    file: Path
    tensors: Mapping[str, np.ndarray]
    layers: Mapping[int, tuple[str, str]]
    base_model: str = ""
    base_revision: str = ""

    @classmethod
    def read(cls, path: Path) -> "Adapter":
        """Reads an adapter.

        Args:
            path: its file, or the folder that holds it.

        Raises:
            SourceError: the file is damaged, or there are several.
        """
        files = [path] if path.is_file() else sorted(path.glob(f"*{ENDING}"))
        if len(files) > 1:
            listed = ", ".join(each.name for each in files)
            raise SourceError(
                f"{path}: expected one adapter, found {listed}; name one of these files"
            )
        [file] = files
        tensors = h5.read(file)
        return cls(file, tensors, _layers(file, tensors.keys()))

    def merged(self, base: Checkpoint, name: str, revision: str) -> Checkpoint:
        """The preset with the adapter in it.

        Args:
            base: the preset.
            name: what the user calls the adapter.
            revision: its commit, if it was downloaded.

        Raises:
            SourceError: it adapts another one, or a layer that none of the rows is made of.
        """
        if not preset.recognises(base.config_file.parent):
            raise SourceError(
                f"{self.file}: adapts a preset of keras-hub, but {base.name} is none; say which "
                "with --base_model"
            )
        rows = self._rows(base)
        return dataclasses.replace(
            base,
            name=name.removesuffix(ENDING),
            revision=revision,
            weights_file=self.file,
            tensors=functools.partial(self._merge, base.tensors, rows),
            files={**{BASE + file: each for file, each in base.files.items()}, **sums([self.file])},
            notes=(*base.notes, f"A LoRA adapter, merged into the weights of {base.name}."),
        )

    def _rows(self, base: Checkpoint) -> Mapping[int, Row]:
        """Number of a layer -> the row of its kernel."""
        kernels = preset.kernels(base.config_file)
        if unknown := sorted(self.layers.keys() - kernels.keys()):
            raise SourceError(
                f"{self.file}: adapts layer {unknown[0]}, which is no dense layer of {base.name}; "
                "say the right base model with --base_model"
            )
        return {number: kernels[number] for number in self.layers}

    def _merge(
        self, read: Callable[[], Mapping[str, np.ndarray]], rows: Mapping[int, Row]
    ) -> LazyTensors:
        tensors = read()
        readers = {name: functools.partial(tensors.__getitem__, name) for name in tensors}
        return LazyTensors(readers).with_others(
            {
                row.target: functools.partial(self._changed, tensors, row, number)
                for number, row in rows.items()
            }
        )

    def _changed(self, tensors: Mapping[str, np.ndarray], row: Row, number: int) -> np.ndarray:
        """A kernel with what is added to it, float32."""
        kernel = np.asarray(tensors[row.target], np.float32)
        first, second = (np.asarray(self.tensors[name], np.float32) for name in self.layers[number])
        shapes = f"{[*first.shape]} and {[*second.shape]}"
        if first.ndim > 1 and second.ndim == 2 and first.shape[-1] == second.shape[0]:
            added = row.change.apply(first @ second)
            if added.shape == kernel.shape:
                return kernel + added
        raise SourceError(
            f"{self.file}: factors {shapes} of layer {number} do not go with {row.target} "
            f"{[*kernel.shape]}; say the right base model with --base_model"
        )


def _layers(file: Path, names: Collection[str]) -> dict[int, tuple[str, str]]:
    """Number of a layer -> the names of its two factors."""
    found = dict[int, dict[str, str]]()
    for name in sorted({*names} - {_RANK}):
        match = _FACTOR.fullmatch(name)
        if match is None:
            raise SourceError(f"{file}: {name} is none of what save_lora_weights writes")
        found.setdefault(int(match[1]), {})[match[2]] = name
    if not found:
        raise SourceError(f"{file}: has no factors (lora/<layer>/vars/lora_kernel_a and _b)")
    for number, parts in found.items():
        if len(parts) < 2:
            [name] = parts.values()
            raise SourceError(
                f"{file}: has {name}, but not the other factor of layer {number}; save the adapter "
                "again"
            )
    return {number: (parts["a"], parts["b"]) for number, parts in found.items()}
