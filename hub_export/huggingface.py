"""Reading checkpoints in Hugging Face layout, from a folder or from the hub."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path

import huggingface_hub
import numpy as np
from huggingface_hub import errors as hub_errors

from hub_export import reference, tokenizer_files
from hub_export.checkpoint import Checkpoint
from hub_export.errors import SourceError
from hub_export.files import is_name, read_json, sums
from hub_export.tensors import SafetensorsFiles

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
WEIGHTS_BIN = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def read(model: str) -> Checkpoint:
    """Finds a checkpoint and reads its configuration.

    Args:
        model: a folder; or a hub id such as `distilbert-base-cased`, `user/model` or
            `hf://user/model`, with `@revision` behind it if need be. The cache, the token and
            offline mode are those of `huggingface_hub`.

    Raises:
        SourceError: nothing is there, or a file is missing or damaged.
    """
    if not model:
        raise SourceError("no model is given: expected a folder or a model id")
    folder = Path(os.path.expanduser(model))  # noqa: PTH111 (leaves an unknown user's name as it is)
    if folder.is_dir():
        return _read(folder, folder.resolve().name, revision="")
    if model.startswith(("/", "./", "../", "~")) or folder.exists():
        raise SourceError(
            f"{model}: no such folder; expected one with {CONFIG}, weights, tokenizer"
        )
    name, _, revision = model.removeprefix("hf://").partition("@")
    downloaded = _download(name, revision or None)
    return _read(downloaded, name, revision=downloaded.name)


def _download(name: str, revision: str | None) -> Path:
    texts = [CONFIG, *tokenizer_files.ALL]
    try:
        get = functools.partial(huggingface_hub.snapshot_download, name, revision=revision)
        folder = Path(get(allow_patterns=[*texts, "model*.safetensors", WEIGHTS[1]]))
        if not any((folder / file).exists() for file in WEIGHTS):
            folder = Path(get(allow_patterns=[*texts, "pytorch_model*.bin", WEIGHTS_BIN[1]]))
        return folder
    except hub_errors.HFValidationError as error:
        raise SourceError(f"hf://{name} is neither a folder nor a model id: {error}") from error
    except (hub_errors.HfHubHTTPError, hub_errors.LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(
            f"{name}: no such folder, and it cannot be had from the Hugging Face hub: {reason} "
            "Check the name, the connection and the access token (HF_TOKEN), or give a folder."
        ) from error


def _read(folder: Path, name: str, revision: str) -> Checkpoint:
    config_file = folder / CONFIG
    weights = next(
        (folder / file for file in WEIGHTS + WEIGHTS_BIN if (folder / file).exists()), None
    )
    if weights is None:
        weights = folder / WEIGHTS[0]
    tokenizer = tokenizer_files.find(folder)
    read = [config_file, *_files(weights), tokenizer]
    read += [folder / file for file in (*tokenizer_files.CONFIGS, *tokenizer_files.COMPANIONS)]
    return Checkpoint(
        name=name,
        revision=revision,
        folder=folder,
        config=read_json(config_file),
        config_file=config_file,
        weights_file=weights,
        tokenizer_file=tokenizer,
        tensors=functools.partial(_tensors, weights),
        tokenizer=functools.partial(tokenizer_files.read, tokenizer),
        special_tokens=tokenizer_files.special_tokens(folder),
        files=sums(read),
    )


def _files(weights: Path) -> list[Path]:
    """The files that hold the tensors: one, or the shards of an index."""
    if weights.suffix != ".json":
        return [weights]
    return sorted(set(_shards(weights).values()))


def _shards(index: Path) -> dict[str, Path]:
    content = read_json(index).get("weight_map")
    if not isinstance(content, dict) or not all(map(is_name, content.values())):
        raise SourceError(f"{index}: expected a weight_map, tensor name -> file")
    shards = {name: index.parent / Path(file).name for name, file in content.items()}
    if missing := [shard for shard in sorted(set(shards.values())) if not shard.exists()]:
        raise SourceError(f"{missing[0]}: no such file, but {index.name} lists it; download it")
    return shards


def _tensors(weights: Path) -> Mapping[str, np.ndarray]:
    if not weights.exists():
        raise SourceError(
            f"{weights.parent}: no weights; expected one of {', '.join(WEIGHTS + WEIGHTS_BIN)}"
        )
    if weights.name in WEIGHTS_BIN:
        shards = [reference.load_bin(path) for path in _files(weights)]
        return {name: tensor for shard in shards for name, tensor in shard.items()}
    return SafetensorsFiles(_shards(weights) if weights.suffix == ".json" else {"": weights})
