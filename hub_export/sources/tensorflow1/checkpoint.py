"""Reading checkpoints of TensorFlow 1, as Google published BERT and ALBERT.

A folder with `bert_config.json`, `bert_model.ckpt.*` and `vocab.txt`
(https://github.com/google-research/bert); or `albert_config.json`, `model.ckpt-best.*` and a
SentencePiece model (https://github.com/google-research/albert). That code computes `gelu` in its
tanh form, and its layer norms with an epsilon of 1e-12: the configuration says so here, too.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hub_export.errors import SourceError
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.json_files import read_json, sums
from hub_export.sources.formats.renaming import rename
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.sources.tensorflow1.families import FAMILIES, Config, Family

TOKENIZER_CONFIG = "tokenizer_config.json"
_SCOPE = "bert/"
_UNREADABLE = (tf.errors.OpError, LookupError, RuntimeError, ValueError)
_REQUIRED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
)
_NOTES = (
    "`gelu` is computed in its tanh form, as Google's code does; checkpoints converted to "
    "`transformers` often have the exact form instead, which differs by up to 5e-4 an activation.",
    "Numbers are compared with `transformers` on the checkpoint's variables under its names, "
    "tokens with its tokenizer for the same vocabulary.",
)
_OPTIMIZER = re.compile(r".*/(adam_[mv]|lamb_[mv]|Adam(_1)?|Momentum)$|global_step$|.*_power$")


def recognises(folder: Path) -> bool:
    """Whether the folder holds such a checkpoint: a configuration of Google's."""
    return not (folder / "config.json").exists() and any(
        (folder / family.config).exists() for family in FAMILIES
    )


def read(folder: Path, name: str, revision: str = "", weights: bool = True) -> Checkpoint:
    """Reads a checkpoint of TensorFlow 1.

    Args:
        folder: where its files are.
        name: what the user calls it.
        revision: the commit, if it was downloaded.
        weights: whether its weights are wanted.

    Raises:
        SourceError: a file is missing or damaged, or there are several of a kind.
    """
    family = next(each for each in FAMILIES if (folder / each.config).exists())
    config_file = folder / family.config
    config = _config(family, config_file)
    vocabulary = _only(folder, family.vocabulary)
    prefix = _only(folder, "*.ckpt*.index").with_suffix("") if weights else folder
    values = sorted(folder.glob(f"{prefix.name}.*")) if weights else []
    options = folder / TOKENIZER_CONFIG
    lower, reason = _lower_case(family, vocabulary, options)
    return Checkpoint(
        name=name,
        revision=revision,
        folder=None,
        config=config,
        config_file=config_file,
        weights_file=prefix,
        tokenizer_file=vocabulary,
        tensors=functools.partial(_tensors, family, config, prefix),
        tokenizer=functools.partial(family.tokenizer, vocabulary, lower),
        special_tokens=family.special_tokens,
        files=sums([config_file, vocabulary, options, *values]),
        unused=_unused(prefix) if weights else {},
        notes=(*_NOTES, *family.notes, f"Text is {'' if lower else 'not '}lower-cased: {reason}."),
    )


def _config(family: Family, file: Path) -> Config:
    """The configuration in the words of `transformers`."""
    found = read_json(file)
    if missing := [name for name in _REQUIRED if name not in found]:
        raise SourceError(f"{file}: options are missing: {', '.join(missing)}")
    config = dict(found)
    if config.setdefault("hidden_act", "gelu") == "gelu":
        config["hidden_act"] = "gelu_pytorch_tanh"
    return {"model_type": family.model_type, "layer_norm_eps": 1e-12, **config}


def _only(folder: Path, pattern: str) -> Path:
    """The one file of this pattern."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise SourceError(f"{folder}: no {pattern}; a checkpoint of TensorFlow 1 has one")
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise SourceError(
            f"{folder}: expected one {pattern}, found {names}; keep the one to export"
        )
    return found[0]


def _lower_case(family: Family, vocabulary: Path, options: Path) -> tuple[bool, str]:
    """Whether text is lower-cased, and how that is known: the folder itself does not say."""
    told = read_json(options).get("do_lower_case") if options.exists() else None
    if told is not None:
        return bool(told), f"{options.name} has do_lower_case {str(told).lower()}"
    return not family.cased(vocabulary), f"by the rule that {family.case_rule}"


def _tensors(family: Family, config: Config, prefix: Path) -> Mapping[str, np.ndarray]:
    reader, names = _open(prefix)
    read = {name: functools.partial(_values, reader, prefix, name) for name in names}
    encoder = LazyTensors({name: each for name, each in read.items() if not _reason(name)})
    return rename(family.rows, family.fields(config), encoder, prefix)


def _unused(prefix: Path) -> Mapping[str, str]:
    return {name: reason for name in _open(prefix)[1] if (reason := _reason(name))}


def _reason(name: str) -> str:
    """Why a variable is of no use to the encoder; nothing where it is."""
    if _OPTIMIZER.fullmatch(name):
        return "belongs to the optimizer"
    return "" if name.startswith(_SCOPE) else "belongs to a task head"


def _open(prefix: Path) -> tuple[Any, list[str]]:
    """The reader of a checkpoint, and the names of its variables."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        names = sorted(reader.get_variable_to_shape_map())
    except _UNREADABLE as error:
        raise SourceError(f"{prefix}: cannot be read as a checkpoint ({error})") from error
    if not any(name.startswith(_SCOPE) for name in names):
        raise SourceError(
            f"{prefix}: has no variables {_SCOPE}..., such as {_SCOPE}embeddings/word_embeddings; "
            f"checkpoints of TensorFlow 2, and of other models, are not supported (found: "
            f"{names[0]})"
        )
    return reader, names


def _values(reader: Any, prefix: Path, name: str) -> np.ndarray:
    try:
        values: np.ndarray = reader.get_tensor(name)
    except _UNREADABLE as error:
        raise SourceError(f"{prefix}: {name} cannot be read ({error})") from error
    return values
