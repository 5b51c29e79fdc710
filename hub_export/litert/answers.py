"""From the logits of an answer's first and last token to the best answers of a text, in numpy.

The rules are those of the question answering pipeline of `transformers` 4, aligned to words; in the
graph of a SavedModel, `hub_export.models.tasks.answers` follows them.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from hub_export.litert.numbers import Floats, softmax
from hub_export.litert.windows import Window

MASKED = -10000.0
"""The logit where no answer may begin or end."""


class Span(NamedTuple):
    """A candidate: how probable it is, and its bytes of the context."""

    score: float
    start: int
    limit: int


@dataclasses.dataclass
class Ranked:
    """An answer.

    Attributes:
        score: the sum of its spans' scores.
        spans: those of the first window that has it; the first one counts.
    """

    score: float
    spans: list[Span]


def spans(
    window: Window, start: Floats, end: Floats, longest: int, most: int
) -> tuple[list[Span], float]:
    """Spans that are possible at all, by falling score, and how probable it is that none is.

    Args:
        window: the row.
        start: logits of the first token, float32 [S].
        end: logits of the last one.
        longest: how many tokens a span has, before it is extended to whole words.
        most: how many spans are wanted.
    """
    [ids] = window.row[0]
    kept = np.zeros(len(ids), bool)
    kept[window.inside] = True
    if window.special is not None:
        kept |= ids == ids[window.special]
    start, end = (softmax(np.where(kept, each, np.float32(MASKED))) for each in (start, end))
    none = 0.0 if window.special is None else float((start * end)[window.special])
    start, end = start[window.inside], np.pad(end[window.inside], (0, longest))
    moved = np.lib.stride_tricks.sliding_window_view(end, longest)[: len(start)]
    products = (start[:, np.newaxis] * moved).ravel()
    order = np.argsort(-products, kind="stable")[:most]
    order = order[products[order] > 0]  # what ends behind the context has zero
    places = zip(order // longest, order // longest + order % longest, strict=True)
    bounds = [_whole(window, int(first), int(last)) for first, last in places]
    pairs = zip(products[order].tolist(), bounds, strict=True)
    return [Span(score, *each) for score, each in pairs], none


def merged(context: str, of_windows: Iterable[Sequence[Span]]) -> list[Ranked]:
    """Answers of one text: spans that differ in case alone are one."""
    raw, found = context.encode(), dict[str, Ranked]()
    for some in of_windows:
        own = dict[str, Ranked]()
        for span in some:
            key = raw[span.start : span.limit].decode().lower()
            ranked = own.setdefault(key, Ranked(0.0, []))
            ranked.score += span.score
            ranked.spans.append(span)
        for key, ranked in own.items():
            found.setdefault(key, Ranked(0.0, ranked.spans)).score += ranked.score
    return [*found.values()]


def best(found: Sequence[Ranked], none: float | None, top_k: int) -> list[Ranked]:
    """Answers by falling score, the earlier one of equals first; empty ones where there are fewer.

    Args:
        found: those of a text.
        none: the score of the empty answer, where that is one of them.
        top_k: how many.
    """
    empty = [] if none is None else [Ranked(none, [Span(none, 0, 0)])]
    ranked = sorted([*found, *empty], key=lambda each: -each.score)[:top_k]
    return [*ranked, *[Ranked(0.0, [Span(0.0, 0, 0)])] * (top_k - len(ranked))]


def _whole(window: Window, first: int, last: int) -> tuple[int, int]:
    """The bytes from the word of one token to that of another, as far as the window goes."""
    start = int(window.starts[window.firsts[first]])
    return start, max(int(window.limits[window.lasts[last]]), start)
