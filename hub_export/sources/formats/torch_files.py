"""Weights that torch pickled (`pytorch_model.bin`): tensors only, no code in them is run.

torch is optional. It is needed to compare an export's numbers, and to read such files.
"""

import importlib.util
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hub_export.errors import SourceError

INSTALL = "pip install '.[reference]' in the folder of hub_export"


def available() -> bool:
    """Whether torch is installed."""
    return importlib.util.find_spec("torch") is not None


TRAINING = "state_dict"
"""Where a checkpoint of a training run has its tensors, beside an optimizer's state."""


def load_bin(path: Path) -> Mapping[str, np.ndarray]:
    """Reads a `pytorch_model.bin`, tensors only: no pickled code is run.

    Of a checkpoint of a training run, those of its `state_dict`, which then begins their names.

    Raises:
        SourceError: torch is not installed, or the file holds anything else, or is damaged.
    """
    if not available():
        raise SourceError(
            f"{path}: reading .bin weights needs torch ({INSTALL}); or save the checkpoint as "
            "safetensors"
        )
    import torch  # noqa: PLC0415

    try:
        mapped = zipfile.is_zipfile(path)  # files from before torch 1.6 are not
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        tensors = _nested(found) if isinstance(found.get(TRAINING), dict) else found
        # numpy has no bfloat16.
        return {
            name: (tensor.float() if tensor.is_floating_point() else tensor).numpy()
            for name, tensor in tensors.items()
        }
    except pickle.UnpicklingError as error:  # whose advice is to run what the file says
        raise SourceError(
            f"{path}: not a file of plain tensors: it holds something else, which could run code "
            "and is not read; save the checkpoint as safetensors"
        ) from error
    except Exception as error:
        raise SourceError(
            f"{path}: not a file of plain tensors ({error}); save the checkpoint as safetensors"
        ) from error


def _nested(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return {f"{TRAINING}.{name}": tensor for name, tensor in found[TRAINING].items()}
