"""Which task a checkpoint was trained for, and what its answers are called."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from encoders import Classification, FormedHead, QuestionAnswering
from hub_export.errors import ExportError, SourceError
from hub_export.settings import (
    AUTO,
    FEATURE_EXTRACTION,
    NONE,
    QUESTION_ANSWERING,
    TEXT_CLASSIFICATION,
    Settings,
)
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.modules import torch_activation

_SOFTMAX, _SIGMOID, _LINEAR = "softmax", "sigmoid", "linear"
_PROBLEMS = {
    "regression": _LINEAR,
    "multi_label_classification": _SIGMOID,
    "single_label_classification": _SOFTMAX,
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A task that heads are for.

    Attributes:
        head: what computes it.
        ending: how the classes of `transformers` for it end.
        outputs: how many logits it gives; None where they stand for the configuration's labels.
    """

    head: type[FormedHead]
    ending: str
    outputs: int | None = None


KINDS: Mapping[str, Kind] = {
    TEXT_CLASSIFICATION: Kind(Classification, "ForSequenceClassification"),
    QUESTION_ANSWERING: Kind(QuestionAnswering, "ForQuestionAnswering", outputs=2),
}
"""By the name of the task."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What a checkpoint's head was trained for.

    Attributes:
        name: one of KINDS.
        labels: what the logits stand for; nothing where the task has no labels.
        activation: makes probabilities of the logits of a text: `softmax`, or one of `encoders`.
    """

    name: str
    labels: tuple[str, ...] = ()
    activation: str = ""

    def head(self, config: Mapping[str, Any], width: int) -> FormedHead:
        """The head for it, its variables declared.

        Raises:
            ConfigError: it is not supported.
        """
        kind = KINDS[self.name]
        outputs = len(self.labels) if kind.outputs is None else kind.outputs
        return kind.head(config, width, outputs)

    def words(self) -> Mapping[str, Any]:
        """The same for a reader of the report."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value}


def read(checkpoint: Checkpoint, settings: Settings) -> Task | None:
    """The task; nothing where there is none, or none is asked for.

    Raises:
        SourceError: the configuration does not say which, or contradicts itself.
        ExportError: a task is asked for of random weights.
    """
    asked = settings.task
    if asked == FEATURE_EXTRACTION:
        return None
    name, reason = _found(checkpoint, [*KINDS] if asked == AUTO else [asked])
    if reason:
        if asked == AUTO:
            return None
        raise SourceError(
            f"{checkpoint.config_file}: task {asked}: {reason}; say task=auto for what the "
            "checkpoint has"
        )
    if settings.weights == NONE:
        if asked == AUTO:
            return None
        raise ExportError(f"task {asked}: a head of random weights is not supported")
    labels = _labels(checkpoint) if KINDS[name].outputs is None else ()
    is_of_texts = name == TEXT_CLASSIFICATION
    return Task(name, labels, _activation(checkpoint, len(labels)) if is_of_texts else "")


def _found(checkpoint: Checkpoint, tasks: Sequence[str]) -> tuple[str, str]:
    """Which of the tasks a checkpoint has a head for, or why there is none."""
    classes = [str(each) for each in checkpoint.config.get("architectures") or ()]
    names = [name for name in tasks if any(each.endswith(KINDS[name].ending) for each in classes)]
    if not names:
        expected = " or ".join(f"...{KINDS[name].ending}" for name in tasks)
        found = ", ".join(classes) or "nothing"
        return "", f"expected {expected} under architectures, found {found}"
    if "belongs to a task head" in checkpoint.unused.values():
        return "", "the head of an adapter is not supported"
    if checkpoint.pipeline().pooling is not None:
        return "", "its modules.json makes vectors of texts"
    return names[0], ""


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
