"""Comparing an exported classification of texts with its source, by call and by signatures.

The source is its tokenizer, one text or pair at a time, and the model in torch. Logits and
probabilities count as numbers of an encoder do; a label must be the source's, unless its two
largest logits are closer than the tolerance.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hub_export import contract
from hub_export.contract import LOGITS
from hub_export.litert.numbers import softmax
from hub_export.models.task import Task
from hub_export.models.tasks.classification import SOFTMAX
from hub_export.terminal import Progress
from hub_export.verify import outputs
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Named, Road, Sample
from hub_export.verify.references.modules import torch_function
from hub_export.verify.source import Source
from hub_export.verify.texts import (
    Columns,
    OfTexts,
    Rows,
    Texts,
    batches,
    by_signature,
    certain,
    row,
    sample_pairs,
    sample_texts,
)

Call = Callable[[Columns], Mapping[str, tf.Tensor]]
_NUMBERS = (LOGITS, contract.PROBABILITIES)
_OF_LABELS = (LOGITS, contract.LABEL)


@dataclasses.dataclass(frozen=True)
class Answers(OfTexts):
    """What the source gives.

    Attributes:
        task: labels and activation.
        texts: one a row; two where a pair is.
        logits: float32 [B, C].
        left_out: how many more texts there were, whose logits hang on a rounding.
    """

    task: Task
    texts: Texts
    logits: Floats
    left_out: int = 0

    def named(self, logits: Floats) -> list[bytes]:
        """The labels of the largest logits, float32 [B, C]."""
        return [self.task.labels[at].encode() for at in logits.argmax(1)]

    def samples(self) -> list[Sample]:
        """Batches of a few texts; the inputs of a sample are their columns."""
        named = {
            LOGITS: self.logits,
            contract.PROBABILITIES: _probabilities(self.logits, self.task.activation),
        }
        found = []
        for rows, columns in batches(self.texts):
            found.append(Sample(columns, {name: each[rows] for name, each in named.items()}))
        return found


def ask(source: Source, progress: Progress) -> list[Answers]:
    """Sample texts and pairs of them, and the source's logits."""
    session, model = source.session, source.task_model
    tokenizer, plan, task = session.tokenizer, session.plan, session.task
    assert task is not None
    answers = []
    with plan.applied(tokenizer):
        texts = sample_texts(tokenizer, plan)
        packed = functools.partial(_packed, source)
        for drawn in ([(text,) for text in texts], sample_pairs(tokenizer, texts)):
            asked = certain(model, drawn, packed)
            logits = [
                model(*packed(each))[LOGITS][0]
                for each in progress.over("asking torch for logits", asked)
            ]
            answers.append(Answers(task, asked, np.stack(logits), len(drawn) - len(asked)))
    return answers


def _packed(source: Source, texts: tuple[str, ...]) -> Rows:
    """A text or a pair as the source packs it, with the prompt."""
    session, (text, *others) = source.session, texts
    return row(session.tokenizer, session.size.types, session.plan.prompt + text, *others)


def compare(
    model: Any, answers: Sequence[Answers], closeness: Closeness, progress: Progress
) -> list[Check]:
    """Compares logits, probabilities and labels of a loaded classification.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    checks = []
    for each in answers:
        for way, call in _roads(model, each):
            given = list[Named]()
            road = Road(functools.partial(_noted, call, given))
            asked = each.samples()
            worst = outputs.distances(progress.over("verifying logits", asked), [road], closeness)
            found = [
                outputs.check(f"{name} of {way}", worst[name], closeness, len(each.texts))
                for name in _NUMBERS
            ]
            found.append(_labels(each, given, way))
            checks += [outputs.with_left_out(check, each.left_out) for check in found]
    return checks


def _roads(model: Any, answers: Answers) -> list[tuple[str, Call]]:
    """What a way to ask is called, and the way; for texts alone the call, too, if there is one."""
    if len(answers.texts[0]) == 2:
        return [("pairs", by_signature(model, contract.SERVING_PAIR))]
    signature = by_signature(model, contract.SERVING)
    by_call = [("texts, by call", lambda texts: model(texts[0]))] if callable(model) else []
    return [("texts", signature), *by_call]


def _labels(answers: Answers, given: Sequence[Named], way: str) -> Check:
    """Whether labels are those of the export's logits, and the source's but for a tie.

    A tie is closer than what the logits are off by, whose closeness is a check of its own.
    """
    logits, labels = (np.concatenate([each[name] for each in given]) for name in _OF_LABELS)
    own = answers.named(logits)
    best, tie = np.sort(answers.logits, axis=1), 2 * np.abs(logits - answers.logits).max(initial=0)
    clear = best[:, -1] - best[:, -2] > tie if best.shape[1] > 1 else np.ones(len(best), bool)
    rows = zip(answers.texts, answers.named(answers.logits), own, labels, clear, strict=True)
    found = [
        text
        for text, wanted, mine, label, sure in rows
        if label != mine or (sure and label != wanted)
    ]
    return outputs.differences(f"labels of {way}", found, len(labels))


def _noted(call: Call, given: list[Named], texts: Columns) -> Named:
    """The numbers; with the labels they go to the list."""
    found = {name: np.asarray(each) for name, each in call(texts).items()}
    given.append({name: found[name] for name in _OF_LABELS})
    return {name: found[name] for name in _NUMBERS}


def _probabilities(logits: Floats, activation: str) -> Floats:
    """By numpy; an activation of torch by torch."""
    if activation == SOFTMAX:
        return softmax(logits)
    return torch_function(activation)(logits)
