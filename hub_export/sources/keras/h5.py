"""Weights that Keras saved: `.weights.h5` files, one or the shards of an index."""

import functools
from collections.abc import Mapping
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import is_name, read_json
from hub_export.sources.formats.tensors import LazyTensors

WEIGHTS, INDEX = "model.weights.h5", "model.weights.json"
_FIRST = "/vars/0"


def find(folder: Path) -> Path:
    """The file of a preset's weights, or the index of its shards."""
    return folder / (INDEX if (folder / INDEX).exists() else WEIGHTS)


def files(weights: Path) -> list[Path]:
    """The files that hold the tensors.

    Raises:
        SourceError: an index is damaged.
    """
    if weights.name != INDEX:
        return [weights]
    # A layer whose weights are spread over several files has a list of them.
    content = read_json(weights).get("weight_map")
    entries = list(content.values()) if isinstance(content, dict) else []
    names = [name for entry in entries for name in (entry if isinstance(entry, list) else [entry])]
    if not names or not all(map(is_name, names)):
        raise SourceError(f"{weights}: expected a weight_map, layer -> file")
    return [weights.parent / name for name in sorted(set(names))]


def names(path: Path) -> list[str]:
    """The paths of the tensors of one file."""
    return sorted(_datasets(path))


def read(weights: Path) -> LazyTensors:
    """The tensors by their paths, such as `layers/dense/vars/0`.

    Raises:
        SourceError: a file is missing, or no HDF5 file, or refers to another one.
    """
    return LazyTensors(
        {
            name: functools.partial(_values, dataset)
            for path in files(weights)
            for name, dataset in _datasets(path).items()
        }
    )


def dequantized(tensors: Mapping[str, np.ndarray]) -> LazyTensors:
    """The tensors of layers that were quantised to int8, in float32.

    Of such a layer, `vars/0` is int8, and its last variable what the values were multiplied by: of
    a kernel one factor an output, of an embedding one a row.
    """
    readers = {name: functools.partial(tensors.__getitem__, name) for name in tensors}
    for name in [name for name in tensors if name.endswith(_FIRST)]:
        layer = name.removesuffix("0")
        last = f"{layer}{sum(each.startswith(layer) for each in tensors) - 1}"
        if tensors[name].dtype == np.int8:
            readers[name] = functools.partial(_dequantized, tensors, name, last)
            del readers[last]
    return LazyTensors(readers)


def _dequantized(tensors: Mapping[str, np.ndarray], name: str, scale: str) -> np.ndarray:
    values, factors = tensors[name].astype(np.float32), tensors[scale].astype(np.float32)
    if scale.endswith("/1"):  # no bias: an embedding
        factors = factors[:, np.newaxis]
    # Those of EinsumDense have the axes of its outputs, with others of one in front.
    made: np.ndarray = values / factors.reshape(factors.shape[-values.ndim :])
    return made


def _datasets(path: Path) -> Mapping[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    try:
        h5py.File(path, "r").visititems(visit)  # does not follow links
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file; download the preset again") from error
    except (OSError, RuntimeError) as error:
        raise SourceError(
            f"{path}: truncated, or not an HDF5 file ({error}); download it again"
        ) from error
    if outside := [name for name, each in found.items() if each.external or each.is_virtual]:
        raise SourceError(f"{path}: {outside[0]} lies in another file, which is not supported")
    return found


def _values(dataset: h5py.Dataset) -> np.ndarray:
    try:
        values = np.asarray(dataset)
    except OSError as error:
        raise SourceError(
            f"{dataset.file.filename}: {dataset.name} cannot be read ({error}); download it again"
        ) from error
    return values.view(ml_dtypes.bfloat16) if dataset.attrs.get("dtype") == "bfloat16" else values
