"""Comparing an exported question answering with its source, by call and by signatures.

The source is its tokenizer, whose own truncation makes the windows of a context, and the model in
torch; numpy makes answers of its logits, as in LiteRT copies. Logits and scores count as numbers of
an encoder do; an answer must be the source's, unless another one's score is closer than the
tolerance.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hub_export import contract
from hub_export.contract import (
    ANSWER,
    CONTEXT,
    END_LOGITS,
    LIMIT,
    QUESTION,
    SCORE,
    START,
    START_LOGITS,
)
from hub_export.litert.answers import Ranked, Span, best, merged, spans
from hub_export.litert.windows import Places, Window, windows
from hub_export.models.tasks import answers as exported
from hub_export.models.tasks import passages
from hub_export.models.tasks.question_answering import TOP_K
from hub_export.terminal import Progress
from hub_export.verify import outputs
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Named, Road, Sample
from hub_export.verify.samples import Ids
from hub_export.verify.source import Source
from hub_export.verify.texts import Columns, OfTexts, Texts, batches, by_signature, sample_texts

Call = Callable[[Columns], Mapping[str, tf.Tensor]]
_MOST_WINDOWS = 8
_KEPT = 2 * TOP_K + 10
# Below it a score may be zero elsewhere.
_VANISHING = 1e-30


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the source answers to one question.

    Attributes:
        context: the context.
        first: the first row.
        logits: of its first and of its last token, float32 [S] each.
        found: one answer a text, by falling score.
        none: how probable it is that there is none.
        cuts: of each window, the scores of the last span that counts and of the next.
    """

    context: str
    first: Window
    logits: Mapping[str, Floats]
    found: Sequence[Ranked]
    none: float
    cuts: Sequence[tuple[float, float]]

    def ranked(self, may_be_none: bool) -> list[Ranked]:
        """The best answers, and one more."""
        return best(self.found, self.none if may_be_none else None, TOP_K + 1)

    def is_clear(self, part: float) -> bool:
        """Whether the same spans count where each score differs by no more than a part of it."""
        return all(last == 0 or last - next > part * last for last, next in self.cuts)


@dataclasses.dataclass(frozen=True)
class Answers(OfTexts):
    """What the source gives.

    Attributes:
        texts: question and context.
        asked: the answers to each.
    """

    texts: Texts
    asked: Sequence[Asked]


def ask(source: Source, progress: Progress) -> Answers:
    """Pairs of sample texts as questions and contexts, and the source's answers."""
    session, model = source.session, source.task_model
    tokenizer, plan = session.tokenizer, session.plan
    longest = min(plan.max_length, passages.LONGEST)
    texts, asked = list[tuple[str, ...]](), list[Asked]()
    first = passages.is_context_first(tokenizer)
    with plan.applied(tokenizer):
        pairs = [*itertools.pairwise(sample_texts(tokenizer, plan))]
        direction = str((tokenizer.truncation or {}).get("direction", "right"))
        tokenizer.no_truncation()
        with progress.bar("asking torch for answers", len(pairs)) as advance:
            for question, context in pairs:
                found = windows(
                    tokenizer, question, context, longest, passages.OVERLAP, direction, first
                )
                cut = [*itertools.islice(found, _MOST_WINDOWS + 1)]
                if len(cut) <= _MOST_WINDOWS:
                    rows = [_row(each, session.size.types) for each in cut]
                    logits = [model(*row) for row in rows]
                    texts.append((question, context))
                    asked.append(_answered(context, cut, logits))
                advance(1)
    return Answers(texts, asked)


def _row(window: Window, types: int) -> list[Ids]:
    """A tokenizer that counts types further than the encoder stays at the last one."""
    ids, mask, type_ids = window.row
    return [ids, mask, np.minimum(type_ids, max(types, 1) - 1)]


def _answered(context: str, cut: Sequence[Window], logits: Sequence[Mapping[str, Floats]]) -> Asked:
    of_windows, none, cuts = list[list[Span]](), list[float](), list[tuple[float, float]]()
    for window, each in zip(cut, logits, strict=True):
        start, end = (each[name][0] for name in (START_LOGITS, END_LOGITS))
        found, nothing = spans(window, start, end, exported.LONGEST, _KEPT + 1)
        of_windows.append(found[:_KEPT])
        none.append(nothing)
        last, next = [*found, *_NOTHING][_KEPT - 1 : _KEPT + 1]
        cuts.append((last.score, next.score))
    first = {name: logits[0][name][0] for name in (START_LOGITS, END_LOGITS)}
    return Asked(context, cut[0], first, merged(context, of_windows), min(none), cuts)


_NOTHING = [Span(0.0, 0, 0)] * (_KEPT + 1)


def compare(model: Any, answers: Answers, closeness: Closeness, progress: Progress) -> list[Check]:
    """Compares logits, scores and answers of a loaded question answering.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    checks = []
    signatures = {
        name: by_signature(model, name, QUESTION, CONTEXT)
        for name in (contract.LOGITS, contract.SERVING, contract.ANSWER_OR_NONE)
    }
    samples, scale = _rows(answers), 1.0
    for way, call in (("rows", signatures[contract.LOGITS]), ("rows, by call", model)):
        extents = list[Places]()
        road = Road(functools.partial(_noted, call, extents))
        worst = outputs.distances(progress.over("verifying logits", samples), [road], closeness)
        checks += [
            outputs.check(f"{name} of {way}", worst[name], closeness, len(answers.texts))
            for name in (START_LOGITS, END_LOGITS)
        ]
        checks.append(_extents(answers, extents, way))
        scale = max(scale, *(worst[name].scale for name in (START_LOGITS, END_LOGITS)))
    for name in (contract.SERVING, contract.ANSWER_OR_NONE):
        with progress.bar("verifying answers", len(samples)) as advance:
            found = [_found(signatures[name], each.inputs[0], advance) for each in samples]
        given = {key: np.concatenate([each[key] for each in found]) for key in found[0]}
        # A score is a product of two softmaxes: of what logits may be off, the fourfold part.
        part = 4 * closeness.tolerance * scale
        clear = [at for at, each in enumerate(answers.asked) if each.is_clear(part)]
        checks += _answers(answers, given, clear, closeness, name)
    return checks


def _rows(answers: Answers) -> list[Sample]:
    """Batches of a few texts: their columns and the lengths of their rows; padding counts zero."""
    found = []
    for rows, columns in batches(answers.texts):
        asked = answers.asked[rows]
        lengths = np.array([each.first.row[0].shape[1] for each in asked])
        wanted = {
            name: np.stack([_padded(each.logits[name], max(lengths)) for each in asked])
            for name in (START_LOGITS, END_LOGITS)
        }
        found.append(Sample((columns, lengths), wanted))
    return found


def _padded(x: Any, length: int) -> Any:
    return np.pad(x, [0, length - len(x)])


def _noted(call: Call, extents: list[Places], inputs: tuple[Columns, Places]) -> Named:
    """The logits of real places; where each is in the context goes to the list."""
    columns, lengths = inputs
    found = call(columns)
    real = np.arange(max(lengths)) < lengths[:, np.newaxis]
    extents.extend(np.stack([np.asarray(found[name]) for name in (START, LIMIT)], axis=2))
    # Rows of another length are told by the extents.
    width = min(real.shape[1], found[START_LOGITS].shape[1])
    return {
        name: np.pad(
            np.where(real[:, :width], np.asarray(found[name])[:, :width], 0),
            [[0, 0], [0, real.shape[1] - width]],
        )
        for name in (START_LOGITS, END_LOGITS)
    }


def _extents(answers: Answers, extents: Sequence[Places], way: str) -> Check:
    """Which bytes of the context the places of the first row are."""
    found = []
    for texts, asked, given in zip(answers.texts, answers.asked, extents, strict=True):
        wanted = np.zeros([len(given), 2], np.int64)
        window = asked.first
        wanted[window.inside] = np.stack([window.starts, window.limits], axis=1)
        if window.row[0].shape[1] > len(given) or not np.array_equal(wanted, given):
            found.append(texts)
    return outputs.differences(f"places of {way}", found, len(extents))


def _found(call: Call, columns: Columns, advance: Callable[[int], object]) -> dict[str, Any]:
    found = {name: each.numpy() for name, each in call(columns).items()}
    advance(1)
    return found


def _answers(
    answers: Answers,
    given: Mapping[str, Any],
    clear: Sequence[int],
    closeness: Closeness,
    name: str,
) -> list[Check]:
    """The scores of some texts as one vector, and the answers where scores tell them apart."""
    may_be_none = name == contract.ANSWER_OR_NONE
    ranked = [each.ranked(may_be_none) for each in answers.asked]
    scores = np.array([[each.score for each in some[:TOP_K]] for some in ranked], np.float32)
    scale = max(1.0, closeness.scale(scores))
    allowed = closeness.tolerance * scale
    found, wanted = given[SCORE][clear], scores[clear]
    distance = closeness.distance(found.reshape(1, -1), wanted.reshape(1, -1))
    # In bfloat16, a distance that is allowed may be a larger difference.
    apart = max(allowed, float(np.abs(found - wanted).max()))
    differing = [
        answers.texts[at]
        for at in clear
        if _differs(
            answers.asked[at],
            ranked[at],
            {key: each[at] for key, each in given.items()},
            2 * apart,
        )
    ]
    return [
        outputs.check(
            f"scores of {name}", outputs.Distance(distance, scale), closeness, len(clear)
        ),
        outputs.differences(f"answers of {name}", differing, len(clear)),
    ]


def _differs(
    asked: Asked, ranked: Sequence[Ranked], given: Mapping[str, Any], allowed: float
) -> bool:
    """Whether an answer is another one though no other score is near its own."""
    raw = asked.context.encode()
    above = [np.inf, *(each.score for each in ranked)]
    for at, each in enumerate(ranked[:TOP_K]):
        if min(above[at] - each.score, each.score - above[at + 2]) <= allowed:
            continue
        span = each.spans[0]
        near = {other[1:] for other in each.spans if span.score - other.score <= allowed}
        start, limit = int(given[START][at]), int(given[LIMIT][at])
        text = raw[span.start : span.limit]
        if given[ANSWER][at] != raw[start:limit] or given[ANSWER][at].lower() != text.lower():
            return True
        if (start, limit) not in near and span.score > _VANISHING:
            return True
    return False
