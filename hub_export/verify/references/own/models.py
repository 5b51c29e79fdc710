"""Which there are, and how the tensors of a checkpoint fill one."""

from collections.abc import Callable, Mapping
from typing import Any

import encoders
from hub_export.errors import SourceError
from hub_export.sources.checkpoint import Checkpoint
from hub_export.verify.references.loading import as_torch
from hub_export.verify.references.own.heads import Headed
from hub_export.verify.references.own.jina_bert import JinaBert, JinaBertQkPostNorm
from hub_export.verify.references.own.model import Model
from hub_export.verify.references.own.nomic_bert_moe import NomicBertMoe

MODELS: Mapping[str, Callable[[Mapping[str, Any], bool], Model]] = {
    "jina_bert": JinaBert,
    "jina_bert_qk_post_norm": JinaBertQkPostNorm,
    "nomic_bert_moe": NomicBertMoe,
}
"""`model_type` -> makes the model of a configuration, with or without a pooler."""


def load(checkpoint: Checkpoint, pooler: bool) -> Model:
    """The model of a checkpoint, float32.

    Args:
        checkpoint: of a `model_type` that is listed.
        pooler: whether it has a pooler.

    Raises:
        SourceError: the checkpoint lacks a tensor.
    """
    model_type = checkpoint.config["model_type"]
    model = MODELS[model_type](checkpoint.config, pooler)
    prefix, tensors = encoders.architectures()[model_type].table.prefix, checkpoint.tensors()
    stored = {name.removeprefix(prefix): name for name in tensors}
    if missing := model.state_dict().keys() - stored.keys():
        raise SourceError(
            f"{checkpoint.weights_file}: the model to compare with misses {len(missing)} tensors, "
            f"such as {min(missing)}"
        )
    found = as_torch({name: tensors[stored[name]] for name in model.state_dict()})
    model.load_state_dict(found)
    return model


def load_headed(checkpoint: Checkpoint, pooler: bool, task: str) -> Headed:
    """The model of a checkpoint with the head of a task on it; arguments and errors as of `load`.

    The head's tensors are there: the export has taken them.
    """
    encoder, tensors = load(checkpoint, pooler), checkpoint.tensors()
    prefix = encoders.architectures()[checkpoint.config["model_type"]].table.prefix
    known = encoder.state_dict()
    names = {name.removeprefix(prefix): name for name in tensors}
    others = {own: tensors[name] for own, name in names.items() if own not in known}
    return Headed(encoder, task, as_torch(others))
