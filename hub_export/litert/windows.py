"""A question and the windows of its context as the source's tokenizer makes them."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from hub_export.litert.places import bytes_before

Ids = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]
_WORDS = "Hello, world!"


class Window(NamedTuple):
    """A row of a question and a part of its context.

    Attributes:
        row: ids, mask, type ids, int32 [1, S] each.
        place: where the context begins in it.
        special: where the special token stands that means that there is no answer: 0, or -1 where
            the row begins with none; None where there is none.
        starts: int64 [n], the first byte of each token of the context.
        limits: int64 [n], the byte behind it.
        firsts: int64 [n], the first token of the word that each is of, as far as the window goes.
        lasts: int64 [n], the last one.
    """

    row: list[Ids]
    place: int
    special: int | None
    starts: Places
    limits: Places
    firsts: Places
    lasts: Places

    @property
    def inside(self) -> slice:
        """The places of the context."""
        return slice(self.place, self.place + len(self.starts))


class Part(NamedTuple):
    """A part of the rows of pairs.

    Attributes:
        side: 0 for the question, 1 for the context, None for special tokens.
        type_id: of all its tokens.
        ids: the special tokens.
    """

    side: int | None
    type_id: int
    ids: list[int]


def windows(
    tokenizer: Tokenizer,
    question: str,
    context: str,
    longest: int,
    overlap: int,
    direction: str = "right",
    context_first: bool = False,
) -> Iterator[Window]:
    """The rows of a question, as the pipeline of `transformers` 4 makes them.

    Args:
        tokenizer: neither cuts nor pads.
        question: cut only where it leaves no room.
        context: read in windows.
        longest: tokens of a row.
        overlap: tokens that two windows share; half of a row, if that is less.
        direction: the side on which what is too long goes on.
        context_first: whether a row begins with the context, and may end with the special token.
    """
    asked, read = (tokenizer.encode(each, add_special_tokens=False) for each in (question, context))
    room = longest - tokenizer.num_special_tokens_to_add(True)
    overlap = min(longest // 2, overlap)
    if len(asked) + min(len(read), overlap + 1) > room:
        asked.truncate((room - overlap) // 2, direction="right")
    if len(read) > room - len(asked):
        read.truncate(room - len(asked), overlap, direction)
    frame, bounds = _frame(tokenizer, context_first), bytes_before(context)
    special = _special(frame, context_first)
    for each in (read, *read.overflowing):
        yield _window(frame, special, asked, each, bounds)


def _special(frame: Sequence[Part], context_first: bool) -> int | None:
    if frame[0].side is None:
        return 0
    return -1 if context_first and frame[-1].side is None else None


def _frame(tokenizer: Tokenizer, context_first: bool) -> list[Part]:
    """What the post-processor makes of a pair.

    Given what has been cut, it would put all that was cut off into rows, too: gigabytes.
    """
    row = tokenizer.encode(_WORDS, _WORDS)
    sides = [None if side is None else side ^ context_first for side in row.sequence_ids]
    places = zip(sides, row.ids, row.type_ids, strict=True)
    groups = itertools.groupby(places, lambda place: (place[0], place[2]))
    return [Part(*key, [id for _, id, _ in group]) for key, group in groups]


def _window(
    frame: Sequence[Part], special: int | None, asked: Encoding, part: Encoding, bounds: Places
) -> Window:
    ids, type_ids, place = list[int](), list[int](), 0
    for side, type_id, between in frame:
        place = len(ids) if side == 1 else place
        ids += between if side is None else (asked, part)[side].ids
        type_ids += [type_id] * (len(ids) - len(type_ids))
    words = np.array([-1 if word is None else word for word in part.word_ids], np.int64)
    starts, limits = np.array(part.offsets, np.int64).reshape([-1, 2]).T
    return Window(
        [np.array([each], np.int32) for each in (ids, [1] * len(ids), type_ids)],
        place,
        special,
        bounds[starts],
        bounds[limits],
        np.searchsorted(words, words, "left"),
        np.searchsorted(words, words, "right") - 1,
    )
