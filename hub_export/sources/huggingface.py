"""Reading checkpoints in Hugging Face layout, from a folder or from the hub."""

import dataclasses
import functools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import errors as hub_errors

import encoders
from hub_export.errors import SourceError
from hub_export.sources import documents, module_list, sentence_transformers
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.json_files import has_mark, read_json, sums
from hub_export.sources.module_list import MODULES, module_files
from hub_export.sources.stored_weights import PICKLED, SAFE, StoredWeights
from hub_export.sources.tokenizer import configured, names
from hub_export.sources.tokenizer import files as tokenizer_files
from hub_export.sources.unread_options import unread

CONFIG = "config.json"
_GPTQ = "quantize_config.json"
"""Beside weights of AutoGPTQ, before configurations told."""
# What a repository of the hub may hold in place of such a checkpoint (see `sources`) comes along.
TEXTS = [CONFIG, *names.ALL, *sentence_transformers.TEXTS, *documents.PATTERNS]
TEXTS += ["adapter_config.json", "head_config.json", "model.weights.json", "assets/tokenizer/*"]
TEXTS += ["task.json", "preprocessor.json"]
DOWNLOADED = ["model*.safetensors", SAFE[1], "adapter*.safetensors"]
DOWNLOADED += ["model*.weights.h5", "*.lora.h5"]
DOWNLOADED_BIN = ["pytorch_model*.bin", PICKLED[1], "pytorch_adapter.bin", "adapter_model.bin"]


def model_type(folder: Path) -> str:
    """The `model_type` of a folder's configuration; nothing where none can be read."""
    try:
        return str(read_json(folder / CONFIG).get("model_type"))
    except SourceError:
        return ""


def download(name: str, revision: str | None, weights: bool = True) -> Path:
    """Gets the files of a model from the hub; returns the folder of the cache that has them.

    The cache, the token and offline mode are those of `huggingface_hub`.

    Args:
        name: `distilbert-base-cased` or `user/model`.
        revision: branch, tag or commit; None stands for the newest.
        weights: whether the weights are wanted.

    Raises:
        SourceError: there is no such model, or it cannot be had.
    """
    try:
        get = functools.partial(huggingface_hub.snapshot_download, name, revision=revision)
        wanted = [*TEXTS, *(DOWNLOADED if weights else ())]
        folder = Path(get(allow_patterns=wanted))
        get = functools.partial(get, revision=folder.name)  # of the same commit
        if places := module_list.subfolders(folder):
            get(allow_patterns=[*module_files(folder), *_within(places, wanted)])
        if weights and not any(each for name in DOWNLOADED for each in folder.rglob(name)):
            get(allow_patterns=[*DOWNLOADED_BIN, *_within(places, DOWNLOADED_BIN)])
        return folder
    except hub_errors.HFValidationError as error:
        raise SourceError(f"hf://{name} is neither a folder nor a model id: {error}") from error
    except (hub_errors.HfHubHTTPError, hub_errors.LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(
            f"{name}: no such folder, and it cannot be had from the Hugging Face hub: {reason} "
            "Check the name, the connection and the access token (HF_TOKEN), or give a folder."
        ) from error


def _within(folders: Iterable[str], patterns: Iterable[str]) -> list[str]:
    return [f"{folder}/{pattern}" for folder in folders for pattern in patterns]


def read(
    folder: Path, name: str, revision: str = "", weights: bool = True, route: str = ""
) -> Checkpoint:
    """Reads a checkpoint in Hugging Face layout.

    Args:
        folder: where its files are.
        name: what the user calls it.
        revision: the commit of the hub, if it is from there.
        weights: whether its weights are wanted.
        route: which route of a router of sentence-transformers to follow.

    Raises:
        SourceError: a file is missing or damaged.
    """
    encoder = module_list.encoder_folder(folder, route)
    config_file = encoder / CONFIG
    config = read_json(config_file)
    _refuse_quantized(config, config_file)
    stored = StoredWeights.find(encoder, config)
    tokenizer = tokenizer_files.find(encoder)
    read = [config_file, *(stored.files if weights else ()), tokenizer]
    read += tokenizer_files.beside(tokenizer)
    passed = without_effect(config)
    # `transformers` takes no byte order mark.
    plain = not has_mark(config_file) and (not weights or stored.is_plain)
    return Checkpoint(
        name=name,
        revision=revision,
        folder=folder if plain else None,
        config=config,
        config_file=config_file,
        weights_file=stored.file,
        tokenizer_file=tokenizer,
        tensors=stored.tensors,
        tokenizer=functools.partial(tokenizer_files.read, tokenizer),
        special_tokens=configured.special_tokens(encoder),
        files={**sums(read), **sentence_transformers.file_sums(folder)},
        pipeline=functools.partial(sentence_transformers.read, folder, config, route),
        is_late=functools.partial(sentence_transformers.is_late, folder, config),
        notes=(
            *_of_more(folder),
            *(stored.notes if weights else ()),
            *passing_over(passed),
            *tokenizer_files.notes(encoder),
        ),
        unread=passed,
        subfolder=encoder.relative_to(folder).as_posix() if encoder != folder else "",
        route=module_list.route_taken(folder, route),
    )


def with_own_files(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """The checkpoint with the tokenizer and the modules of another folder, where it has them."""
    tokenizer = tokenizer_files.find(folder)
    if tokenizer.exists():
        files = sums([tokenizer, *tokenizer_files.beside(tokenizer)])
        checkpoint = dataclasses.replace(
            checkpoint,
            tokenizer_file=tokenizer,
            vocabulary_file=None,
            tokenizer=functools.partial(tokenizer_files.read, tokenizer),
            special_tokens=configured.special_tokens(folder) or checkpoint.special_tokens,
            files={**checkpoint.files, **files},
            notes=(*_without(checkpoint), *tokenizer_files.notes(folder)),
        )
    if (folder / MODULES).exists():
        checkpoint = dataclasses.replace(
            checkpoint,
            pipeline=functools.partial(sentence_transformers.read, folder, checkpoint.config),
            is_late=functools.partial(sentence_transformers.is_late, folder, checkpoint.config),
            files={**checkpoint.files, **sentence_transformers.file_sums(folder)},
        )
    return checkpoint


def _refuse_quantized(config: Mapping[str, Any], file: Path) -> None:
    """Raises SourceError where weights are stored as integers, or as floats of eight bits."""
    found, beside = config.get("quantization_config"), file.with_name(_GPTQ)
    if found or beside.exists():
        method = found.get("quant_method", "") if isinstance(found, dict) else ""
        method = method or ("quantization_config" if found else f"gptq, by {_GPTQ}")
        raise SourceError(
            f"{file}: the weights are quantised ({method}); expected "
            "float32, float16 or bfloat16: export the checkpoint that it was made of, and let "
            "--litert=int8 or --compute_dtype=bfloat16 make it small"
        )


def without_effect(config: Mapping[str, Any]) -> frozenset[str]:
    """The options that the encoder does not know, and that no code of `transformers` reads.

    Where the configuration says that its code is its own, nothing is known of what that reads.
    """
    model_type = str(config.get("model_type"))
    architecture = encoders.architectures().get(model_type)
    if architecture is None or config.get("auto_map"):
        return frozenset()
    return unread(model_type, architecture.config.unknown(config))


def _of_more(folder: Path) -> list[str]:
    """What to tell of a folder that is the encoder of the model in the folder above."""
    if not module_list.is_encoder_of(folder):
        return []
    return [
        f"It is one module of several, listed in the {MODULES} of the folder above: export that "
        "folder to have the vectors of the whole."
    ]


def passing_over(options: Collection[str]) -> list[str]:
    """What to tell of options that are passed over."""
    if not options:
        return []
    return [f"{CONFIG} has options that transformers never reads: {', '.join(sorted(options))}."]


def _without(checkpoint: Checkpoint) -> list[str]:
    """Its notes, but for those on a tokenizer that another takes the place of."""
    left = {*tokenizer_files.notes(checkpoint.tokenizer_file.parent)}
    return [note for note in checkpoint.notes if note not in left]
