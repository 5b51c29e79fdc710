"""The tasks whose models every property is tested on, declared once; `test_cases.py` sees to it."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

import hub_export
from hub_export import contract, settings
from tests import checkpoints

TEXTS = [
    "a bad [MASK] cab",
    "",
    "Éa \0 ½ [MASK] 日本 👩‍👩‍👧",
    "[SEP] d",
    "\ufffe\uffff",
    "x" * 300,
    "[MASK]" + " a b c" * 30,
]
"""From nothing to more than a row holds; some have masks, for the task that is about these."""
_LABELS = {contract.LABELS: ["a", "b c"]}


@dataclasses.dataclass(frozen=True)
class TaskCase:
    """A checkpoint of a task to make: a tiny BERT with the head."""

    name: str
    architecture: str
    labels: Sequence[str] = ()

    def save_checkpoint(self, folder: Path) -> Path:
        """Writes it; returns its folder."""
        named = dict(enumerate(self.labels))
        ids = {label: id for id, label in named.items()}
        options: dict[str, Any] = {"id2label": named, "label2id": ids} if named else {}
        checkpoints.save_model(folder, "bert", self.architecture, num_hidden_layers=1, **options)
        checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
        return folder


TASKS = [
    TaskCase(
        settings.TEXT_CLASSIFICATION,
        "BertForSequenceClassification",
        ["contradiction", "neutral", "entailment"],  # has signatures for zero-shot, too
    ),
    TaskCase(settings.TOKEN_CLASSIFICATION, "BertForTokenClassification", ["O", "B-x", "I-x", "y"]),
    TaskCase(settings.QUESTION_ANSWERING, "BertForQuestionAnswering"),
    TaskCase(settings.FILL_MASK, "BertForMaskedLM"),
    TaskCase(settings.SPARSE_EMBEDDING, "BertForMaskedLM"),
]


@dataclasses.dataclass(frozen=True)
class SavedTask:
    """A case that has been exported."""

    case: TaskCase
    path: Path

    @functools.cached_property
    def model(self) -> Any:
        return tf.saved_model.load(str(self.path))

    @property
    def texts(self) -> int:
        """How many batches of texts the call takes: one by itself, or a list of two."""
        names = self.model.signatures[contract.SERVING].structured_input_signature[1]
        return len(names)

    def given(self, texts: Sequence[str | bytes]) -> Any:
        """What the call takes, where all batches of texts are these."""
        batch = tf.constant(texts, tf.string)
        return batch if self.texts == 1 else [batch] * self.texts

    def requests(self, texts: Sequence[str | bytes] = TEXTS) -> Mapping[str, dict[str, tf.Tensor]]:
        """The inputs of every signature, of these texts."""
        return {
            name: {
                key: tf.constant(_LABELS.get(key, texts), tf.string)
                for key in signature.structured_input_signature[1]
            }
            for name, signature in self.model.signatures.items()
        }

    def serve(self, texts: Sequence[str | bytes]) -> dict[str, tf.Tensor]:
        """The outputs of every signature, by `signature/output`."""
        return {
            f"{name}/{key}": value
            for name, inputs in self.requests(texts).items()
            for key, value in self.model.signatures[name](**inputs).items()
        }


def save_task(case: TaskCase, folder: Path) -> SavedTask:
    source = case.save_checkpoint(folder / "source")
    done = hub_export.export(
        source, folder / "exported", parts=("task_model",), task=case.name, verify="none"
    )
    return SavedTask(case, done.paths[settings.product_of(case.name)])
