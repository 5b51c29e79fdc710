"""Encoders of DPR (https://arxiv.org/abs/2004.04906): BERTs under another name.

The encoder of questions, or of contexts, is a BERT without a pooler, whose first token's vector is
what stands for a text. It is read as that: `transformers` and everything here know BERT.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hub_export.errors import SourceError
from hub_export.sources import huggingface
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.tensors import LazyTensors

MODEL_TYPE, _BERT = "dpr", "bert"
_PREFIX = re.compile(r"(?:question|ctx)_encoder\.bert_model\.")
_POOLER = "pooler."
_PROJECTION = "projection_dim"


def recognises(folder: Path) -> bool:
    """Whether a folder holds such an encoder; one whose files are damaged does not."""
    return huggingface.model_type(folder) == MODEL_TYPE


def read(folder: Path, name: str, revision: str = "", weights: bool = True) -> Checkpoint:
    """Reads an encoder of DPR.

    Args:
        folder: where its files are.
        name: what the user calls it.
        revision: the commit of the hub, if it is from there.
        weights: whether its weights are wanted.

    Raises:
        SourceError: a file is missing or damaged, or its vectors are projected.
    """
    found = huggingface.read(folder, name, revision, weights)
    config = dict(found.config)
    if projected := config.pop(_PROJECTION, 0):
        raise SourceError(
            f"{found.config_file}: {_PROJECTION}: only 0 is supported, found {projected!r}"
        )
    role = ", ".join(map(str, config.get("architectures") or ())) or "an encoder of DPR"
    return dataclasses.replace(
        found,
        folder=None,
        config={**config, "model_type": _BERT},
        tensors=functools.partial(_renamed, found),
        notes=(*found.notes, f"{role}: BERT, whose first token's vector stands for a text."),
    )


def _renamed(found: Checkpoint) -> Mapping[str, np.ndarray]:
    """The tensors under BERT's names; of older files without the pooler, which nothing reads.

    Raises:
        SourceError: they are those of something else, such as a reader.
    """
    tensors = found.tensors()
    if others := [each for each in tensors if not _PREFIX.match(each)]:
        raise SourceError(
            f"{found.weights_file}: expected tensors of question_encoder.bert_model or "
            f"ctx_encoder.bert_model alone, found {len(others)} others, such as {min(others)}; a "
            "reader of DPR is not supported"
        )
    bare = {_PREFIX.sub("", each): each for each in tensors}
    kept = {name: own for name, own in bare.items() if not name.startswith(_POOLER)}
    return LazyTensors.renamed(tensors, kept)
