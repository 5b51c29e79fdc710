"""Where checkpoints come from: whatever the user names becomes one neutral `Checkpoint`.

| What `--model` names | What tells it | Who reads it |
|---|---|---|
| an adapter of AdapterHub | `adapter_config.json` with `model_type` | `adapters/adapterhub` |
| a PEFT adapter | `adapter_config.json` | `adapters/peft`, over the model that it adapts |
| LoRA of keras-hub | `*.lora.h5`, which may be named itself | `adapters/keras_lora`, likewise |
| a Keras preset | `config.json` with `class_name` | `keras_preset` |
| a checkpoint of TensorFlow 1 | `bert_config.json` or `albert_config.json` | `tf_checkpoint` |
| a static embedding | `StaticEmbedding` in `modules.json`, or model2vec | `static_embedding` |
| an encoder of DPR | `config.json` with `model_type` dpr | `dpr`, by way of the last |
| CLIP, or its text encoder | the same with clip or clip_text_model | `clip`, by way of the last |
| one whose code is remote, but whose layout is known | `config.json` | `remote` |
| a checkpoint in Hugging Face layout | anything else | `huggingface` |

All may lie in a folder, all but TensorFlow 1's also in a repository of the Hugging Face hub;
`kaggle://` and the names of keras-hub's own presets are downloaded by keras-hub.
"""

import dataclasses
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub_export.errors import ExportError, SourceError
from hub_export.sources import clip, documents, dpr, huggingface, module_list, static_embedding
from hub_export.sources.adapters import adapterhub, keras_lora, peft
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.keras import preset as keras_preset
from hub_export.sources.remote import reader as remote
from hub_export.sources.tensorflow1 import checkpoint as tf_checkpoint

EXPECTED = (
    "expected one with config.json, weights, tokenizer (Hugging Face layout, or a Keras preset); "
    "bert_config.json, bert_model.ckpt.*, vocab.txt (TensorFlow 1); adapter_config.json (PEFT, "
    "AdapterHub); or *.lora.h5 (LoRA of keras-hub)"
)

_SHOWN = 40
Adapter = adapterhub.Adapter | keras_lora.Adapter | peft.Adapter


def read(
    model: str, base_model: str | None = None, weights: bool = True, route: str = ""
) -> Checkpoint:
    """Finds a checkpoint and reads its configuration; see `_read`.

    Raises:
        SourceError: nothing is there, or a file is missing or damaged, or not supported.
        ExportError: the arguments contradict what is there.
    """
    with explained(model):
        return _read(model, base_model, weights, route)


@contextmanager
def explained(what: object) -> Iterator[None]:
    """Turns what no check has foreseen into a SourceError: damaged files end in one line."""
    try:
        yield
    except (ExportError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(
            f"{what}: cannot be read ({type(error).__name__}: {reason:.300}); is a file damaged, "
            "or not yours to read?"
        ) from error


def _read(
    model: str, base_model: str | None, weights: bool, route: str, above: tuple[Path, ...] = ()
) -> Checkpoint:
    """Finds a checkpoint and reads its configuration.

    Args:
        model: a folder; a hub id such as `distilbert-base-cased`, `user/model` or
            `hf://user/model`, with `@revision` behind it if need be; the name of a preset of
            keras-hub; or `kaggle://user/model/keras/variation`.
        base_model: what an adapter adapts, in the same words; by default what the adapter says.
        weights: whether the weights are wanted, or only configuration and tokenizer.
        route: which route of a router of sentence-transformers to follow.
        above: the adapters that it is the base model of.

    Raises:
        SourceError: nothing is there, or a file is missing or damaged, or not supported.
        ExportError: the arguments contradict what is there.
    """
    if not model:
        raise SourceError("no model is given: expected a folder or a model id")
    folder, name, revision = _find(model, weights)
    _refuse_odd_files(folder)
    if route and not (module_list.has_routes(folder) or remote.routes(folder)):
        raise ExportError(
            "route is for models of sentence-transformers with a Router, and for adapters of "
            f"tasks, and {folder} has none; leave route out"
        )
    if (kind := _adapter(folder)) is not None:
        return _adapted(kind, folder, name, revision, base_model, weights, above)
    if base_model is not None:
        raise ExportError(
            f"base_model is for adapters, and {folder} has no {peft.CONFIG}; leave base_model out"
        )
    return _whole(folder, name, revision, weights, route)


def _whole(folder: Path, name: str, revision: str, weights: bool, route: str = "") -> Checkpoint:
    """Reads what is no adapter."""
    kinds = (keras_preset, tf_checkpoint, static_embedding, dpr, clip)
    known = next((each for each in kinds if each.recognises(folder)), None)
    if known is not None:
        found = known.read(folder, name, revision, weights)
    else:
        by_route = remote if remote.recognises(folder) else huggingface
        found = by_route.read(folder, name, revision, weights, route)
    return dataclasses.replace(found, documents=documents.find(folder))


def _find(model: str, weights: bool) -> tuple[Path, str, str]:
    """The folder of a model, downloaded if need be; its name; its revision."""
    folder = Path(os.path.expanduser(model))  # noqa: PTH111 (leaves an unknown user's name as it is)
    if _is_folder(folder) or keras_lora.recognises(folder):
        return folder, folder.resolve().name, ""
    if model.startswith(("/", "./", "../", "~")) or folder.exists():
        raise SourceError(f"{model}: no such folder; {EXPECTED}")
    scheme, separator, _ = model.partition("://")
    if separator and scheme not in ("hf", "kaggle"):
        raise SourceError(f"{model}: {scheme}:// is not supported; supported: hf://, kaggle://")
    if scheme == "kaggle" or keras_preset.is_built_in(model):
        return keras_preset.download(model)
    name, _, revision = model.removeprefix("hf://").partition("@")
    downloaded = huggingface.download(name, revision or None, weights)
    return downloaded, name, downloaded.name


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise SourceError(
            f"{str(path)[:_SHOWN]}...: {len(str(path))} characters, too many for the name of a "
            f"folder or a model; {EXPECTED}"
        ) from error


def _refuse_odd_files(folder: Path) -> None:
    """What is neither file nor folder, such as a named pipe, would be waited for without end."""
    for path in (each for depth in ("*", "*/*", "*/*/*") for each in folder.glob(depth)):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise SourceError(f"{path}: neither a file nor a folder; remove it")


def _adapter(folder: Path) -> type[Adapter] | None:
    """How the adapter in a folder is read, if there is one."""
    if adapterhub.recognises(folder):
        return adapterhub.Adapter
    if (folder / peft.CONFIG).exists():
        return peft.Adapter
    return keras_lora.Adapter if keras_lora.recognises(folder) else None


def _adapted(
    kind: type[Adapter],
    folder: Path,
    name: str,
    revision: str,
    base_model: str | None,
    weights: bool,
    above: tuple[Path, ...],
) -> Checkpoint:
    if not weights:
        raise ExportError(
            f"weights=none makes no use of the adapter {folder}; name its base model as the model"
        )
    adapter = kind.read(folder)
    if not (base_model or adapter.base_model):
        raise SourceError(f"{adapter.file}: names no base model; say which with --base_model")
    named, here = base_model or _named(adapter), folder.resolve()
    if here in above:
        raise SourceError(
            f"{adapter.file}: names {named}, of which it is itself the base model; say which model "
            "it adapts with --base_model"
        )
    try:
        beside = _is_folder(Path(named)) and folder.samefile(named)
        base = (
            _whole(folder, name, revision, weights)
            if beside
            else _read(named, None, True, "", (*above, here))
        )
    except SourceError as error:
        raise SourceError(
            f"the base model of {folder} cannot be read; say another with --base_model: {error}"
        ) from error
    merged = adapter.merged(base, name, revision)
    return dataclasses.replace(merged, documents=documents.find(folder, base.documents))


def _named(adapter: Adapter) -> str:
    """The base model that an adapter names, at the revision that it names."""
    name, revision = adapter.base_model, adapter.base_revision
    if not revision or "@" in name or name.startswith("kaggle://") or _is_folder(Path(name)):
        return name
    return f"{name}@{revision}"
