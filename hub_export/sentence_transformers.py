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
from hub_export.files import is_name, sums
from hub_export.options import Options
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
# Options that never change a vector: of the first module, and of the objects in it.
_IGNORED = ("module_output_name", "unpad_inputs")
_HARMLESS = {
    "add_pooling_layer",
    "attn_implementation",
    "dtype",
    "torch_dtype",
    "trust_remote_code",
    "use_memory_efficient_attention",
}
_ARGUMENTS = [
    f"{what}_{kind}"
    for what in ("model", "tokenizer", "processor", "config")
    for kind in ("args", "kwargs")
]
# Options that would change it, with the one value under which they do not.
_FIXED: Mapping[str, Any] = {
    "transformer_task": "feature-extraction",
    "processing_kwargs": {},
    "query_length": None,
    "document_length": None,
    "query_expansion": None,
    "tokenizer_name_or_path": None,
}
_TEXT_MODALITY = {"method": "forward", "method_output_name": "last_hidden_state"}
_CLASSIC, _CROSS_ENCODER = "SentenceTransformer", "CrossEncoder"


def read(folder: Path, config: Mapping[str, Any]) -> Pipeline:
    """Reads what stands around the encoder of a checkpoint.

    Args:
        folder: where its files are.
        config: the encoder's own configuration.

    Raises:
        SourceError: a file is damaged, or asks for something that is not supported.
    """
    model, transformer = (Options.read(folder / file) for file in (MODEL, TRANSFORMER))
    modules = _modules(folder) if (folder / MODULES).exists() else []
    kind = model.take("model_type", str, _CLASSIC)
    classifier = any("ForSequenceClassification" in str(each) for each in _architectures(config))
    pairs = kind == _CROSS_ENCODER or (classifier and not modules)
    if kind not in (_CLASSIC, _CROSS_ENCODER):
        raise SourceError(f"{model.file}: model_type: only {_CLASSIC} is supported, not {kind}")
    length = transformer.positive("max_seq_length") or _length(folder)
    lower_case = transformer.take("do_lower_case", bool, False)
    if not pairs:
        _check(transformer)
    return Pipeline(
        pooling=next((each for each in modules if isinstance(each, Pooling)), None),
        modules=tuple(each for each in modules if not isinstance(each, Pooling)),
        max_length=length,
        lower_case=lower_case,
        prompts=_prompts(model),
        default_prompt=model.take("default_prompt_name", str | None),
        dimensions=model.positive("truncate_dim"),
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


def _check(transformer: Options) -> None:
    """Raises SourceError for an option of the first module that is not followed."""
    for key in _IGNORED:
        transformer.left.pop(key, None)
    for key, value in _FIXED.items():
        transformer.fix(key, value)
    for key in _ARGUMENTS:
        asked = transformer.take(key, dict | None) or {}
        if others := asked.keys() - _HARMLESS:
            raise SourceError(f"{transformer.file}: {key}: {sorted(others)} are not supported")
    modalities = transformer.take("modality_config", dict, {"text": _TEXT_MODALITY})
    if modalities.get("text") != _TEXT_MODALITY:
        raise SourceError(f"{transformer.file}: modality_config: {modalities} is not supported")
    transformer.close()


def _prompts(model: Options) -> Mapping[str, str]:
    found = model.take("prompts", dict | None) or {}
    if not all(isinstance(text, str | None) for text in found.values()):
        raise SourceError(f"{model.file}: prompts: expected texts, found {found}")
    return {name: text or "" for name, text in found.items()}


def _architectures(config: Mapping[str, Any]) -> Sequence[Any]:
    return config.get("architectures") or ()


def _length(folder: Path) -> int | None:
    """The tokenizer's longest row; a number as large as no text stands for none."""
    options = Options.read(folder / tokenizer_files.CONFIGS[1])
    length = options.left.get("model_max_length")
    return int(length) if isinstance(length, (int, float)) and length < 1e9 else None
