"""What a checkpoint of sentence-transformers does with a text before and behind its encoder.

It is told by `modules.json` and the files that it names, `sentence_bert_config.json` and
`config_sentence_transformers.json` (https://sbert.net). A module, or an option of one, that is not
followed is refused by name. Nothing is imported from the names in these files.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import is_name, read_any_json, sums
from hub_export.sources.formats.options import Options
from hub_export.sources.modules import (
    CONFIG,
    WEIGHTS,
    Pipeline,
    Placed,
    PoolingOptions,
    read_module,
    read_pooling,
    read_splade,
)
from hub_export.sources.tokenizer import files as tokenizer_files

MODULES = "modules.json"
TRANSFORMER = "sentence_bert_config.json"
MODEL = "config_sentence_transformers.json"
TEXTS = (MODULES, TRANSFORMER, MODEL)

# Options that never change a vector: one of the first module, and some of the objects in it.
_IGNORED = "unpad_inputs"
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
    "processing_kwargs": {},
    "query_length": None,
    "document_length": None,
    "query_expansion": None,
    "tokenizer_name_or_path": None,
}


class Role(NamedTuple):
    """What the first module is there for.

    Attributes:
        task: what `transformers` calls it.
        gives: what the module calls its output.
        output: what its model calls that.
    """

    task: str
    gives: str
    output: str


_EMBEDS = Role("feature-extraction", "token_embeddings", "last_hidden_state")
_SCORES = Role("sequence-classification", "scores", "logits")
_TYPE = re.compile(
    r"sentence_transformers\.(?:models|base\.modules|"
    r"(?:sentence_transformer|sparse_encoder)\.(?:modules|models))"
    r"(?:\.\w+)?\.(?P<name>\w+)"
)
_CLASSIC, _CROSS_ENCODER, _SPARSE = "SentenceTransformer", "CrossEncoder", "SparseEncoder"
_OF_PAIRS = ("SequenceClassification", "MultipleChoice")
"""Heads that read two texts in one row."""
_MASKED, _TRANSFORMER, _SPLADE = "MLMTransformer", "Transformer", "SpladePooling"


def read(folder: Path, config: Mapping[str, Any]) -> Pipeline:
    """Reads what stands around the encoder of a checkpoint.

    Args:
        folder: where its files are.
        config: the encoder's own configuration.

    Raises:
        SourceError: a file is damaged, or asks for something that is not supported.
    """
    if not (folder / MODULES).exists():
        classes = str(config.get("architectures"))
        pairs = any(f"For{head}" in classes for head in _OF_PAIRS)
        return Pipeline(max_length=_length(folder), pairs=pairs)
    splade = _splade(folder)
    pooling, modules = (None, []) if splade else _modules(folder)
    model, transformer = (Options.read(folder / file) for file in (MODEL, TRANSFORMER))
    kind = model.take("model_type", str, _CLASSIC)
    if kind not in (_CLASSIC, _CROSS_ENCODER, *([_SPARSE] if splade else [])):
        raise SourceError(f"{model.file}: model_type: only {_CLASSIC} is supported, not {kind}")
    length = transformer.positive("max_seq_length") or _length(folder)
    lower_case = transformer.take("do_lower_case", bool, False)
    is_cross = kind == _CROSS_ENCODER
    if not splade:
        _require_followed(transformer, _SCORES if is_cross and pooling is None else _EMBEDS)
    return Pipeline(
        pooling=pooling,
        modules=tuple(modules),
        max_length=length,
        lower_case=lower_case,
        prompts=_prompts(model),
        default_prompt=model.take("default_prompt_name", str | None),
        dimensions=model.positive("truncate_dim"),
        pairs=is_cross,
        splade=splade,
        activation=model.take("activation_fn", str | None) if is_cross else None,
    )


def file_sums(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every file that is read here, those of modules with their subfolder."""
    return sums((folder / file for file in (*TEXTS, *module_files(folder))), folder)


def _require_followed(transformer: Options, role: Role) -> None:
    """Raises SourceError for an option of the first module that is not followed."""
    transformer.left.pop(_IGNORED, None)
    own = {"transformer_task": role.task, "module_output_name": role.gives}
    for key, value in {**own, **_FIXED}.items():
        transformer.fix(key, value)
    for key in _ARGUMENTS:
        asked = transformer.take(key, dict | None) or {}
        if others := asked.keys() - _HARMLESS:
            raise SourceError(f"{transformer.file}: {key}: {sorted(others)} are not supported")
    text = {"method": "forward", "method_output_name": role.output}
    modalities = transformer.take("modality_config", dict, {"text": text})
    if modalities.get("text") != text:
        raise SourceError(f"{transformer.file}: modality_config: {modalities} is not supported")
    transformer.close()


def _prompts(model: Options) -> Mapping[str, str]:
    found = model.take("prompts", dict | None) or {}
    if not all(isinstance(text, str | None) for text in found.values()):
        raise SourceError(f"{model.file}: prompts: expected texts, found {found}")
    return {name: text or "" for name, text in found.items()}


def _length(folder: Path) -> int | None:
    """The tokenizer's longest row; a number as large as no text stands for none."""
    options = Options.read(folder / tokenizer_files.CONFIGS[1])
    length = options.left.get("model_max_length")
    return int(length) if isinstance(length, int | float) and 1 <= length < 1e9 else None


def _modules(folder: Path) -> tuple[PoolingOptions | None, list[Placed]]:
    """The pooling, if there is one, and the modules behind it.

    Raises:
        SourceError: the file is damaged, or a module is not supported.
    """
    file = folder / MODULES
    entries = _listed(file, read_any_json(file))
    names = [_name(file, entry) for entry in entries]
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
    places = [folder / entry["path"] for entry in entries[1:]]
    pooling = read_pooling(places[0]) if places else None
    return pooling, [*map(read_module, behind[1:], places[1:])]


def _splade(folder: Path) -> tuple[bool, bool] | None:
    """The pooling of a sparse embedding; None where the modules are others.

    Raises:
        SourceError: a file is damaged, or an option is not supported.
    """
    file = folder / MODULES
    entries = _listed(file, read_any_json(file))
    kinds = [str(each.get("type")).rpartition(".")[2] for each in entries]
    if kinds not in ([_MASKED, _SPLADE], [_TRANSFORMER, _SPLADE]):
        return None
    for each in entries:
        _name(file, each)
    return read_splade(folder / entries[1]["path"])


def module_files(folder: Path) -> list[str]:
    """The files that `modules.json` leads to, relative to the folder, whether they exist or not.

    Empty where there is no such file, or no sense in it; none of them is outside of the folder.
    """
    try:
        entries: Any = read_any_json(folder / MODULES)
        paths = [entry["path"] for entry in entries]
    except (SourceError, TypeError, KeyError):
        return []
    named = [path for path in paths if is_name(path) and re.fullmatch(r"[\w.-]+", path)]
    return [f"{path}/{file}" for path in named for file in (CONFIG, *WEIGHTS)]


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
