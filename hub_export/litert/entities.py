"""Entities in numpy, from the tokens of a text and their probabilities.

The rules are those of the TokenClassificationPipeline of `transformers`; in the graph of a
SavedModel, `hub_export.models.tasks.entities` follows them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hub_export.litert.names import AVERAGE, FIRST, MAX, NONE, SIMPLE
from hub_export.litert.numbers import Floats

OUTSIDE = "O"
"""The label of what is no entity."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Tokens(NamedTuple):
    """The tokens of a text, without special ones, in their order.

    Attributes:
        start: where each begins, int64 [n].
        limit: where it ends.
        is_subword: whether it is of the word of the token before it, bool [n].
        probabilities: of each label, float32 [n, C].
    """

    start: Ints
    limit: Ints
    is_subword: Bools
    probabilities: Floats


class Spans(NamedTuple):
    """Stretches of a text that have a label each, in their order.

    Attributes:
        start: where each begins, int64 [n].
        limit: where it ends.
        label: its number, int64 [n].
        score: float32 [n].
    """

    start: Ints
    limit: Ints
    label: Ints
    score: Floats


class EntityLabels:
    """What the labels of a task are to entities.

    Attributes:
        names: what each is called, and (True) what an entity of it is.
        kinds: one number for all labels of one kind, int64 [C].
        begins: whether each begins an entity always, bool [C].
    """

    def __init__(self, labels: Sequence[str]) -> None:
        """Takes all of them, in the order of the logits."""
        self.names = {False: [*labels], True: [each.split("-", 1)[-1] for each in labels]}
        kinds = [each[2:] if each.startswith(("B-", "I-")) else each for each in labels]
        self.kinds = np.array([kinds.index(each) for each in kinds])
        self.begins = np.array([each.startswith("B-") for each in labels])


def entities(tokens: Tokens, labels: EntityLabels, aggregation: str) -> tuple[list[str], Spans]:
    """The entities of a text: their names, and where they are."""
    spans = _by_token(tokens)
    if len(tokens.start) and aggregation not in (NONE, SIMPLE):
        spans = _by_word(tokens, aggregation)
    if len(tokens.start) and aggregation != NONE:
        kinds = labels.kinds[spans.label]
        groups = _Groups(labels.begins[spans.label] | (np.diff(kinds, prepend=kinds[0]) != 0))
        spans = groups.spans(spans, spans.label[groups.first], groups.mean(spans.score))
    names = labels.names[aggregation != NONE]
    kept = np.array([names[label] != OUTSIDE for label in spans.label], bool)
    spans = Spans(*(each[kept] for each in spans))
    return [names[label] for label in spans.label], spans


class _Groups:
    """Elements in groups of neighbours.

    Attributes:
        first: the first element of each group, int64 [m].
        last: the last one.
    """

    def __init__(self, begins: Bools) -> None:
        """Takes whether each element begins a group, bool [n]; the first one does."""
        self.first = np.flatnonzero(begins | (np.arange(len(begins)) == 0))
        self.last = np.append(self.first[1:], len(begins)) - 1

    def mean(self, values: Floats) -> Floats:
        """Of the elements of each group: float32 [n, ...] -> float32 [m, ...]."""
        counts = (self.last - self.first + 1).astype(np.float32)
        sums: Floats = np.add.reduceat(values, self.first, axis=0)
        return (sums.T / counts).T

    def surest(self, values: Floats) -> Ints:
        """The first of each group that has its largest value, float32 [n] -> int64 [m]."""
        bounds = zip(self.first, self.last + 1, strict=True)
        return np.array([begin + values[begin:end].argmax() for begin, end in bounds])

    def spans(self, parts: Tokens | Spans, label: Ints, score: Floats) -> Spans:
        """From the beginning of the first to the end of the last."""
        return Spans(parts.start[self.first], parts.limit[self.last], label, score)


def _by_token(tokens: Tokens) -> Spans:
    x = tokens.probabilities
    return Spans(tokens.start, tokens.limit, x.argmax(axis=1), x.max(axis=1))


def _by_word(tokens: Tokens, aggregation: str) -> Spans:
    """A label for each word, by its first token, its surest one or the average."""
    x, words = tokens.probabilities, _Groups(~tokens.is_subword)
    of_words = {
        FIRST: lambda: x[words.first],
        MAX: lambda: x[words.surest(x.max(axis=1))],
        AVERAGE: lambda: words.mean(x),
    }
    found = of_words[aggregation]()
    return words.spans(tokens, found.argmax(axis=1), found.max(axis=1))
