"""Comparing an exported multiple choice with its source, by call and by signature.

The source is its tokenizer, a text and one of its choices at a time, and the model in torch. Logits
and probabilities count as numbers of an encoder do; the best choice is that of the export's own
logits, and so is its text.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from hub_export import contract
from hub_export.contract import ANSWER, CHOICE, LOGITS, PROBABILITIES
from hub_export.litert.numbers import softmax
from hub_export.terminal import Progress
from hub_export.verify import outputs
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Named, Road, Sample
from hub_export.verify.source import Source
from hub_export.verify.texts import Fits, row, sample_texts, short

_BATCH = 8
_COUNTS = (4, 1, 2, 5, 3)
"""Of choices, in turn."""


class Asked(NamedTuple):
    """A text, its choices, and the source's logits of these, float32 [C]."""

    text: str
    choices: Sequence[str]
    logits: Floats

    def where(self, fits: Fits) -> "Asked":
        """The same with the choices alone that fit into a row with the text."""
        kept = [fits(self.text, each) for each in self.choices]
        choices = [*itertools.compress(self.choices, kept)]
        return Asked(self.text, choices, self.logits[np.array(kept, bool)])


Answer = Callable[[Sequence[Asked]], Mapping[str, Any]]


def ask(source: Source, progress: Progress) -> list[Asked]:
    """Sample texts, those that follow each as its choices, and the source's logits."""
    session, model = source.session, source.task_model
    tokenizer, plan = session.tokenizer, session.plan
    with plan.applied(tokenizer):
        found = []
        for text, *choices in progress.over(
            "asking torch for logits", _groups(short(tokenizer, sample_texts(tokenizer, plan)))
        ):
            pairs = [row(tokenizer, session.size.types, text, each) for each in choices]
            logits = [model(*(x[:, np.newaxis] for x in pair))[LOGITS][0, 0] for pair in pairs]
            found.append(Asked(text, choices, np.array(logits)))
    return found


def _groups(texts: Sequence[str]) -> list[list[str]]:
    """A text and its choices each."""
    left = iter(texts)
    groups = ([*itertools.islice(left, 1 + count)] for count in itertools.cycle(_COUNTS))
    return [*itertools.takewhile(lambda group: len(group) > 1, groups)]


def compare(
    model: Any, answers: Sequence[Asked], closeness: Closeness, progress: Progress
) -> list[Check]:
    """Compares logits, probabilities and choices of a loaded multiple choice.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    answers = [each for each in answers if each.choices]
    alike = [[*some] for _, some in itertools.groupby(sorted(answers, key=_count), _count)]
    checks, compared = list[Check](), sum(map(_count, answers))
    for way, answer, groups in (
        ("choices", functools.partial(_served, model), alike),
        ("choices, by call", functools.partial(_called, model), [answers]),
    ):
        differing = list[str]()
        road = Road(functools.partial(_noted, answer, differing))
        samples = progress.over("verifying choices", _samples(groups))
        worst = outputs.distances(samples, [road], closeness)
        checks += [
            outputs.check(f"{name} of {way}", worst[name], closeness, compared)
            for name in (LOGITS, PROBABILITIES)
        ]
        checks.append(outputs.differences(f"best of {way}", differing, len(answers)))
    return checks


def _count(asked: Asked) -> int:
    return len(asked.choices)


def _samples(groups: Iterable[Sequence[Asked]]) -> list[Sample]:
    """Batches of each group; all numbers of a batch one behind the other."""
    found = []
    for group in groups:
        for begin in range(0, len(group), _BATCH):
            some = group[begin : begin + _BATCH]
            logits = [each.logits for each in some]
            wanted = {LOGITS: logits, PROBABILITIES: [*map(softmax, logits)]}
            found.append(Sample(some, {name: np.concatenate(x) for name, x in wanted.items()}))
    return found


def _served(model: Any, some: Sequence[Asked]) -> Mapping[str, Any]:
    """By signature, texts with as many choices each."""
    text, choices = (tf.constant(each) for each in _columns(some))
    found: Mapping[str, Any] = model.signatures[contract.SERVING](text=text, choices=choices)
    return found


def _called(model: Any, some: Sequence[Asked]) -> Mapping[str, Any]:
    """By call, where some texts have more choices than others."""
    text, choices = _columns(some)
    found: Mapping[str, Any] = model([tf.constant(text), tf.ragged.constant(choices)])
    return found


def _columns(some: Sequence[Asked]) -> tuple[list[str], list[Sequence[str]]]:
    return [each.text for each in some], [each.choices for each in some]


def _noted(answer: Answer, differing: list[str], some: Sequence[Asked]) -> Named:
    """The numbers; texts whose choice is not that of the largest logit go to the list."""
    found = answer(some)
    rows = zip(some, *(found[name] for name in (LOGITS, CHOICE, ANSWER)), strict=True)
    for asked, logits, choice, text in rows:
        best = int(np.argmax(logits))
        if (int(choice), text.numpy()) != (best, asked.choices[best].encode()):
            differing.append(asked.text)
    return {name: np.concatenate([*found[name]]) for name in (LOGITS, PROBABILITIES)}
