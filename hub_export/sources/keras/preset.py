"""Reading presets of keras-hub: backbone, weights and tokenizer, without keras-hub itself.

A preset is a folder (https://keras.io/keras_hub/guides/upload/): `config.json` and
`tokenizer.json` name a class and its options, `model.weights.h5` (or shards that
`model.weights.json` lists) holds the weights, `assets/tokenizer/` the vocabulary. Nothing of it is
deserialised: names of classes are compared with known ones. keras-hub is needed for downloads.
"""

import functools
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from encoders import SPLIT_INPUTS, SPLIT_OUTPUTS, Row
from hub_export.errors import SourceError
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats import renaming
from hub_export.sources.formats.json_files import read_json, sums
from hub_export.sources.keras import h5, serialized, task, tokenizer
from hub_export.sources.keras.backbones import BACKBONES, Backbone

CONFIG = "config.json"
INSTALL = "pip install '.[keras]' in the folder of hub_export"
_TASK = "task.weights.h5"
_IGNORED = ("name", "trainable", "dtype")
_INT8 = "int8"
_HANDLE = re.compile(r"kaggle://[^/]+/[^/]+/keras/[^/]+(/[0-9]+)?", re.IGNORECASE)


def recognises(folder: Path) -> bool:
    """Whether the folder holds a Keras preset: its `config.json` names a class."""
    path = folder / CONFIG
    return path.exists() and "class_name" in read_json(path)


def read(folder: Path, name: str, revision: str = "", weights: bool = True) -> Checkpoint:
    """Reads a preset.

    Args:
        folder: where its files are.
        name: what the user calls it.
        revision: the version or commit, if it was downloaded.
        weights: whether its weights are wanted.

    Raises:
        SourceError: a file is missing or damaged, or its class is not supported.
    """
    config_file = folder / CONFIG
    backbone, options = _backbone(config_file)
    config = _config(backbone, options, config_file)
    is_quantized = _is_quantized(options.get("dtype"), config_file)
    weights_file = h5.find(folder)
    tokenizer_file = folder / tokenizer.CONFIG
    read = [config_file, tokenizer_file, *tokenizer.assets(folder)]
    read += [folder / task.CONFIG, folder / task.PREPROCESSOR]
    read += h5.files(weights_file) if weights else []
    return Checkpoint(
        name=name,
        revision=revision,
        folder=None,
        config=config,
        config_file=config_file,
        weights_file=weights_file,
        tokenizer_file=tokenizer_file,
        vocabulary_file=tokenizer.vocabulary(folder),
        tensors=functools.partial(_tensors, backbone, options, config, weights_file, is_quantized),
        tokenizer=functools.partial(tokenizer.read, tokenizer_file),
        special_tokens=tokenizer.special_tokens(tokenizer_file),
        files=sums(read),
        unused=_head(folder / _TASK) if weights else {},
        pipeline=functools.partial(task.read, folder),
        notes=(*backbone.notes, *tokenizer.NOTES, *_dtype(options.get("dtype"), is_quantized)),
    )


def is_built_in(model: str) -> bool:
    """Whether this is the name of a preset that keras-hub knows, such as `bert_base_en`."""
    # Models of the Hugging Face hub have no such names, but for a few; keras-hub is slow to import.
    if not re.fullmatch(r"[a-z0-9.]+(_[a-z0-9.]+)+", model):
        return False
    return importlib.util.find_spec("keras_hub") is not None and model in _built_in()


def download(model: str) -> tuple[Path, str, str]:
    """Gets a preset of Kaggle by keras-hub; returns its folder, its name and its version.

    Args:
        model: `kaggle://user/model/keras/variation`, with `/version` behind it if need be; or the
            name of a preset that keras-hub knows.

    Raises:
        SourceError: keras-hub is missing, or the preset cannot be had.
    """
    if importlib.util.find_spec("keras_hub") is None:
        raise SourceError(f"{model}: downloading Keras presets needs keras-hub ({INSTALL})")
    handle = _built_in()[model]["kaggle_handle"] if "://" not in model else model
    if not _HANDLE.fullmatch(handle):
        raise SourceError(f"{model}: expected kaggle://user/model/keras/variation[/version]")
    import kagglehub  # noqa: PLC0415 (part of the extra `keras`)

    try:
        folder = Path(kagglehub.model_download(handle.partition("://")[2]))
    except Exception as error:  # of any kind: the library has no base class of its own
        reason = str(error).strip().splitlines()[0]
        raise SourceError(
            f"{model}: cannot be had from Kaggle: {reason} Check the handle, the connection and "
            "the credentials (KAGGLE_USERNAME, KAGGLE_KEY), or give a folder."
        ) from error
    return folder, handle.split("/")[5], folder.name


def _built_in() -> Mapping[str, Mapping[str, Any]]:
    import keras_hub  # noqa: PLC0415 (optional, and slow to import)

    return keras_hub.models.Backbone.presets


def kernels(file: Path) -> Mapping[int, Row]:
    """The rows of the kernels of dense layers, by the numbers that Keras gives their layers.

    Args:
        file: the configuration of a preset.

    Raises:
        SourceError: its class is not supported.
    """
    backbone, options = _backbone(file)
    rows = {
        row.sources[0]: row
        for row in renaming.at(backbone.rows, backbone.fields(options))
        if row.change in (SPLIT_INPUTS, SPLIT_OUTPUTS)
    }
    named = {number: f"{layer}/vars/0" for number, layer in enumerate(backbone.layers(options))}
    return {number: rows[name] for number, name in named.items() if name in rows}


def _backbone(file: Path) -> tuple[Backbone, Mapping[str, Any]]:
    """The table of a preset's class, and the options that it was made with."""
    found = serialized.class_name(file)
    if found not in BACKBONES:
        raise SourceError(
            f"{file}: class {found} is not supported; supported: {', '.join(BACKBONES)}"
        )
    known, options = BACKBONES[found], serialized.options(file).left
    if unknown := sorted(options.keys() - known.options.keys() - set(_IGNORED)):
        raise SourceError(f"{file}: unknown options of {found}: {', '.join(unknown)}")
    if missing := sorted(known.options.keys() - options.keys()):
        raise SourceError(f"{file}: options of {found} are missing: {', '.join(missing)}")
    return known, options


def _config(backbone: Backbone, options: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """The configuration in the words of `transformers`."""
    named = {theirs: options[name] for name, words in backbone.options.items() for theirs in words}
    if not isinstance(positions := options["max_sequence_length"], int):
        raise SourceError(f"{file}: max_sequence_length: expected an integer, found {positions!r}")
    named["max_position_embeddings"] = positions + backbone.first_position
    return {"model_type": backbone.model_type, **named, **backbone.constants}


def _dtype(policy: Any, is_quantized: bool) -> tuple[str, ...]:
    """A note where keras-hub computes in another dtype than an export."""
    if is_quantized:
        return (
            "keras-hub multiplies in int8, and rounds what a layer gets; the export follows the "
            "int8 weights, brought back to float32.",
        )
    options = policy.get("config") if isinstance(policy, dict) else None
    name = options.get("name") if isinstance(options, dict) else policy
    if name in (None, "float32"):
        return ()
    return (
        f"keras-hub computes this preset in {name}; the export follows its weights in float32.",
    )


def _is_quantized(policy: Any, file: Path) -> bool:
    """Whether layers are quantised to int8.

    Raises:
        SourceError: they are quantised otherwise.
    """
    modes = {*_modes(policy)}
    if others := sorted(modes - {_INT8}):
        raise SourceError(
            f"{file}: the preset is quantised ({', '.join(others)}); expected one whose weights "
            f"are float or {_INT8}: export the preset that it was made of"
        )
    return bool(modes)


def _modes(policy: Any) -> Iterator[str]:
    """How layers are quantised, by the policy of a backbone and those of its layers."""
    found = policy.get("config") if isinstance(policy, dict) else None
    if not isinstance(found, dict):
        return
    if "mode" in found:
        yield str(found["mode"])
    layers = found.get("policy_map")
    for each in layers.values() if isinstance(layers, dict) else ():
        yield from _modes(each)


def _tensors(
    backbone: Backbone,
    options: Mapping[str, Any],
    config: Mapping[str, Any],
    file: Path,
    is_quantized: bool,
) -> Mapping[str, np.ndarray]:
    read = h5.dequantized(h5.read(file)) if is_quantized else h5.read(file)
    renamed = renaming.rename(backbone.rows, backbone.fields(options), read, file)
    shapes = {name: [config[size] for size in sizes] for name, sizes in backbone.zeros.items()}
    zeros = {name: functools.partial(np.zeros, shape, np.float32) for name, shape in shapes.items()}
    return renamed.with_others(zeros)


def _head(file: Path) -> Mapping[str, str]:
    """The tensors of a task's own file, all of them of no use."""
    names = h5.names(file) if file.exists() else []
    return {
        f"{file.name}:{name}": "belongs to the optimizer"
        if name.startswith("optimizer/")
        else "belongs to a task head"
        for name in names
    }
