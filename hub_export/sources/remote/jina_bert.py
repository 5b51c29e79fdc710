"""Jina Embeddings 2 (https://arxiv.org/abs/2310.19923), which say `bert` and mean Jina BERT.

That of code (`jina-embeddings-v2-base-code`) has another block, which only the name of its own code
tells.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.options import Options

NOTE = (
    "Jina BERT: its code is remote and is never run, and transformers has no class for it. What is "
    "compared with is a model in torch that hub_export has, written from public descriptions."
)
_ALIBI = "alibi"
_OTHER = "qk-post-norm"


def recognises(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is that of such a checkpoint."""
    named = config.get("model_type"), config.get("position_embedding_type")
    return named == ("bert", _ALIBI)


def configuration(options: Options) -> Mapping[str, Any]:
    """The configuration, by the name that is known here."""
    named = options.take("auto_map", dict | None) or {}
    is_other = any(_OTHER in str(each) for each in named.values())
    return {**options.left, "model_type": "jina_bert_qk_post_norm" if is_other else "jina_bert"}


def tensors(found: Checkpoint) -> Mapping[str, np.ndarray]:
    """The tensors as they are."""
    return found.tensors()
