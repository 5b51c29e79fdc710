"""A LiteRT copy of question answering: where contexts say what is asked."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hub_export.errors import ExportError
from hub_export.litert.answers import MASKED, Ranked, Span, best, merged, spans
from hub_export.litert.interpreters import Arrays
from hub_export.litert.names import (
    ANSWER,
    ANSWER_OR_NONE,
    CONTEXT,
    END_LOGITS,
    LIMIT,
    LOGITS,
    QUESTION,
    SCORE,
    SERVING,
    START,
    START_LOGITS,
)
from hub_export.litert.numbers import Floats, padded
from hub_export.litert.reader import Texts, read
from hub_export.litert.text_model import Signature, TextModel
from hub_export.litert.windows import Window, windows


class QuestionAnswering(TextModel):
    """Questions and contexts to answers.

    Its description has these options: `row`, tokens of a row of question and context; `overlap`,
    those that two rows of one context share; `answer`, those that an answer has, before it is
    extended to whole words; `best`, how many answers a signature gives; `context_first`, whether a
    row begins with the context (where it is not there, with the question).
    """

    def __init__(
        self, folder: str | Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        super().__init__(folder, precision, threads)
        self.reader.tokenizer.no_truncation()  # long contexts are read in windows

    def __call__(self, questions: Texts, contexts: Texts) -> Arrays:
        """What is trained, of a row of n questions and as much of their contexts as fits.

        Returns:
            `start_logits` and `end_logits`, float32 [n, S], -10000 at padding; `start` and `limit`,
            int64 [n, S], the bytes of the context at each place.

        Raises:
            ExportError: there are not as many contexts as questions; else as of `rows`.
        """
        first = [cut[0] for _, cut in self._cut(questions, contexts)]
        found = self._logits(first)
        longest = max((len(each) for each in found[START_LOGITS]), default=0)
        extents = [_extents(each) for each in first]
        return {
            **{name: padded(each, longest, MASKED) for name, each in found.items()},
            START: padded([each[:, 0] for each in extents], longest),
            LIMIT: padded([each[:, 1] for each in extents], longest),
        }

    def answer(
        self,
        questions: Texts,
        contexts: Texts,
        top_k: int = 1,
        handle_impossible_answer: bool = False,
    ) -> Arrays:
        """The best answers to n questions, k = `top_k`.

        Args:
            questions: n.
            contexts: what each is asked about.
            top_k: how many answers to give; where a text has fewer, empty ones of score 0 follow.
            handle_impossible_answer: whether an empty answer, with the score of that, is one.

        Returns:
            `answer` [n, k], cut out of the context, `score`, float32, `start` and `limit`, int64,
            its bytes of the context.

        Raises:
            ExportError: as of the call.
        """
        cut, ranked = self._cut(questions, contexts), list[list[Ranked]]()
        found = self._spans([window for _, some in cut for window in some], 2 * top_k + 10)
        for context, of_windows in cut:
            own, found = found[: len(of_windows)], found[len(of_windows) :]
            none = min(nothing for _, nothing in own) if handle_impossible_answer else None
            ranked.append(best(merged(context, [some for some, _ in own]), none, top_k))
        named = _named([context for context, _ in cut], ranked)
        return {name: each.reshape(len(cut), top_k) for name, each in named.items()}

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        answer = functools.partial(self.answer, top_k=self.description.options["best"])
        or_none = functools.partial(answer, handle_impossible_answer=True)
        asked: dict[str, Callable[..., Arrays]] = {
            SERVING: answer,
            ANSWER_OR_NONE: or_none,
            LOGITS: self,
        }
        return {name: Signature((QUESTION, CONTEXT), ask) for name, ask in asked.items()}

    def _cut(self, questions: Texts, contexts: Texts) -> list[tuple[str, list[Window]]]:
        """Each context, and its windows."""
        if len(questions) != len(contexts):
            raise ExportError(
                f"expected {len(questions)} contexts, one for each question, found {len(contexts)}"
            )
        options = self.description.options
        longest = min(options["row"], self.description.longest)
        cut = functools.partial(
            windows,
            self.reader.tokenizer,
            longest=longest,
            overlap=options["overlap"],
            direction=self.reading.truncation_side,
            context_first=options.get("context_first", False),
        )
        pairs = zip(read(questions), read(contexts), strict=True)
        return [(context, [*cut(question, context)]) for question, context in pairs]

    def _spans(self, asked: list[Window], most: int) -> list[tuple[list[Span], float]]:
        """Of windows: the most probable spans, and how probable it is that there is none."""
        logits, longest = self._logits(asked), self.description.options["answer"]
        columns = zip(asked, logits[START_LOGITS], logits[END_LOGITS], strict=True)
        return [spans(window, start, end, longest, most) for window, start, end in columns]

    def _logits(self, asked: list[Window]) -> dict[str, list[Floats]]:
        """Of the first and of the last token, by name: a float32 [S] of each window."""
        rows = [[each[0] for each in window.row] for window in asked]
        found = self._computed([self.reader.row(*row) for row in rows])
        return {name: [*found[name]] for name in (START_LOGITS, END_LOGITS)}


def _named(contexts: Sequence[str], ranked: Sequence[Sequence[Ranked]]) -> Arrays:
    """Answers of each context, as many for each, by name."""
    first = [[each.spans[0] for each in some] for some in ranked]
    said = [
        [context.encode()[span.start : span.limit].decode() for span in some]
        for context, some in zip(contexts, first, strict=True)
    ]
    return {
        ANSWER: np.array(said, object),
        SCORE: np.array([[each.score for each in some] for some in ranked], np.float32),
        START: np.array([[span.start for span in some] for some in first], np.int64),
        LIMIT: np.array([[span.limit for span in some] for some in first], np.int64),
    }


def _extents(window: Window) -> Any:
    """Which bytes of the context each place of a row is: int64 [S, 2]."""
    found = np.zeros([window.row[0].shape[1], 2], np.int64)
    found[window.inside] = np.stack([window.starts, window.limits], axis=1)
    return found
