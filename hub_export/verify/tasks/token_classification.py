"""Comparing an exported classification of tokens with its source, by call and by signatures.

The source is its tokenizer, one text at a time, the model in torch, and the pipeline of
`transformers` for what becomes of the logits. Logits and scores count as numbers of an encoder do.
Entities must be the source's, unless a tie makes the difference: then the pipeline makes them of
the export's own logits, which are the source's within the tolerance.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hub_export import contract
from hub_export.contract import AGGREGATIONS, LABEL, LIMIT, LOGITS, MASK, SCORE, START, TEXT
from hub_export.litert.places import bytes_before
from hub_export.models.session import Session
from hub_export.terminal import Progress
from hub_export.verify import outputs
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Distance, Road, Sample
from hub_export.verify.references.entities import EntityReference
from hub_export.verify.source import Source
from hub_export.verify.texts import Columns, Fits, batches, by_signature, row, sample_texts

Call = Callable[[Columns], Mapping[str, Any]]
_EVERY = 12
"""The second way to the same function is asked for every so-manieth text."""


class Asked(NamedTuple):
    """What the source makes of a text.

    Attributes:
        text: the text.
        ids: of its tokens, special ones included.
        places: where each stands, in characters; nowhere where it is special.
        is_special: whether packing adds it.
        logits: float32 [S, C].
    """

    text: str
    ids: Sequence[int]
    places: Sequence[tuple[int, int]]
    is_special: Sequence[int]
    logits: Floats


class Entities(NamedTuple):
    """The entities of a text.

    Attributes:
        spans: label, first byte, the byte behind the last, and what stands there, of each.
        scores: float32 [n].
    """

    spans: list[tuple[bytes, int, int, bytes]]
    scores: Floats


@dataclasses.dataclass(frozen=True)
class Answers:
    """What the source gives.

    Attributes:
        asked: one a text.
        pipeline: makes the entities of a text of logits, [S, C], by an aggregation.
    """

    asked: Sequence[Asked]
    pipeline: Callable[[Asked, Floats, str], Entities]

    def where(self, fits: Fits) -> "Answers":
        """Those about texts that fit."""
        return dataclasses.replace(self, asked=[each for each in self.asked if fits(each.text)])

    def some(self) -> "Answers":
        """A few of them."""
        return dataclasses.replace(self, asked=self.asked[::_EVERY])

    def batches(self) -> Iterator[tuple[Sequence[Asked], Columns]]:
        """A few texts at a time."""
        for rows, columns in batches([(each.text,) for each in self.asked]):
            yield self.asked[rows], columns


def ask(source: Source, progress: Progress) -> Answers:
    """Sample texts, and the source's logits."""
    session, model = source.session, source.task_model
    tokenizer, plan = session.tokenizer, session.plan
    asked = []
    with plan.applied(tokenizer):
        texts = sample_texts(tokenizer, plan)
        for text in progress.over("asking torch for logits", texts):
            logits = model(*row(tokenizer, session.size.types, text))[LOGITS][0]
            read = tokenizer.encode(text)
            asked.append(Asked(text, read.ids, read.offsets, read.special_tokens_mask, logits))
    return Answers(asked, _pipeline(session))


def compare(model: Any, answers: Answers, closeness: Closeness, progress: Progress) -> list[Check]:
    """Compares logits, places of tokens and entities of a loaded classification.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    own = by_signature(model, LOGITS)
    checks = _tokens(own, "tokens", answers, closeness, progress)
    checks += _tokens(
        lambda texts: model(texts[0]), "tokens, by call", answers.some(), closeness, progress
    )
    for aggregation in AGGREGATIONS:
        compared = _Comparison(own, answers, aggregation, closeness)
        compared(by_signature(model, aggregation), answers, progress)
        compared(_method(model, aggregation), answers.some(), progress)
        if aggregation == contract.SIMPLE:
            compared(by_signature(model, contract.SERVING), answers.some(), progress)
        checks += compared.checks()
    return checks


def _method(model: Any, aggregation: str) -> Call:
    """The method for entities, as flat as the signatures are."""

    def call(texts: Columns) -> Mapping[str, Any]:
        found = model.entities(texts[0], aggregation=aggregation)
        flat = {name: each.values for name, each in found.items()}
        return {**flat, contract.ROW_SPLITS: found[LABEL].row_splits}

    return call


def _tokens(
    call: Call, way: str, answers: Answers, closeness: Closeness, progress: Progress
) -> list[Check]:
    """Logits by closeness; mask and places of the tokens must be the same."""
    samples, differing = list[Sample](), list[str]()

    def numbers(batch: tuple[Sequence[Asked], Columns]) -> Mapping[str, Any]:
        asked, texts = batch
        found = {name: np.asarray(each) for name, each in call(texts).items()}
        for at, each in enumerate(asked):
            places = _places(each)
            got = np.stack([found[name][at] for name in (START, LIMIT)], axis=1)
            count = found[MASK][at].sum()
            if count != len(places) or not np.array_equal(got[: len(places)], places):
                differing.append(each.text)
        return {LOGITS: found[LOGITS]}

    for asked, texts in answers.batches():
        longest = max(len(each.ids) for each in asked)
        padded = [np.pad(each.logits, ((0, longest - len(each.ids)), (0, 0))) for each in asked]
        samples.append(Sample((asked, texts), {LOGITS: np.stack(padded)}))
    worst = outputs.distances(
        progress.over("verifying logits", samples), [Road(numbers)], closeness
    )
    count = len(answers.asked)
    return [
        outputs.check(f"logits of {way}", worst[LOGITS], closeness, count),
        _differences(f"places of {way}", differing, count, 0),
    ]


def _places(asked: Asked) -> np.ndarray:
    """Where the tokens of a text stand, in bytes: int64 [S, 2]; zeros for special ones."""
    before = bytes_before(asked.text)
    places = [before[each] for each in np.array(asked.places)]
    return np.array(places) * (1 - np.array(asked.is_special))[:, np.newaxis]


class _Comparison:
    """Entities by one way, compared with the source's.

    Ties are what the pipeline makes of the export's own logits, though not of the source's.
    """

    def __init__(self, own: Call, answers: Answers, aggregation: str, closeness: Closeness) -> None:
        self._own, self._pipeline = own, answers.pipeline
        self._aggregation, self._closeness = aggregation, closeness
        self._count, self._ties, self._worst = 0, 0, 0.0
        self._differing = list[str]()

    def __call__(self, call: Call, answers: Answers, progress: Progress) -> None:
        """Compares all that one way gives."""
        asked = [*answers.batches()]
        with progress.bar(f"verifying entities ({self._aggregation})", len(asked)) as advance:
            for batch, texts in asked:
                for at, found in enumerate(_rows(call(texts))):
                    self._note(batch[at], self._wanted(batch[at], at, texts, found), found)
                advance(1)
        self._count += len(answers.asked)

    def checks(self) -> list[Check]:
        """What came of it."""
        way, count = self._aggregation, self._count
        return [
            _differences(f"entities ({way})", self._differing, count, self._ties),
            outputs.check(f"scores ({way})", Distance(self._worst), self._closeness, count),
        ]

    def _wanted(self, asked: Asked, at: int, texts: Columns, found: Entities) -> Entities:
        """What the source says; of a tie, what it says of the export's own logits."""
        wanted = self._pipeline(asked, asked.logits, self._aggregation)
        if wanted.spans == found.spans:
            return wanted
        logits = np.asarray(self._own(texts)[LOGITS][at, : len(asked.ids)])
        other = self._pipeline(asked, logits, self._aggregation)
        if other.spans != found.spans:
            return wanted
        self._ties += 1
        return other

    def _note(self, asked: Asked, wanted: Entities, found: Entities) -> None:
        if wanted.spans != found.spans:
            self._differing.append(asked.text)
        elif wanted.spans:
            distance = self._closeness.distance(found.scores, wanted.scores)
            self._worst = float(np.maximum(self._worst, distance))


def _rows(found: Mapping[str, Any]) -> Iterator[Entities]:
    """The entities of each text."""
    named = {name: each.numpy() for name, each in found.items()}
    splits = named[contract.ROW_SPLITS]
    for begin, end in itertools.pairwise(splits):
        columns = (named[name][begin:end].tolist() for name in (LABEL, START, LIMIT, TEXT))
        yield Entities([*zip(*columns, strict=True)], named[SCORE][begin:end])


def _differences(subject: str, differing: Sequence[str], count: int, ties: int) -> Check:
    words = f"{len(differing)} differences in {count} texts"
    words += f", {ties} ties" if ties else ""
    words += f", the first: {differing[0]!a:.200}" if differing else ""
    outcome = Outcome.FAILED if differing else Outcome.PASSED
    figures = {"compared": count, "differences": len(differing), "ties": ties}
    return Check(subject, outcome, words, figures)


def _pipeline(session: Session) -> Callable[[Asked, Floats, str], Entities]:
    pipeline = EntityReference(session)

    def call(asked: Asked, logits: Floats, aggregation: str) -> Entities:
        found = pipeline(aggregation, logits, *asked[:-1])
        before = bytes_before(asked.text)
        spans = [
            (label.encode(), *before[[start, end]].tolist(), asked.text[start:end].encode())
            for label, start, end, _ in found
        ]
        return Entities(spans, np.array([score for *_, score in found], np.float32))

    return call
