"""Comparing an exported late interaction with its source, by call and by signatures.

The source is sentence-transformers, one text at a time: its vectors of queries and of documents,
the tokens that have one, and the scores of pairs.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hub_export.contract import (
    DOCUMENT,
    QUERY,
    ROW_SPLITS,
    SCORE,
    SERVING_PAIR,
    TOKEN,
    TOKEN_ID,
    VECTORS,
)
from hub_export.terminal import Progress
from hub_export.verify import outputs
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Named, Road, Sample
from hub_export.verify.source import Source
from hub_export.verify.texts import (
    Columns,
    Fits,
    Texts,
    batches,
    by_signature,
    sample_texts,
    words_of,
)
from hub_export.verify.tokens import transformers_tokens

_SIDES = {QUERY: "queries", DOCUMENT: "documents"}


class Kept(NamedTuple):
    """What is kept of a text.

    Attributes:
        ids: of its tokens, int [n].
        vectors: float32 [n, D].
    """

    ids: npt.NDArray[Any]
    vectors: Floats


@dataclasses.dataclass(frozen=True)
class Answers:
    """What the source gives.

    Attributes:
        texts: one a row.
        kept: QUERY and DOCUMENT -> of each text.
        pairs: a query and a document each.
        scores: float32 [B], of the pairs.
        words: what each id stands for.
    """

    texts: Texts
    kept: Mapping[str, Sequence[Kept]]
    pairs: Texts
    scores: Floats
    words: Callable[[int], str]

    def where(self, fits: Fits) -> "Answers":
        """Those about texts that fit."""
        kept = [fits(*text) for text in self.texts]
        pairs = [all(map(fits, pair)) for pair in self.pairs]
        return dataclasses.replace(
            self,
            texts=[*itertools.compress(self.texts, kept)],
            kept={side: [*itertools.compress(each, kept)] for side, each in self.kept.items()},
            pairs=[*itertools.compress(self.pairs, pairs)],
            scores=self.scores[np.array(pairs, bool)],
        )

    def samples(self, side: str) -> list[Sample]:
        """Batches of a few texts; a sample's inputs are their columns, and how much is kept."""
        found = []
        for rows, columns in batches(self.texts):
            vectors: Floats = np.concatenate([each.vectors for each in self.kept[side][rows]])
            found.append(Sample((columns, vectors.shape), {VECTORS: vectors}))
        return found


def ask(source: Source, progress: Progress) -> Answers | str:
    """Sample texts, and what the source makes of them; or why it cannot be asked.

    Texts that `transformers`, and with it sentence-transformers, tokenizes otherwise than
    tokenizer.json says are left out: the preprocessor reports them.
    """
    session, model = source.session, source.late
    if model is None:
        return "sentence-transformers is not installed, or loads no such source"
    tokenizer, plan = session.tokenizer, session.plan
    with plan.applied(tokenizer):
        texts = sample_texts(tokenizer, plan)
    texts = transformers_tokens.alike(source.tokenizer, tokenizer, texts)
    if not texts:
        return "transformers, and with it sentence-transformers, reads another tokenizer"
    kept = {
        side: [
            Kept(*model(side, text))
            for text in progress.over(f"asking sentence-transformers for {named}", texts)
        ]
        for side, named in _SIDES.items()
    }
    pairs, scores = list[tuple[str, ...]](), list[float]()
    for pair, query, document in zip(
        itertools.pairwise(texts), kept[QUERY], kept[DOCUMENT][1:], strict=False
    ):
        if len(document.ids):
            pairs.append(pair)
            scores.append(model.score(query.vectors, document.vectors))
    asked = [(text,) for text in texts]
    return Answers(asked, kept, pairs, np.array(scores, np.float32), words_of(tokenizer))


def compare(
    model: Any, answers: Answers | str, closeness: Closeness, progress: Progress
) -> list[Check]:
    """Compares kept tokens, their vectors and scores of a loaded late interaction.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    if isinstance(answers, str):
        return [Check("vectors of tokens", Outcome.NOT_COMPARED, answers)]
    checks, count = list[Check](), len(answers.texts)
    for side, named in _SIDES.items():
        given = list[Mapping[str, Any]]()
        served = functools.partial(_noted, by_signature(model, side), given)
        called = functools.partial(_called, getattr(model, side))
        asked = progress.over(f"verifying vectors of {named}", answers.samples(side))
        worst = outputs.distances(asked, [Road(served), Road(called)], closeness)[VECTORS]
        strangers = [*_strangers(answers, side, given)]
        checks.append(outputs.differences(f"kept tokens of {named}", strangers, count))
        checks.append(outputs.check(f"vectors of {named}", worst, closeness, count))
    wanted = [
        Sample(columns, {SCORE: answers.scores[np.newaxis, rows]})
        for rows, columns in batches(answers.pairs)
    ]
    scored = progress.over("verifying scores", wanted)
    worst = outputs.distances(scored, [Road(_scoring(model))], closeness)[SCORE]
    return [*checks, outputs.check("scores of pairs", worst, closeness, len(answers.pairs))]


def _noted(
    serve: Callable[[Columns], Mapping[str, Any]],
    given: list[Mapping[str, Any]],
    inputs: tuple[Columns, tuple[int, ...]],
) -> Named:
    """The vectors; the tokens go to the list."""
    columns, shape = inputs
    found = {name: np.asarray(each) for name, each in serve(columns).items()}
    given.append({name: found[name] for name in (TOKEN, TOKEN_ID, ROW_SPLITS)})
    return {VECTORS: _of_shape(found[VECTORS], shape)}


def _called(call: Any, inputs: tuple[Columns, tuple[int, ...]]) -> Named:
    columns, shape = inputs
    return {VECTORS: _of_shape(np.asarray(call(columns[0]).values), shape)}


def _of_shape(vectors: Floats, shape: tuple[int, ...]) -> Floats:
    """The vectors; of another shape than is wanted, as many that are as far off as can be."""
    return vectors if vectors.shape == shape else np.full(shape, np.nan, np.float32)


def _strangers(
    answers: Answers, side: str, given: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, ...]]:
    """Texts of which other tokens are kept than in the source, or that are spelled otherwise."""
    found = [
        (each[TOKEN_ID][begin:end], each[TOKEN][begin:end])
        for each in given
        for begin, end in itertools.pairwise(each[ROW_SPLITS])
    ]
    for text, wanted, (ids, tokens) in zip(answers.texts, answers.kept[side], found, strict=True):
        spelled = [answers.words(int(id)).encode() for id in ids]
        if not np.array_equal(ids, wanted.ids) or spelled != [*tokens]:
            yield text


def _scoring(model: Any) -> Callable[[Columns], Named]:
    """Those of a batch, as one vector."""
    ask = by_signature(model, SERVING_PAIR)
    return lambda columns: {SCORE: np.asarray(ask(columns)[SCORE])[np.newaxis]}
