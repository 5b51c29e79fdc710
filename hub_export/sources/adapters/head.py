"""Prediction heads that AdapterHub saves beside adapters."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from encoders import Classification, Form, QuestionAnswering, TaskHead, TokenClassification
from hub_export.errors import SourceError
from hub_export.sources.adapters.prefixes import prefix_of, prefixed
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.json_files import read_json, sums
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.sources.formats.weights_file import WeightsFile

CONFIG = "head_config.json"
WEIGHTS = ("model_head.safetensors", "pytorch_model_head.bin")
_KINDS: Mapping[str, type[TaskHead]] = {
    "classification": Classification,
    "multilabel_classification": Classification,
    "tagging": TokenClassification,
    "question_answering": QuestionAnswering,
}
_MOST_LAYERS = 2
_DENSE, _OUTPUT = "adapter_head.dense", "adapter_head.output"
# Options of the base model that give the dropout's rate where the head has none.
_DROPOUT = ("classifier_dropout", "hidden_dropout_prob")
_DROPOUTS = {"albert": ("classifier_dropout_prob",), "distilbert": ("seq_classif_dropout",)}
# What a base model's configuration says of its own head.
_BASE = frozenset(
    """
    finetuning_task function_to_apply id2label label2id num_labels problem_type
    sbert_ce_default_activation_function sentence_transformers
    """.split()
)


@dataclasses.dataclass(frozen=True)
class Head:
    """A prediction head.

    Attributes:
        file: its configuration.
        weights: its tensors.
        config: what it adds to the base model's configuration.
        form: how it is computed; None where it is that of the model's family.
        renamed: name of a tensor -> its name in the file; where it has none, all keep theirs.
        problem: why it is not supported; empty where it is.
    """

    file: Path
    weights: WeightsFile
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    form: Form | None = None
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    problem: str = ""

    def on(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with this head, or with the reason that it has none."""
        files = {**checkpoint.files, **sums([self.file, self.weights.path])}
        if self.problem:
            return dataclasses.replace(checkpoint, files=files, head_problem=self.problem)
        kept = {k: v for k, v in checkpoint.config.items() if k not in _BASE}
        return dataclasses.replace(
            checkpoint,
            config={**kept, **self.config},
            head_form=self.form,
            head_problem="",
            tensors=functools.partial(self._beside, checkpoint),
            files=files,
        )

    def _beside(self, checkpoint: Checkpoint) -> LazyTensors:
        encoder = prefixed(checkpoint.tensors(), prefix_of(checkpoint))
        own = self.weights.tensors
        renamed = self.renamed or {name: name for name in own}
        return LazyTensors(
            {
                **{name: functools.partial(encoder.__getitem__, name) for name in encoder},
                **{to: functools.partial(own.__getitem__, of) for to, of in renamed.items()},
            }
        )


def read(folder: Path) -> Head | None:
    """Reads the head of an adapter, where it has one.

    Raises:
        SourceError: a file is damaged, or one of the two is missing.
    """
    weights = WeightsFile.find(folder, WEIGHTS)
    if weights is None:
        return None
    file = folder / CONFIG
    content = read_json(file)
    if content.get("config") is None:
        return _of_family(file, content, weights)
    options = Options(file, _object(file, "config", content["config"]))
    kind = options.take("head_type", str)
    if kind not in _KINDS:
        problem = f"{file}: a head of type {kind} is not supported; supported: {', '.join(_KINDS)}"
        return Head(file, weights, problem=problem)
    dropouts = _DROPOUTS.get(str(content.get("model_type")), _DROPOUT)
    return _flexible(options, kind, str(content.get("name")), dropouts, weights)


def _of_family(file: Path, content: Mapping[str, Any], weights: WeightsFile) -> Head:
    """That of a class of `transformers`."""
    model = str(content.get("model_class"))
    if not any(head.is_of(model) for head in _KINDS.values()):
        problem = f"{file}: the head of {model} is not supported"
        return Head(file, weights, problem=problem)
    names = _labels(file, content.get("label2id"), content.get("num_labels"))
    return Head(file, weights, {"architectures": [model], "id2label": names})


def _flexible(
    options: Options, kind: str, name: str, dropouts: tuple[str, ...], weights: WeightsFile
) -> Head:
    """That of the library's own classes."""
    file, head = options.file, _KINDS[kind]
    layers, count = options.take("layers", int), options.take("num_labels", int)
    if layers > _MOST_LAYERS:
        problem = f"{file}: layers: up to {_MOST_LAYERS} are supported, found {layers}"
        return Head(file, weights, problem=problem)
    options.fix("bias", True)
    between = options.take("activation_function", str | None)
    form = Form(
        _OUTPUT,
        _DENSE if layers == _MOST_LAYERS else "",
        {None: "linear", "leakyrelu": "leaky_relu"}.get(between, str(between).lower()),
        dropouts=dropouts,
        input_dropouts=dropouts,
        is_pooled=options.take("use_pooler", bool, False),
        dropout=options.take("dropout_prob", float | None),
    )
    config = {
        "architectures": [f"AdapterHub{head.ending}"],
        "id2label": _labels(file, options.take("label2id", dict | None), count),
        "problem_type": _problem(kind, count),
    }
    options.close()
    # A dropout stands before each dense layer, an activation, if any, behind the first.
    places = {_DENSE: 1, _OUTPUT: 4 if between else 3} if form.dense else {_OUTPUT: 1}
    renamed = {
        f"{layer}.{part}": f"heads.{name}.{place}.{part}"
        for layer, place in places.items()
        for part in ("weight", "bias")
    }
    if missing := sorted({*renamed.values()} ^ {*weights.tensors}):
        raise SourceError(
            f"{weights.path}: the tensors are not those of {file}: {missing[0]} is in one only"
        )
    return Head(file, weights, config, form, renamed)


def _problem(kind: str, count: int) -> str:
    """What its loss says of the logits."""
    if kind == "multilabel_classification":
        return "multi_label_classification"
    return "regression" if count == 1 else "single_label_classification"


def _labels(file: Path, ids: object, count: object) -> Mapping[str, str]:
    """`id2label`."""
    if ids is None:
        if not isinstance(count, int) or not 0 < count < 1 << 24:
            raise SourceError(f"{file}: num_labels: expected a positive integer, found {count!r}")
        return {str(at): f"LABEL_{at}" for at in range(count)}
    return {str(id): label for label, id in _object(file, "label2id", ids).items()}


def _object(file: Path, key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SourceError(f"{file}: {key}: expected an object, found {value!r:.100}")
    return value
