"""Comparing what an export puts in the place of mask tokens with its source.

The source is its tokenizer, one text at a time, and the model in torch. Logits and scores count as
numbers of an encoder do; tokens must be those of the largest logits.
"""

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hub_export import contract
from hub_export.contract import LOGITS, MLM_LOGITS, POSITIONS, ROW_SPLITS, SCORE, TOKEN, TOKEN_ID
from hub_export.litert.numbers import softmax
from hub_export.models.tasks.fill_mask import BEST
from hub_export.terminal import Progress
from hub_export.verify import outputs, samples
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Named, Road, Sample
from hub_export.verify.source import Source
from hub_export.verify.texts import (
    OfTexts,
    batches,
    by_signature,
    certain,
    row,
    sample_texts,
    words_of,
)

_PLACES = 5
"""How many positions of a row are asked about."""
_SAME = 1e-5


@dataclasses.dataclass(frozen=True)
class Answers(OfTexts):
    """What the source gives.

    Attributes:
        texts: with masks; one a row.
        logits: of each text's masks, float32 [masks, V].
        words: what each id stands for.
        left_out: how many more texts there were, whose logits hang on a rounding.
    """

    texts: Sequence[tuple[str]]
    logits: Sequence[Floats]
    words: Callable[[int], str]
    left_out: int = 0


def ask(source: Source, progress: Progress) -> Answers:
    """Sample texts with mask tokens in them, and the source's logits there."""
    session, model = source.session, source.task_model
    tokenizer, plan = session.tokenizer, session.plan
    token = session.tokenization.mask
    assert token is not None
    id = tokenizer.token_to_id(token)
    with plan.applied(tokenizer):
        drawn = [_masked(text, token) for text in sample_texts(tokenizer, plan)]
        texts = certain(model, drawn, lambda text: row(tokenizer, session.size.types, text))
        found = []
        for text in progress.over("asking torch for logits", texts):
            packed = row(tokenizer, session.size.types, text)
            found.append(model(*packed)[LOGITS][packed[0] == id])
    left_out = len(drawn) - len(texts)
    return Answers([(text,) for text in texts], found, words_of(tokenizer), left_out)


def compare(model: Any, answers: Answers, closeness: Closeness, progress: Progress) -> list[Check]:
    """Compares logits, scores and tokens of a loaded model, by call and by signature.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    call, signature = (
        _Noted(lambda columns: _flat(model(columns[0]))),
        _Noted(by_signature(model, contract.SERVING)),
    )
    asked = progress.over("verifying masks", _samples(answers))
    worst = outputs.distances(asked, [Road(call), Road(signature)], closeness)
    count = sum(map(len, answers.logits))
    checks = [
        outputs.with_left_out(
            outputs.check(f"{name} of masks", worst[name], closeness, count), answers.left_out
        )
        for name in (LOGITS, SCORE)
    ]
    logits = call.found(LOGITS)
    return [
        *checks,
        _tokens(answers, logits, call, "call"),
        _tokens(answers, logits, signature, "signature"),
    ]


def ask_positions(source: Source) -> list[Sample]:
    """Batches for `encoder.mlm`, and the source's logits at positions drawn by a seed."""
    draw, found = np.random.default_rng(samples.SEED), []
    for drawn in samples.batches(source.session.size):
        batch = source.model.certain(*drawn)
        length = batch[0].shape[1]
        places = draw.integers(0, length, (len(batch[0]), _PLACES), np.int32)
        logits = source.task_model(*batch)[LOGITS]
        wanted = np.take_along_axis(logits, places[..., np.newaxis], axis=1)
        inputs = {**contract.inputs(*batch), POSITIONS: places}
        found.append(Sample(inputs, {MLM_LOGITS: wanted}))
    return found


def compare_positions(
    model: Any, answers: Sequence[Sample], closeness: Closeness, progress: Progress
) -> list[Check]:
    """Compares `mlm` of a loaded encoder."""
    road = Road(lambda inputs: {MLM_LOGITS: model.mlm(inputs)[MLM_LOGITS]})
    worst = outputs.distances(progress.over("verifying mlm", answers), [road], closeness)
    return [outputs.check("numbers, mlm_logits", worst[MLM_LOGITS], closeness)]


def _masked(text: str, token: str) -> str:
    """The text with mask tokens in the places of some words, one before it and one behind."""
    draw, words = random.Random(len(text)), text.split(" ")
    for at in draw.sample(range(len(words)), min(len(words), draw.randint(0, 2))):
        words[at] = token
    return f"{token} {' '.join(words)} {token}"


def _samples(answers: Answers) -> list[Sample]:
    """Batches of a few texts; what is wanted of their masks, one behind the other."""
    found = []
    for rows, columns in batches(answers.texts):
        logits = np.concatenate(answers.logits[rows])
        best = -np.sort(-softmax(logits), axis=1)[:, :BEST]
        found.append(Sample(columns, {LOGITS: logits, SCORE: best}))
    return found


class _Noted:
    """A way to call a model, which keeps what it gives."""

    def __init__(self, call: Callable[[Any], Mapping[str, Any]]) -> None:
        self._call, self._given = call, list[Named]()

    def __call__(self, columns: Any) -> Named:
        """The numbers."""
        found = {name: np.asarray(each) for name, each in self._call(columns).items()}
        self._given.append(found)
        return {name: found[name] for name in (LOGITS, SCORE) if name in found}

    def found(self, name: str) -> Any:
        """An output of all batches."""
        return np.concatenate([each[name] for each in self._given])

    def counts(self) -> Any:
        """How many masks each text has."""
        return np.concatenate([np.diff(each[ROW_SPLITS]) for each in self._given])


def _tokens(answers: Answers, logits: Floats, given: _Noted, way: str) -> Check:
    """Whether each text has its masks, and each mask the tokens of the export's largest logits.

    Logits that are closer than two runs of one graph may be are equal; how close they are to the
    source's is a check of its own.
    """
    ids, tokens = given.found(TOKEN_ID), given.found(TOKEN)
    wanted = [len(each) for each in answers.logits]
    strangers = [
        text
        for text, one, other in zip(answers.texts, wanted, given.counts(), strict=True)
        if one != other
    ]
    ranked = -np.sort(-logits, axis=1)[:, : ids.shape[1]]
    equal = _SAME * np.abs(logits).max(initial=1)
    low = np.take_along_axis(logits, ids, axis=1) < ranked - equal
    twice = np.array([len({*row}) < len(row) for row in ids.tolist()], bool)
    spelled = np.array([answers.words(int(id)).encode() for id in ids.flat], object)
    wrong = low | twice[:, np.newaxis] | (spelled.reshape(ids.shape) != tokens)
    found = [*strangers, *(f"mask {at}" for at in np.flatnonzero(wrong.any(axis=1)))]
    return outputs.differences(f"tokens of masks, by {way}", found, int(ids.size))


def _flat(found: Mapping[str, tf.RaggedTensor]) -> Mapping[str, tf.Tensor]:
    values = {name: each.values for name, each in found.items()}
    return {**values, ROW_SPLITS: found[LOGITS].row_splits}
