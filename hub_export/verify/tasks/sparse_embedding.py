"""Comparing an exported sparse embedding with its source, by call and by signatures.

The source is its tokenizer, one text at a time, the model in torch, and SPLADE's formula in numpy.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hub_export import contract
from hub_export.contract import LOGITS, ROW_SPLITS, TERMS, TOKEN, TOKEN_ID, WEIGHT, WEIGHTS
from hub_export.models.task import Splade
from hub_export.models.tasks.sparse_embedding import MOST
from hub_export.terminal import Progress
from hub_export.verify import outputs
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Named, Road, Sample
from hub_export.verify.source import Source
from hub_export.verify.texts import (
    Columns,
    OfTexts,
    batches,
    by_signature,
    row,
    sample_texts,
    words_of,
)


@dataclasses.dataclass(frozen=True)
class Answers(OfTexts):
    """What the source gives.

    Attributes:
        texts: one a row.
        weights: float32 [B, V].
        words: what each id stands for.
    """

    texts: Sequence[tuple[str]]
    weights: Floats
    words: Callable[[int], str]


_OF_TERMS = (TOKEN, TOKEN_ID, WEIGHT)
_SAME = 1e-5


def ask(source: Source, progress: Progress) -> Answers:
    """Sample texts, and the source's weights."""
    session, model = source.session, source.task_model
    tokenizer, plan = session.tokenizer, session.plan
    assert session.task is not None and session.task.splade is not None
    found = []
    with plan.applied(tokenizer):
        texts = sample_texts(tokenizer, plan)
        for text in progress.over("asking torch for weights", texts):
            logits = model(*row(tokenizer, session.size.types, plan.prompt + text))[LOGITS][0]
            found.append(_weights(logits, session.task.splade))
    return Answers([(text,) for text in texts], np.stack(found), words_of(tokenizer))


def compare(model: Any, answers: Answers, closeness: Closeness, progress: Progress) -> list[Check]:
    """Compares the weights of a loaded sparse embedding, and the terms that it lists.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    roads = [Road(lambda columns: {WEIGHTS: model(columns[0])}), Road(_serving(model))]
    asked = [
        Sample(columns, {WEIGHTS: answers.weights[rows]})
        for rows, columns in batches(answers.texts)
    ]
    shown = progress.over("verifying weights of words", asked)
    worst = outputs.distances(shown, roads, closeness)[WEIGHTS]
    count = len(answers.texts)
    return [
        outputs.check("weights of words", worst, closeness, count),
        outputs.differences("terms", [*_strangers(model, answers)], count),
    ]


def _serving(model: Any) -> Callable[[Columns], Named]:
    serve = by_signature(model, contract.SERVING)
    return lambda columns: {WEIGHTS: np.asarray(serve(columns)[WEIGHTS])}


def _strangers(model: Any, answers: Answers) -> Iterator[tuple[str]]:
    """Texts whose terms are not those of the export's largest weights, in their order."""
    ask = by_signature(model, TERMS)
    for rows, columns in batches(answers.texts):
        weights = np.asarray(model(columns[0]))
        found = {name: np.asarray(each) for name, each in ask(columns).items()}
        splits = found[ROW_SPLITS]
        for at, text in enumerate(answers.texts[rows]):
            own = {name: found[name][splits[at] : splits[at + 1]] for name in _OF_TERMS}
            if not _are_largest(weights[at], own, answers.words):
                yield text


def _are_largest(weights: Floats, terms: Mapping[str, Any], words: Callable[[int], str]) -> bool:
    """Whether terms are those of the largest weights, float32 [V], falling, and spelled rightly.

    Weights that are closer than two runs of one graph may be are equal.
    """
    equal = _SAME * max(1.0, float(weights.max(initial=0)))
    ids, given = terms[TOKEN_ID], terms[WEIGHT]
    ranked = -np.sort(-weights)[:MOST]
    some = ranked[: len(ids)]
    return bool(
        len({*ids.tolist()}) == len(ids)
        and (ranked[len(ids) :] <= equal).all()
        and (np.abs(given - some) <= equal).all()
        and (np.abs(weights[ids] - given) <= equal).all()
        and [words(int(id)).encode() for id in ids] == [*terms[TOKEN]]
    )


def _weights(logits: Floats, task: Splade) -> Floats:
    """float32 [S, V] -> float32 [V]."""
    x = np.log1p(np.maximum(logits, 0))
    x = np.log1p(x) if task.is_doubled else x
    found: Floats = x.sum(0) if task.is_sum else x.max(0)
    return found
