"""What a checkpoint of sentence-transformers does with a text before and behind its encoder.

It is told by `modules.json` and the files that it names, `sentence_bert_config.json` and
`config_sentence_transformers.json` (https://sbert.net). A module, or an option of one, that is not
followed is refused by name. Nothing is imported from the names in these files.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from encoders import DenseModule, NormalizeModule
from hub_export.errors import SourceError
from hub_export.sources import late_interaction, module_list
from hub_export.sources.formats.json_files import sums
from hub_export.sources.formats.options import Options
from hub_export.sources.late_interaction import PYLATE, STANFORD
from hub_export.sources.module_list import MODULES, ROUTES, module_files
from hub_export.sources.modules import (
    CONFIG,
    SENTENCES,
    TOKENS,
    Pipeline,
    Placed,
    PoolingOptions,
    read_module,
    read_weights,
)
from hub_export.sources.poolings import read_pooling, read_splade
from hub_export.sources.tokenizer.names import CONFIGS

CLIP = "clip"
"""The `model_type` of models whose first module makes the vector of a text by itself."""
TRANSFORMER = "sentence_bert_config.json"
MODEL = "config_sentence_transformers.json"
TEXTS = (MODULES, ROUTES, TRANSFORMER, MODEL, late_interaction.METADATA)

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
        method: what of its model gives it.
    """

    task: str
    gives: str
    output: str
    method: str = "forward"


_EMBEDS = Role("feature-extraction", TOKENS, "last_hidden_state")
_FEATURES = Role("feature-extraction", SENTENCES, "pooler_output", "get_text_features")
_SCORES = Role("sequence-classification", "scores", "logits")
_CLASSIC, _CROSS_ENCODER, _SPARSE = "SentenceTransformer", "CrossEncoder", "SparseEncoder"
_OF_PAIRS = ("SequenceClassification", "MultipleChoice")
"""Heads that read two texts in one row."""
_MASKED, _TRANSFORMER, _SPLADE = "MLMTransformer", "Transformer", "SpladePooling"
_POOLING, _TOKEN_MASK = "Pooling", "MultiVectorMask"
_LINEAR = "linear."
"""What the names of the tensors of Stanford's dense layer begin with."""


def read(folder: Path, config: Mapping[str, Any], route: str = "") -> Pipeline:
    """Reads what stands around the encoder of a checkpoint.

    Args:
        folder: where its files are.
        config: the encoder's own configuration.
        route: which route of a router to follow.

    Raises:
        SourceError: a file is damaged, or asks for something that is not supported.
    """
    layout = _late_layout(folder, config)
    if layout == STANFORD:
        return _stanford(folder)
    if layout:
        return _late(folder, layout)
    if not (folder / MODULES).exists():
        classes = str(config.get("architectures"))
        pairs = any(f"For{head}" in classes for head in _OF_PAIRS)
        return Pipeline(max_length=_length(folder), pairs=pairs)
    splade = _splade(folder, route)
    is_whole = config.get("model_type") == CLIP
    pooling, modules = (None, []) if splade else _modules(folder, route, is_whole)
    encoder = module_list.encoder_folder(folder, route)
    model, transformer = Options.read(folder / MODEL), Options.read(encoder / TRANSFORMER)
    kind = model.take("model_type", str, _CLASSIC)
    if kind not in (_CLASSIC, _CROSS_ENCODER, *([_SPARSE] if splade else [])):
        raise SourceError(f"{model.file}: model_type: only {_CLASSIC} is supported, not {kind}")
    length = transformer.positive("max_seq_length") or _length(encoder)
    lower_case = transformer.take("do_lower_case", bool, False)
    is_cross = kind == _CROSS_ENCODER
    if not splade:
        scores = _SCORES if is_cross and pooling is None else _EMBEDS
        _require_followed(transformer, _FEATURES if is_whole else scores)
    return described(
        model,
        pooling=pooling,
        modules=tuple(modules),
        max_length=length,
        lower_case=lower_case,
        pairs=is_cross,
        splade=splade,
        activation=model.take("activation_fn", str | None) if is_cross else None,
    )


def described(model: Options, **known: Any) -> Pipeline:
    """A pipeline of which prompts and dimensions stand in the file MODEL.

    Args:
        model: the options of that file.
        known: all else, by name.

    Raises:
        SourceError: an option is not what it should be.
    """
    return Pipeline(
        prompts=_prompts(model),
        default_prompt=model.take("default_prompt_name", str | None),
        dimensions=model.positive("truncate_dim"),
        **known,
    )


def is_late(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is for late interaction; one whose files are damaged is not.

    Args:
        folder: where its files are.
        config: the encoder's own configuration.
    """
    try:
        return bool(_late_layout(folder, config))
    except SourceError:
        return False


def file_sums(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every file that is read here, those of modules with their subfolder."""
    return sums((folder / file for file in (*TEXTS, *module_files(folder))), folder)


def _require_followed(transformer: Options, role: Role) -> None:
    """Raises SourceError for an option of the first module that is not followed."""
    transformer.ignore(_IGNORED)
    own = {"transformer_task": role.task, "module_output_name": role.gives}
    for key, value in {**own, **_FIXED}.items():
        transformer.fix(key, value)
    for key in _ARGUMENTS:
        asked = transformer.take(key, dict | None) or {}
        if others := asked.keys() - _HARMLESS:
            raise SourceError(f"{transformer.file}: {key}: {sorted(others)} are not supported")
    text = {"method": role.method, "method_output_name": role.output}
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
    options = Options.read(folder / CONFIGS[1])
    length = options.left.get("model_max_length")
    return int(length) if isinstance(length, int | float) and 1 <= length < 1e9 else None


def _modules(
    folder: Path, route: str, is_whole: bool
) -> tuple[PoolingOptions | None, list[Placed]]:
    """The pooling, if there is one, and the modules behind it.

    Args:
        folder: where the file is.
        route: which route of a router to follow.
        is_whole: whether the first module makes one vector of a text, which nothing pools.

    Raises:
        SourceError: the file is damaged, or a module is not supported.
    """
    listed = module_list.behind_transformer(folder, route)
    if is_whole:
        return None, [read_module(*each) for each in listed]
    names = [each.name for each in listed]
    if _POOLING in names[1:] or names[:1] not in ([], [_POOLING]):
        raise SourceError(
            f"{folder / MODULES}: expected the modules Transformer, Pooling and, where wanted, "
            "Dense, LayerNorm, Normalize, Dropout behind them; found "
            f"{', '.join([_TRANSFORMER, *names])}"
        )
    pooling = read_pooling(listed[0].folder) if listed else None
    return pooling, [read_module(*each) for each in listed[1:]]


def _splade(folder: Path, route: str) -> tuple[bool, bool] | None:
    """The pooling of a sparse embedding; None where the modules are others.

    Raises:
        SourceError: a file is damaged, or an option is not supported.
    """
    if module_list.classes(folder, route) not in ([_MASKED, _SPLADE], [_TRANSFORMER, _SPLADE]):
        return None
    _, pooling = module_list.modules(folder, route)
    return read_splade(pooling.folder)


def _late_layout(folder: Path, config: Mapping[str, Any]) -> str:
    """The layout of a checkpoint for late interaction; nothing for one of another kind."""
    has_modules = (folder / MODULES).exists()
    model = Options.read(folder / MODEL).left if has_modules else None
    return late_interaction.layout(model, config)


def _late(folder: Path, layout: str) -> Pipeline:
    """What stands around the encoder of a late interaction.

    PyLate's checkpoints list the dense layers alone: that vectors are normalised in the end, and
    some tokens get none, is in its code.

    Raises:
        SourceError: a file is damaged, or an option is not supported.
    """
    is_pylate = layout == PYLATE
    encoder = module_list.encoder_folder(folder)
    model, transformer = Options.read(folder / MODEL), Options.read(encoder / TRANSFORMER)
    listed = module_list.behind_transformer(folder)
    masks = [each for each in listed if each.name == _TOKEN_MASK]
    if len(masks) != (not is_pylate):
        raise SourceError(
            f"{folder / MODULES}: expected {'no' if is_pylate else 'one'} {_TOKEN_MASK} in a "
            f"{layout}, found {len(masks)}"
        )
    modules = [read_module(*each, of=TOKENS) for each in listed if each.name != _TOKEN_MASK]
    if is_pylate:
        modules.append(Placed(NormalizeModule()))
    mask = next((Options.read(each.folder / CONFIG) for each in masks), None)
    late = late_interaction.read(model, transformer, mask, _prompts(model))
    length = transformer.positive("max_seq_length") or _length(encoder)
    lower_case = transformer.take("do_lower_case", bool, False)
    _require_followed(transformer, _EMBEDS)
    return Pipeline(modules=tuple(modules), max_length=length, lower_case=lower_case, late=late)


def _stanford(folder: Path) -> Pipeline:
    """The same of a checkpoint of Stanford's, whose dense layer lies beside the encoder.

    Raises:
        SourceError: a file is damaged, or an option is not supported.
    """
    late = late_interaction.read_stanford(folder)
    kernel = read_weights(folder, _LINEAR).get(f"{_LINEAR}weight")
    if kernel is None or kernel.ndim != 2:
        raise SourceError(f"{folder}: expected a tensor {_LINEAR}weight of two axes, found none")
    outputs, inputs = kernel.shape
    dense = Placed(DenseModule(inputs, outputs, "linear", False, False), folder, _LINEAR)
    modules = (dense, Placed(NormalizeModule()))
    return Pipeline(modules=modules, max_length=_length(folder), late=late)
