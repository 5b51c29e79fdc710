"""A file of tensors by its name: safetensors, or what torch pickled."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hub_export.sources.formats import torch_files
from hub_export.sources.formats.tensors import SafetensorsFiles


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """A file of tensors."""

    path: Path

    @classmethod
    def find(cls, folder: Path, names: Sequence[str]) -> "WeightsFile | None":
        """The first one that is there."""
        return next((cls(folder / name) for name in names if (folder / name).exists()), None)

    @functools.cached_property
    def tensors(self) -> Mapping[str, np.ndarray]:
        """Its tensors by name.

        Raises:
            SourceError: the file is damaged, or holds anything else.
        """
        if self.path.suffix == ".bin":
            return torch_files.load_bin(self.path)
        return SafetensorsFiles({"": self.path})
