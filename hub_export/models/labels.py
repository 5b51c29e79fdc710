"""What the logits of a classifier stand for, and what makes probabilities of them."""

from hub_export.errors import SourceError
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.modules import torch_activation

_SOFTMAX, _SIGMOID, _LINEAR = "softmax", "sigmoid", "linear"
_PROBLEMS = {
    "regression": _LINEAR,
    "multi_label_classification": _SIGMOID,
    "single_label_classification": _SOFTMAX,
}


def labels_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The labels, in the order of the logits.

    Raises:
        SourceError: the configuration contradicts itself.
    """
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


def activation_of(checkpoint: Checkpoint, labels: int) -> str:
    """That of a cross-encoder, or what the pipeline of `transformers` takes.

    Raises:
        SourceError: it is not supported.
    """
    config, file = checkpoint.config, checkpoint.config_file
    own = config.get("sentence_transformers")
    named = checkpoint.pipeline().activation
    named = named or (own.get("activation_fn") if isinstance(own, dict) else None)
    named = named or config.get("sbert_ce_default_activation_function")
    if named:
        return torch_activation(str(named), file)
    problem = config.get("problem_type")
    if problem is not None and problem not in _PROBLEMS:
        raise SourceError(
            f"{file}: problem_type: expected one of {', '.join(_PROBLEMS)}, found {problem!r}"
        )
    usual = _PROBLEMS.get(str(problem), _SOFTMAX)
    return _SIGMOID if labels == 1 and usual == _SOFTMAX else usual
