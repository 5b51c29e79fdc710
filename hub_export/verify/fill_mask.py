"""Comparing what an export puts in the place of mask tokens with its source.

The source is its tokenizer, one text at a time, and the model in torch. Logits and scores count as
numbers of an encoder do; a token must be the source's, unless the logit of a neighbour in the
ranking is closer than the tolerance.
"""

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from hub_export import contract
from hub_export.contract import LOGITS, MLM_LOGITS, POSITIONS, SCORE, TOKEN, TOKEN_ID
from hub_export.models.fill_mask import BEST
from hub_export.terminal import Progress
from hub_export.verify import outputs, samples
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Named, Road, Sample
from hub_export.verify.source import Source
from hub_export.verify.texts import batches, by_signature, row, sample_texts

_PLACES = 5
"""How many positions of a row are asked about."""


@dataclasses.dataclass(frozen=True)
class Answers:
    """What the source gives.

    Attributes:
        texts: with masks; one a row.
        logits: of each text's masks, float32 [masks, V].
        words: what each id stands for.
    """

    texts: Sequence[tuple[str]]
    logits: Sequence[Floats]
    words: Callable[[int], str]


def ask(source: Source, progress: Progress) -> Answers:
    """Sample texts with mask tokens in them, and the source's logits there."""
    session, model = source.session, source.task_model
    tokenizer, plan = session.tokenizer, session.plan
    id = session.preprocessor(plan.max_length).special.mask
    assert id is not None
    token = str(tokenizer.id_to_token(id))
    with plan.applied(tokenizer):
        texts = [_masked(text, token) for text in sample_texts(tokenizer, plan)]
        found = []
        for text in progress.over("asking torch for logits", texts):
            packed = row(tokenizer, session.size.types, text)
            found.append(model(*packed)[LOGITS][packed[0] == id])

    def word(id: int) -> str:
        return str(tokenizer.decode([id], skip_special_tokens=False))

    return Answers([(text,) for text in texts], found, word)


def compare(model: Any, answers: Answers, closeness: Closeness, progress: Progress) -> list[Check]:
    """Compares logits, scores and tokens of a loaded model, by call and by signature.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    asked, given = _samples(answers), dict[str, list[Named]]()
    signature = by_signature(model, contract.SERVING)
    ways: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
        "call": lambda columns: _flat(model(columns[0])),
        "signature": signature,
    }
    roads = [Road(_noted(call, given.setdefault(way, []))) for way, call in ways.items()]
    worst = outputs.distances(progress.over("verifying masks", asked), roads, closeness)
    count = sum(map(len, answers.logits))
    checks = [
        outputs.check(f"{name} of masks", worst[name], closeness, count) for name in (LOGITS, SCORE)
    ]
    allowed = closeness.tolerance * worst[LOGITS].scale
    logits = np.concatenate(answers.logits)
    tokens = (_tokens(answers, logits, allowed, way, found) for way, found in given.items())
    return [*checks, *tokens]


def ask_positions(source: Source) -> list[Sample]:
    """Batches for `encoder.mlm`, and the source's logits at positions drawn by a seed."""
    draw, found = np.random.default_rng(samples.SEED), []
    for batch in samples.batches(source.session.size):
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
    """The text with mask tokens in the places of some words, and one behind it."""
    draw, words = random.Random(len(text)), text.split(" ")
    for at in draw.sample(range(len(words)), min(len(words), draw.randint(0, 2))):
        words[at] = token
    return f"{' '.join(words)} {token}"


def _samples(answers: Answers) -> list[Sample]:
    """Batches of a few texts; what is wanted of their masks, one behind the other."""
    found = []
    for rows, columns in batches(answers.texts):
        logits = np.concatenate(answers.logits[rows])
        best = -np.sort(-outputs.softmax(logits), axis=1)[:, :BEST]
        found.append(Sample(columns, {LOGITS: logits, SCORE: best}))
    return found


def _tokens(
    answers: Answers, logits: Floats, allowed: float, way: str, given: Sequence[Named]
) -> Check:
    """Whether the ids of all masks, and what they stand for, are the source's."""
    ids = np.concatenate([each[TOKEN_ID] for each in given])
    tokens = np.concatenate([each[TOKEN] for each in given])
    order = np.argsort(-logits, axis=1, kind="stable")
    ranked = np.take_along_axis(logits, order, axis=1)
    differs = (order[:, : ids.shape[1]] != ids) & _clear(ranked, ids.shape[1], allowed)
    spelled = [
        at for at, id in np.ndenumerate(ids) if answers.words(int(id)).encode() != tokens[at]
    ]
    count = int(differs.sum()) + len(spelled)
    figures = {"compared": int(ids.size), "differences": count}
    outcome = Outcome.FAILED if count else Outcome.PASSED
    words = f"{count} differences in {ids.size}"
    return Check(f"tokens of masks, by {way}", outcome, words, figures)


def _clear(ranked: Floats, best: int, allowed: float) -> npt.NDArray[np.bool_]:
    """Which of the best are further from both neighbours in the ranking than is allowed."""
    steps = ranked[:, :-1] - ranked[:, 1:] > allowed
    edge = np.ones([len(ranked), 1], bool)
    padded = np.concatenate([edge, steps, edge], axis=1)
    found: npt.NDArray[np.bool_] = (padded[:, :-1] & padded[:, 1:])[:, :best]
    return found


def _noted(
    call: Callable[[Any], Mapping[str, Any]], notes: list[Named]
) -> Callable[[Any], Mapping[str, Any]]:
    """The numbers; all else goes to the notes."""

    def compute(columns: Any) -> Mapping[str, Any]:
        found = {name: np.asarray(each) for name, each in call(columns).items()}
        notes.append({name: found[name] for name in (TOKEN, TOKEN_ID)})
        return {name: found[name] for name in (LOGITS, SCORE) if name in found}

    return compute


def _flat(found: Mapping[str, tf.RaggedTensor]) -> Mapping[str, tf.Tensor]:
    return {name: each.values for name, each in found.items()}
