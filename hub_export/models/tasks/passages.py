"""Questions and their contexts in the graph of a model: from strings to rows of tokens."""

from typing import NamedTuple

import tensorflow as tf
import tokenizers

from hub_export.errors import SourceError
from hub_export.models.texts import traced
from preprocess import (
    Packed,
    Preprocessor,
    Segment,
    Tokenizer,
    Windows,
    flat_segment,
    owners,
    windows,
)

LONGEST, OVERLAP = 384, 128
"""Of a row, and of what two windows of one context share, in tokens."""


class Special(NamedTuple):
    """The token that stands for no answer: the one that a row begins with, or else ends with.

    Attributes:
        id: its id.
        is_last: whether rows end with it, as XLNet's do.
    """

    id: int
    is_last: bool

    def places(self, rows: Packed) -> tf.Tensor:
        """Where it stands in each row, int32 [W]."""
        last = tf.reduce_sum(rows.mask, axis=1) - 1
        return last if self.is_last else tf.zeros_like(last)


class Tokens(NamedTuple):
    """The tokens of all contexts, one context behind the other.

    Attributes:
        starts: int64 [n], the first byte of each in its context.
        limits: int64 [n], the byte behind it.
        firsts: int64 [n], the first token of the word that each is of.
        lasts: int64 [n], the last one.
    """

    starts: tf.Tensor
    limits: tf.Tensor
    firsts: tf.Tensor
    lasts: tf.Tensor


class Passages(NamedTuple):
    """Rows of a question and a window of its context.

    Attributes:
        rows: the encoder's inputs, int32 [W, S].
        windows: which window of which text each is.
        places: int64 [W], where the window begins in its row.
        tokens: the contexts'.
    """

    rows: Packed
    windows: Windows
    places: tf.Tensor
    tokens: Tokens

    @property
    def sources(self) -> tf.Tensor:
        """The token of `tokens` at each place of the rows, int64 [W, S]; -1 where there is none."""
        behind = tf.range(tf.shape(self.rows.mask, tf.int64)[1]) - self.places[:, tf.newaxis]
        inside = (behind >= 0) & (behind < self.windows.lengths[:, tf.newaxis])
        return tf.where(inside, behind + self.windows.begins[:, tf.newaxis], -1)


class Reader(tf.Module):
    """Makes rows of questions and contexts.

    Attributes:
        special: what stands for no answer; None for nothing.
    """

    def __init__(self, preprocessor: Preprocessor, context_first: bool = False) -> None:
        """Takes what tokenizes and packs; its `seq_length` may be shorter than a row of ours.

        Args:
            preprocessor: what tokenizes and packs.
            context_first: whether a row begins with the context rather than with the question.

        Raises:
            SourceError: rows are too short for windows that overlap.
        """
        super().__init__()
        tokenizer, self._packer = preprocessor.tokenizer, preprocessor.packer
        self._context_first = context_first
        self.special = _special(preprocessor, context_first)
        self._tokenizer = tokenizer  # whose functions use tables
        split = tokenizer.traced(tokenizer.tokenize)
        self._asked = traced(lambda question: flat_segment(split(question)))
        self._read = traced(lambda context: _read(tokenizer, context))
        longest = min(preprocessor.seq_length, LONGEST)
        self._specials = preprocessor.packer.special_tokens(2)
        self._room, self._overlap = longest - self._specials, min(longest // 2, OVERLAP)
        if self._room <= self._overlap:
            raise SourceError(
                f"rows of {longest} tokens, {self._specials} of them special, have no room for "
                f"windows of a context that share {self._overlap} tokens"
            )

    def __call__(self, question: tf.Tensor, context: tf.Tensor, whole: bool = True) -> Passages:
        """Tokenizes and packs.

        Args:
            question: string [B].
            context: string [B].
            whole: whether a long context is read in several rows; else what does not fit into the
                first one is left out.
        """
        count = tf.shape(question)
        tf.debugging.assert_equal(
            count, tf.shape(context), message="as many questions are needed as contexts"
        )
        ids, splits = self._asked(question)
        segment, tokens = self._read(context)
        found = windows(
            Segment(ids, tf.cast(splits, tf.int64)),
            Segment(*segment),
            self._room,
            self._overlap,
            whole,
            from_end=self._packer.cuts_beginnings,
        )
        segments, at = [found.question, found.context], 1
        if self._context_first:
            segments, at = segments[::-1], 0
        lengths = [each.row_splits[1:] - each.row_splits[:-1] for each in segments]
        longest = tf.reduce_max(tf.concat([[0], sum(lengths)], axis=0))
        rows = self._packer(segments, tf.cast(longest, tf.int32) + max(self._specials, 1))
        return Passages(rows, found, self._packer.begins(lengths)[at], Tokens(*tokens))


def is_context_first(source: tokenizers.Tokenizer) -> bool:
    """Whether a row begins with the context.

    It does so where the tokenizer pads on the left: so the scripts of `transformers` train XLNet,
    and so its pipeline asks.
    """
    return (source.padding or {}).get("direction") == "left"


def _special(preprocessor: Preprocessor, context_first: bool) -> Special | None:
    first, last = preprocessor.special.start, preprocessor.special.end
    if first is None and context_first and last is not None:
        return Special(last, is_last=True)
    return None if first is None else Special(first, is_last=False)


def _read(tokenizer: Tokenizer, context: tf.Tensor) -> tuple[Segment, Tokens]:
    ids, starts, limits = tokenizer.tokenize_words_with_offsets(context)
    splits = ids.values.row_splits
    words = owners(splits)
    firsts, lasts = tf.gather(splits, words), tf.gather(splits[1:], words) - 1
    return flat_segment(ids), Tokens(starts.flat_values, limits.flat_values, firsts, lasts)
