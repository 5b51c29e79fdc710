"""What a checkpoint of sentence-transformers does with a text before and behind its encoder.

It is told by `modules.json` and the files that it names, `sentence_bert_config.json` and
`config_sentence_transformers.json` (https://sbert.net). Whatever is not followed here is refused by
name. Nothing is imported from the names in these files.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hub_export import tokenizer_files
from hub_export.errors import SourceError
from hub_export.files import is_name, read_json, sums
from hub_export.text_module_files import CONFIG, WEIGHTS, read_module
from hub_export.text_modules import Pipeline, Pooling, TextModule

MODULES = "modules.json"
TRANSFORMER = "sentence_bert_config.json"
MODEL = "config_sentence_transformers.json"
TEXTS = (MODULES, TRANSFORMER, MODEL)

_TYPE = re.compile(
    r"sentence_transformers\.(?:models|base\.modules|sentence_transformer\.modules)"
    r"(?:\.\w+)?\.(?P<name>\w+)"
)
# Options that never change a vector, of the first module and of the dicts in it.
_IGNORED = {"unpad_inputs", "module_output_name"}
_HARMLESS = {
    "add_pooling_layer",
    "attn_implementation",
    "dtype",
    "torch_dtype",
    "trust_remote_code",
    "use_memory_efficient_attention",
}
_FIXED: Mapping[str, Any] = {
    "transformer_task": "feature-extraction",
    "processing_kwargs": {},
    "query_length": None,
    "document_length": None,
    "query_expansion": None,
    "tokenizer_name_or_path": None,
}
_ARGUMENTS = {
    f"{what}_{kind}"
    for what in ("model", "tokenizer", "processor", "config")
    for kind in ("args", "kwargs")
}
_TEXT_MODALITY = {"method": "forward", "method_output_name": "last_hidden_state"}


def read(folder: Path, config: Mapping[str, Any]) -> Pipeline:
    """Reads what stands around the encoder of a checkpoint.

    Args:
        folder: where its files are.
        config: the encoder's own configuration.

    Raises:
        SourceError: a file is damaged, or asks for something that is not supported.
    """
    model, transformer = (_optional(folder / file) for file in (MODEL, TRANSFORMER))
    modules = _modules(folder) if (folder / MODULES).exists() else []
    pooling = modules[0] if modules and isinstance(modules[0], Pooling) else None
    classifier = any(str(name).endswith("ForSequenceClassification") for name in _names(config))
    pairs = model.get("model_type") == "CrossEncoder" or (classifier and pooling is None)
    if not pairs:
        _check(folder, model, transformer)
    length = transformer.get("max_seq_length") or _length(folder)
    return Pipeline(
        pooling=pooling,
        modules=tuple(each for each in modules if not isinstance(each, Pooling)),
        max_length=length,
        lower_case=bool(transformer.get("do_lower_case")),
        prompts={name: text or "" for name, text in (model.get("prompts") or {}).items()},
        default_prompt=model.get("default_prompt_name"),
        dimensions=model.get("truncate_dim"),
        pairs=pairs,
    )


def module_files(folder: Path) -> list[str]:
    """The files that `modules.json` leads to, relative to the folder, whether they exist or not.

    None where there is no such file, or no sense in it; none out of the folder.
    """
    try:
        entries = json.loads((folder / MODULES).read_text(encoding="utf-8"))
        paths = [entry["path"] for entry in entries]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
    named = [path for path in paths if is_name(path) and re.fullmatch(r"[\w.-]+", path)]
    return [f"{path}/{file}" for path in named for file in (CONFIG, *WEIGHTS)]


def file_sums(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every file that is read here, those of modules with their subfolder."""
    return sums((folder / file for file in (*TEXTS, *module_files(folder))), folder)


def _modules(folder: Path) -> list[TextModule]:
    """All modules but the transformer; the pooling, if there is one, is the first of them."""
    file = folder / MODULES
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{file}: cannot be read as JSON ({error})") from error
    names = [_name(file, entry) for entry in _listed(file, entries)]
    behind = names[1:]
    if names[:1] != ["Transformer"] or entries[0]["path"] != "":
        raise SourceError(
            f"{file}: expected a Transformer in the folder itself as the first module, found "
            f"{entries[:1]}"
        )
    if "Pooling" in behind[1:] or (behind and behind[0] != "Pooling"):
        raise SourceError(
            f"{file}: expected the modules Transformer, Pooling and, where wanted, Dense, "
            f"LayerNorm, Normalize, Dropout behind them; found {', '.join(names)}"
        )
    return [
        read_module(name, folder / entry["path"])
        for name, entry in zip(behind, entries[1:], strict=True)
    ]


def _listed(file: Path, entries: object) -> Sequence[Mapping[str, Any]]:
    """The entries, each with a type and with a path within the folder."""
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise SourceError(f"{file}: expected a list of modules, each an object")
    for entry in entries:
        if not (entry.get("path") == "" or is_name(entry.get("path"))):
            raise SourceError(
                f"{file}: expected the name of a subfolder as path, found {entry.get('path')!r}"
            )
        if entry.get("kwargs"):
            raise SourceError(f"{file}: kwargs of a module are not supported: {entry['kwargs']}")
    return entries


def _name(file: Path, entry: Mapping[str, Any]) -> str:
    found = _TYPE.fullmatch(str(entry.get("type")))
    if found is None:
        raise SourceError(
            f"{file}: the module {entry.get('type')} is not supported: its code is not "
            "sentence-transformers'"
        )
    return found["name"]


def _check(folder: Path, model: Mapping[str, Any], transformer: Mapping[str, Any]) -> None:
    """Raises SourceError, listing every option that is not followed."""
    problems = []
    if model.get("model_type", "SentenceTransformer") != "SentenceTransformer":
        problems.append(f"{MODEL}: model_type {model['model_type']} is not supported")
    for key, value in transformer.items():
        harmless = (
            key in _IGNORED
            or key in ("max_seq_length", "do_lower_case")
            or (key in _FIXED and value == _FIXED[key])
            or (key in _ARGUMENTS and set(value or {}) <= _HARMLESS)
            or (key == "modality_config" and value.get("text") == _TEXT_MODALITY)
        )
        if not harmless:
            problems.append(f"{TRANSFORMER}: {key}: {value!r} is not supported")
    if problems:
        raise SourceError(f"{folder}: " + "; ".join(problems))


def _names(config: Mapping[str, Any]) -> Sequence[Any]:
    return config.get("architectures") or ()


def _length(folder: Path) -> int | None:
    """The tokenizer's longest row; a number as large as no text stands for none."""
    length = _optional(folder / tokenizer_files.CONFIGS[1]).get("model_max_length")
    return int(length) if isinstance(length, (int, float)) and length < 1e9 else None


def _optional(file: Path) -> Mapping[str, Any]:
    return read_json(file) if file.exists() else {}
