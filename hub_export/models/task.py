"""Which task a checkpoint was trained for, and what its answers are called."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hub_export.errors import ExportError, SourceError
from hub_export.settings import AUTO, FEATURE_EXTRACTION, NONE, Settings
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.modules import torch_activation

CLASSIFIER = "ForSequenceClassification"
_SOFTMAX, _SIGMOID, _LINEAR = "softmax", "sigmoid", "linear"
_PROBLEMS = {
    "regression": _LINEAR,
    "multi_label_classification": _SIGMOID,
    "single_label_classification": _SOFTMAX,
}


@dataclasses.dataclass(frozen=True)
class Task:
    """A classification of texts.

    Attributes:
        labels: what the logits stand for.
        activation: makes probabilities of logits: `softmax`, or one of `encoders`.
    """

    labels: tuple[str, ...]
    activation: str

    def words(self) -> Mapping[str, Any]:
        """The same for a reader of the report."""
        return {"labels": [*self.labels], "activation": self.activation}


def read(checkpoint: Checkpoint, settings: Settings) -> Task | None:
    """The task; nothing where there is none, or none is asked for.

    Raises:
        SourceError: the configuration does not say which, or contradicts itself.
        ExportError: a task is asked for of random weights.
    """
    if settings.task == FEATURE_EXTRACTION:
        return None
    if reason := _missing(checkpoint):
        if settings.task == AUTO:
            return None
        raise SourceError(
            f"{checkpoint.config_file}: task {settings.task}: {reason}; say task=auto for what "
            "the checkpoint has"
        )
    if settings.weights == NONE:
        if settings.task == AUTO:
            return None
        raise ExportError(f"task {settings.task}: a head of random weights is not supported")
    labels = _labels(checkpoint)
    return Task(labels, _activation(checkpoint, len(labels)))


def _missing(checkpoint: Checkpoint) -> str:
    """Why a checkpoint has no head that is supported; nothing where it has one."""
    kinds = [str(each) for each in checkpoint.config.get("architectures") or ()]
    if not any(kind.endswith(CLASSIFIER) for kind in kinds):
        found = ", ".join(kinds) or "nothing"
        return f"expected ...{CLASSIFIER} under architectures, found {found}"
    if "belongs to a task head" in checkpoint.unused.values():
        return "the head of an adapter is not supported"
    if checkpoint.pipeline().pooling is not None:
        return "its modules.json makes vectors of texts"
    return ""


def _labels(checkpoint: Checkpoint) -> tuple[str, ...]:
    config, file = checkpoint.config, checkpoint.config_file
    named, count = config.get("id2label"), config.get("num_labels")
    if named is None:
        count = 2 if count is None else count
        if not isinstance(count, int) or not 0 < count < 1 << 24:
            raise SourceError(f"{file}: num_labels: expected a positive integer, found {count!r}")
        return tuple(f"LABEL_{at}" for at in range(count))
    try:
        labels = {int(id): label for id, label in named.items()}
    except (AttributeError, ValueError) as error:
        raise SourceError(
            f"{file}: id2label: expected id -> label, found {named!r:.200}"
        ) from error
    texts = all(isinstance(label, str) for label in labels.values())
    if sorted(labels) != [*range(len(labels))] or not labels or not texts:
        raise SourceError(
            f"{file}: id2label: expected a text for each id from 0 on, found {named!r:.200}"
        )
    if count not in (None, len(labels)):
        raise SourceError(f"{file}: num_labels is {count}, but id2label has {len(labels)}")
    return tuple(labels[id] for id in range(len(labels)))


def _activation(checkpoint: Checkpoint, labels: int) -> str:
    """That of a cross-encoder, or what the pipeline of `transformers` takes."""
    config, file = checkpoint.config, checkpoint.config_file
    own = config.get("sentence_transformers")
    named = own.get("activation_fn") if isinstance(own, dict) else None
    named = named or config.get("sbert_ce_default_activation_function")
    if named:
        return torch_activation(str(named), file)
    problem = config.get("problem_type")
    if problem is not None and problem not in _PROBLEMS:
        raise SourceError(
            f"{file}: problem_type: expected one of {', '.join(_PROBLEMS)}, found {problem!r}"
        )
    return _PROBLEMS.get(str(problem), _SIGMOID) if labels == 1 or problem else _SOFTMAX
