"""Tensors by name, read one at a time."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from hub_export.errors import SourceError


class LazyTensors(Mapping[str, np.ndarray]):
    """Tensors that are read, or made, whenever they are asked for."""

    def __init__(self, readers: Mapping[str, Callable[[], np.ndarray]]) -> None:
        self._readers = readers

    def __getitem__(self, name: str) -> np.ndarray:
        return self._readers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._readers  # the inherited one reads the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    @classmethod
    def renamed(cls, tensors: Mapping[str, np.ndarray], names: Mapping[str, str]) -> "LazyTensors":
        """Tensors under other names: new name -> the name that it has among `tensors`."""
        return cls({new: functools.partial(tensors.__getitem__, old) for new, old in names.items()})

    def with_others(self, readers: Mapping[str, Callable[[], np.ndarray]]) -> "LazyTensors":
        """These and others."""
        return LazyTensors({**self._readers, **readers})


class SafetensorsFiles(Mapping[str, np.ndarray]):
    """The tensors of one or more files, by name; a tensor is in memory only while it is used."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Opens the files.

        Args:
            files: tensor name -> the file that has it; the empty name stands for all of a file.

        Raises:
            SourceError: a file is missing, truncated or no safetensors file.
        """
        self._open = ExitStack()
        handles = {path: self._handle(path) for path in sorted(set(files.values()))}
        self._place = {
            name: (path, handle)
            for path, handle in handles.items()
            for name in _names(handle)
            if files.get(name, path) == path
        }
        if missing := sorted(files.keys() - self._place.keys() - {""}):
            raise SourceError(
                f"{files[missing[0]]}: the index lists {len(missing)} tensors that the file does "
                f"not have, such as {missing[0]}; download the checkpoint again"
            )

    def _handle(self, path: Path) -> safe_open:
        try:
            return self._open.enter_context(safe_open(path, framework="np"))
        except FileNotFoundError as error:
            raise SourceError(f"{path}: no such file; download the checkpoint again") from error
        except (SafetensorError, OSError) as error:
            raise SourceError(
                f"{path}: truncated, or not a safetensors file ({error}); download it again"
            ) from error

    def __getitem__(self, name: str) -> np.ndarray:
        path, handle = self._place[name]
        try:
            tensor: np.ndarray = handle.get_tensor(name)  # type: ignore[no-untyped-call]
        except (SafetensorError, AttributeError, TypeError) as error:
            raise SourceError(
                f"{path}: {name} cannot be read ({error}); expected float32, float16 or bfloat16"
            ) from error
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._place  # the inherited one reads the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)


def _names(handle: safe_open) -> list[str]:
    names: list[str] = handle.keys()  # type: ignore[no-untyped-call]
    return names
