"""Comparing an exported sparse embedding with its source, by call and by signatures.

The source is its tokenizer, one text at a time, the model in torch, and SPLADE's formula in numpy.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hub_export import contract
from hub_export.contract import LOGITS, TERMS, TOKEN_ID, WEIGHT, WEIGHTS
from hub_export.models.sparse_embedding import MOST
from hub_export.models.task import Splade
from hub_export.terminal import Progress
from hub_export.verify import outputs
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Road, Sample
from hub_export.verify.source import Source
from hub_export.verify.texts import batches, by_signature, row, sample_texts


@dataclasses.dataclass(frozen=True)
class Answers:
    """What the source gives: texts, one a row, and their weights, float32 [B, V]."""

    texts: Sequence[tuple[str]]
    weights: Floats


def ask(source: Source, progress: Progress) -> Answers:
    """Sample texts, and the source's weights."""
    session, model = source.session, source.task_model
    tokenizer, plan = session.tokenizer, session.plan
    assert session.task is not None and session.task.splade is not None
    found = []
    with plan.applied(tokenizer):
        texts = sample_texts(tokenizer, plan)
        for text in progress.over("asking torch for weights", texts):
            logits = model(*row(tokenizer, session.size.types, text))[LOGITS][0]
            found.append(_weights(logits, session.task.splade))
    return Answers([(text,) for text in texts], np.stack(found))


def compare(model: Any, answers: Answers, closeness: Closeness, progress: Progress) -> list[Check]:
    """Compares the weights of a loaded sparse embedding, and the terms that it lists.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    serve, terms = (by_signature(model, name) for name in (contract.SERVING, TERMS))
    size = answers.weights.shape[1]
    roads = [
        Road(lambda columns: {WEIGHTS: model(columns[0])}),
        Road(serve),
        Road(lambda columns: {TERMS: _listed(terms(columns), len(columns[0]), size)}),
    ]
    asked = [
        Sample(columns, {WEIGHTS: wanted, TERMS: _largest(wanted)})
        for rows, columns in batches(answers.texts)
        for wanted in (answers.weights[rows],)
    ]
    worst = outputs.distances(progress.over("verifying weights of words", asked), roads, closeness)
    count = len(answers.texts)
    named = {WEIGHTS: "weights of words", TERMS: "terms, the largest weights"}
    return [outputs.check(named[name], worst[name], closeness, count) for name in named]


def _weights(logits: Floats, task: Splade) -> Floats:
    """float32 [S, V] -> float32 [V]."""
    x = np.log1p(np.maximum(logits, 0))
    x = np.log1p(x) if task.is_doubled else x
    found: Floats = x.sum(0) if task.is_sum else x.max(0)
    return found


def _largest(weights: Floats) -> Floats:
    """The largest weights of each row, float32 [B, V]; all else is zero."""
    if weights.shape[1] <= MOST:
        return weights
    least = -np.sort(-weights, axis=1)[:, MOST - 1 : MOST]
    found: Floats = np.where(weights >= least, weights, 0)
    return found


def _listed(found: Mapping[str, Any], rows: int, size: int) -> Floats:
    """Terms put back in their places, float32 [rows, V]; all else is zero."""
    splits = np.asarray(found[contract.ROW_SPLITS])
    listed = np.zeros((rows, size), np.float32)
    owners = np.repeat(np.arange(rows), np.diff(splits))
    np.add.at(listed, (owners, np.asarray(found[TOKEN_ID])), np.asarray(found[WEIGHT]))
    return listed
