"""The tasks whose models every property is tested on, declared once; `test_cases.py` sees to it."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import sentence_transformers
import tensorflow as tf
import torch
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

import hub_export
from hub_export import contract, settings
from hub_export.models import litert
from hub_export.verify.loaded import of_any_size
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
_INPUTS = (*contract.TEXT_INPUTS, contract.LABELS)


def _input(name: str, texts: Sequence[str | bytes]) -> tf.Tensor:
    """An input of a signature, of these texts; each has itself and another as its choices."""
    if name == contract.LABELS:
        return tf.constant(["a", "b c"])
    batch = tf.constant(texts, tf.string)
    if name != contract.CHOICES:
        return batch
    return tf.stack([batch, tf.strings.join(["d ", batch[::-1]])], axis=1)


@dataclasses.dataclass(frozen=True)
class TaskCase:
    """A checkpoint of a task to make: a tiny BERT with the head."""

    name: str
    architecture: str
    labels: Sequence[str] = ()
    arrange: Callable[[Path], Path] = lambda folder: folder

    def save_checkpoint(self, folder: Path) -> Path:
        """Writes it; returns its folder."""
        named = dict(enumerate(self.labels))
        ids = {label: id for id, label in named.items()}
        options: dict[str, Any] = {"id2label": named, "label2id": ids} if named else {}
        checkpoints.save_model(folder, "bert", self.architecture, num_hidden_layers=1, **options)
        checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
        return self.arrange(folder)


def _late(folder: Path) -> Path:
    """A MultiVectorEncoder around the encoder of a folder; its queries are filled up with masks."""
    names = {"module_input_name": "token_embeddings"}
    expansion = {"strategy": "fixed", "attend": False, "length": 12}
    torch.manual_seed(1)
    modules = [
        Transformer(str(folder), document_length=30, query_expansion=expansion),
        MultiVectorMask(skiplist_words=["b"]),
        Dense(24, 8, bias=False, activation_function=torch.nn.Identity(), **names),
        Normalize(**names),
    ]
    whole = folder.parent / "late"
    prompts = {"query": "a ", "document": "b "}
    made = sentence_transformers.MultiVectorEncoder(modules=modules, prompts=prompts, device="cpu")
    made.save(str(whole), create_model_card=False)
    return whole


TASKS = [
    TaskCase(
        settings.TEXT_CLASSIFICATION,
        "BertForSequenceClassification",
        ["contradiction", "neutral", "entailment"],  # has signatures for zero-shot, too
    ),
    TaskCase(settings.TOKEN_CLASSIFICATION, "BertForTokenClassification", ["O", "B-x", "I-x", "y"]),
    TaskCase(settings.QUESTION_ANSWERING, "BertForQuestionAnswering"),
    TaskCase(settings.MULTIPLE_CHOICE, "BertForMultipleChoice"),
    TaskCase(settings.FILL_MASK, "BertForMaskedLM"),
    TaskCase(settings.SPARSE_EMBEDDING, "BertForMaskedLM"),
    TaskCase(settings.LATE_INTERACTION, "AutoModel", arrange=_late),
]


_UNLIKE = (settings.TEXT_CLASSIFICATION, settings.QUESTION_ANSWERING, settings.LATE_INTERACTION)
UNLIKE_TASKS = [case for case in TASKS if case.name in _UNLIKE]
"""One that gives dense numbers, one that takes two texts, and one that gives ragged tensors."""


@dataclasses.dataclass(frozen=True)
class SavedTask:
    """A case that has been exported."""

    case: TaskCase
    source: Path
    path: Path
    copy: Path
    """The LiteRT copy."""

    @functools.cached_property
    def model(self) -> Any:
        return tf.saved_model.load(str(self.path))

    @functools.cached_property
    def calls(self) -> Mapping[bool, Callable[..., Any]]:
        """The call in training, or not, of as many texts as one likes."""
        specs = tf.nest.map_structure(
            lambda each: tf.TensorSpec([None, *each.shape[1:]], each.dtype), self.given(TEXTS)
        )
        return {
            training: of_any_size(functools.partial(self.model, training=training), specs)
            for training in (False, True)
        }

    def given(self, texts: Sequence[str | bytes]) -> Any:
        """What the call takes, where all batches of texts are these."""
        batches = [*self.requests(texts)[contract.SERVING].values()]
        return batches if batches[1:] else batches[0]

    def requests(self, texts: Sequence[str | bytes] = TEXTS) -> Mapping[str, dict[str, tf.Tensor]]:
        """The inputs of every signature, of these texts."""
        return {
            name: {
                key: _input(key, texts)
                for key in _INPUTS
                if key in signature.structured_input_signature[1]
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
    options: dict[str, Any] = {"parts": ["task_model"], "task": case.name, "verify": "none"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litert, "LENGTHS", (16, 512))  # each takes a second
        done = hub_export.export(source, folder / "exported", **options, litert=["float32"])
    name = settings.product_of(case.name)
    return SavedTask(case, source, done.paths[name], done.paths[f"{name}_litert"])
