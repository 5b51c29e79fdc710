"""Static embeddings: a tokenizer and a table of vectors, of whose rows a text's vector is the mean.

Read as sentence-transformers' `StaticEmbedding` reads them, in its own layout (`modules.json`, the
module in the folder itself or in one of its own) and in model2vec's, which may have a `config.json`
alone. The tokenizer is tokenizer.json and nothing beside it, without special tokens around a text,
and cuts a text only where it says so. model2vec's library would leave unknown tokens out.
"""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from encoders import NormalizeModule
from hub_export.errors import ExportError, SourceError
from hub_export.sources import huggingface, module_list, sentence_transformers
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.json_files import read_json, sums
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.weights_file import WeightsFile
from hub_export.sources.module_list import MODULES
from hub_export.sources.modules import (
    CONFIG,
    WEIGHTS,
    Pipeline,
    Placed,
    PoolingOptions,
    read_module,
)
from hub_export.sources.tokenizer import files as tokenizer_files
from hub_export.sources.tokenizer.names import TOKENIZER

MODEL_TYPE = "static_embedding"
_MODULE, _MODEL2VEC = "StaticEmbedding", "model2vec"
_TABLE = "embedding.weight"
_ROWS, _ROW_OF_ID, _WEIGHT_OF_ID = "embeddings", "mapping", "weights"
"""Of model2vec: rows, and where there are any, the row of each id and a weight of each id."""
_PADDING = ("[PAD]", "<pad>")


def recognises(folder: Path) -> bool:
    """Whether a folder holds a static embedding; one whose files are damaged does not."""
    if not (folder / MODULES).exists():
        return huggingface.model_type(folder) == _MODEL2VEC
    try:
        return module_list.classes(folder)[:1] == [_MODULE]
    except SourceError:
        return False


def read(folder: Path, name: str, revision: str = "", weights: bool = True) -> Checkpoint:
    """Reads a static embedding.

    Args:
        folder: where its files are.
        name: what the user calls it.
        revision: the commit of the hub, if it is from there.
        weights: whether its weights are wanted.

    Raises:
        SourceError: a file is missing or damaged.
        ExportError: the weights are not wanted.
    """
    if not weights:
        raise ExportError(
            f"weights=none: of the static embedding {name}, only the table tells the sizes; leave "
            "weights out"
        )
    has_modules = (folder / MODULES).exists()
    place = module_list.modules(folder)[0].folder if has_modules else folder
    file = WeightsFile.find(place, WEIGHTS)
    if file is None:
        raise SourceError(f"{place}: no weights; expected {' or '.join(WEIGHTS)}")
    tokenizer_file = place / TOKENIZER
    rows, width = _tensors(file)[_TABLE].shape
    tokenizer = _tokenizer(tokenizer_file)
    read = sums([folder / CONFIG, file.path, tokenizer_file], folder)
    return Checkpoint(
        name=name,
        revision=revision,
        folder=None,
        config={"model_type": MODEL_TYPE, "vocab_size": rows, "hidden_size": width},
        config_file=folder / (MODULES if has_modules else CONFIG),
        weights_file=file.path,
        tokenizer_file=tokenizer_file,
        tensors=functools.partial(_tensors, file),
        tokenizer=functools.partial(_tokenizer, tokenizer_file),
        special_tokens={"pad_token": _padding(tokenizer)},
        files={**read, **sentence_transformers.file_sums(folder)},
        pipeline=functools.partial(_pipeline, folder, tokenizer.truncation),
        is_static=True,
    )


def _tensors(file: WeightsFile) -> Mapping[str, np.ndarray]:
    """The table under its name in sentence-transformers, one row an id, and what else there is.

    Raises:
        SourceError: there is no table of two axes.
    """
    found = dict(file.tensors)
    if _TABLE not in found and _ROWS in found:
        found[_TABLE] = _folded(found)
    if (table := found.get(_TABLE)) is None or table.ndim != 2:
        shapes = {name: list(each.shape) for name, each in file.tensors.items()}
        raise SourceError(
            f"{file.path}: expected a tensor {_TABLE} or {_ROWS} of two axes, found {shapes}"
        )
    return found


def _folded(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """The row of each id, times its weight; takes what it is made of out of the tensors."""
    rows = tensors.pop(_ROWS)
    if (of_id := tensors.pop(_ROW_OF_ID, None)) is not None:
        rows = rows[of_id]
    if (weights := tensors.pop(_WEIGHT_OF_ID, None)) is not None:
        wide = np.promote_types(rows.dtype, np.float32)
        rows = (rows.astype(wide) * weights[:, np.newaxis]).astype(wide)
    return rows


def _tokenizer(file: Path) -> Tokenizer:
    """The tokenizer of a file by itself, with no special tokens around a text."""
    tokenizer = tokenizer_files.parsed(file)
    tokenizer.post_processor = None
    tokenizer.no_padding()
    return tokenizer


def _padding(tokenizer: Tokenizer) -> str:
    """A token that stands behind a text, where none of its vectors is looked up: any will do."""
    known = (token for token in _PADDING if tokenizer.token_to_id(token) is not None)
    return next(known, "") or str(tokenizer.id_to_token(0))


def _pipeline(folder: Path, truncation: Mapping[str, int] | None) -> Pipeline:
    """The mean, and what the files say of all else."""
    if (folder / MODULES).exists():
        modules = [read_module(*each) for each in module_list.modules(folder)[1:]]
    else:
        normalizes = read_json(folder / CONFIG).get("normalize")
        modules = [Placed(NormalizeModule())] if normalizes else []
    model = Options.read(folder / sentence_transformers.MODEL)
    model.fix("model_type", "SentenceTransformer")
    return sentence_transformers.described(
        model,
        pooling=PoolingOptions(("mean",)),
        modules=tuple(modules),
        max_length=truncation and truncation["max_length"],
    )
