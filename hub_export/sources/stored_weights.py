"""The weights of a checkpoint in Hugging Face layout, under the names that `transformers` knows."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import encoders
from encoders import FillMask
from hub_export.errors import SourceError
from hub_export.sources.formats import torch_files
from hub_export.sources.formats.json_files import is_name, read_json
from hub_export.sources.formats.tensors import LazyTensors, SafetensorsFiles
from hub_export.sources.formats.wrappers import unwrapped, wrapper_of

SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")

_WORDS = "embeddings.word.table"

Tensors = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class StoredWeights:
    """A file of weights, or an index of several.

    Attributes:
        file: where it is, or should be.
        config: the configuration beside it.
    """

    file: Path
    config: Mapping[str, Any]

    @classmethod
    def find(cls, folder: Path, config: Mapping[str, Any]) -> "StoredWeights":
        """Those of a folder."""
        found = (folder / name for name in SAFE + PICKLED if (folder / name).exists())
        return cls(next(found, folder / SAFE[0]), config)

    @property
    def files(self) -> list[Path]:
        """The files that hold the tensors: one, or the shards of an index.

        Raises:
            SourceError: the index is damaged, or a shard is missing.
        """
        return sorted(set(self._shards.values())) if self._is_index else [self.file]

    def tensors(self) -> Tensors:
        """The tensors by name, without what training left around the names.

        Raises:
            SourceError: a file is missing or damaged.
        """
        found = unwrapped(self._stored())
        if not (tied := self._tied(found)):
            return found
        word, decoder = tied
        return LazyTensors.renamed(found, {**{name: name for name in found}, word: decoder})

    @functools.cached_property
    def notes(self) -> tuple[str, ...]:
        """What `transformers` would not read as it is read here; none of a file that is damaged."""
        if not self.file.exists() or (self._is_pickled and not torch_files.available()):
            return ()
        try:
            stored = self._stored()
        except SourceError:  # it is told when the tensors are wanted
            return ()
        notes = []
        if wrapper := wrapper_of(stored):
            notes.append(f"Names in {self.file.name} begin with {wrapper}, which is left out.")
        if tied := self._tied(unwrapped(stored)):
            notes.append(f"{self.file.name} has {tied[0]} under the name {tied[1]} only.")
        return tuple(notes)

    @property
    def is_plain(self) -> bool:
        """Whether `transformers` reads it as it is read here; of an index it wants metadata."""
        complete = not self._is_index or "metadata" in read_json(self.file)
        return complete and not self.notes

    @property
    def _is_index(self) -> bool:
        return self.file.suffix == ".json"

    @property
    def _is_pickled(self) -> bool:
        return self.file.name in PICKLED

    @functools.cached_property
    def _shards(self) -> dict[str, Path]:
        """Tensor name -> the file that an index says."""
        content = read_json(self.file).get("weight_map")
        if not isinstance(content, dict) or not all(map(is_name, content.values())):
            raise SourceError(f"{self.file}: expected a weight_map, tensor name -> file")
        shards = {name: self.file.parent / Path(file).name for name, file in content.items()}
        if missing := [shard for shard in sorted(set(shards.values())) if not shard.exists()]:
            raise SourceError(
                f"{missing[0]}: no such file, but {self.file.name} lists it; download it"
            )
        return shards

    def _stored(self) -> Tensors:
        if not self.file.exists():
            raise SourceError(
                f"{self.file.parent}: no weights; expected one of {', '.join(SAFE + PICKLED)}"
            )
        if self._is_pickled:
            shards = [torch_files.load_bin(path) for path in self.files]
            return {name: tensor for shard in shards for name, tensor in shard.items()}
        return SafetensorsFiles(self._shards if self._is_index else {"": self.file})

    def _tied(self, tensors: Tensors) -> tuple[str, str] | None:
        """The names of a word embedding that is missing, and of the decoder that it is tied to."""
        model_type = str(self.config.get("model_type"))
        architecture = encoders.architectures().get(model_type)
        form = FillMask.forms.get(model_type)
        if architecture is None or form is None or not self.config.get("tie_word_embeddings", True):
            return None
        table = architecture.table
        word = next(row.sources[0] for row in table.rows if row.target == _WORDS)
        decoder, full = f"{form.decoder}.weight", f"{table.prefix}{word}"
        if decoder not in tensors or word in tensors or full in tensors:
            return None
        return full, decoder
