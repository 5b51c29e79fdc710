"""Text on its way to the vocabulary: a chain of steps that can say what came from where."""

import abc
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import tensorflow as tf

from preprocess.core.codepoints import character_class
from preprocess.core.rows import on_rows


class Aligned(NamedTuple):
    """A changed text, and where it came from.

    Attributes:
        text: string [B].
        first: int64 [B, (bytes)], for each byte of `text` the first byte of its source.
        last: int64 [B, (bytes)], the last byte of its source.
    """

    text: tf.Tensor
    first: tf.RaggedTensor
    last: tf.RaggedTensor


class Step(tf.Module, metaclass=abc.ABCMeta):
    """One change of a text, string [B] -> string [B]."""

    @abc.abstractmethod
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Makes the change, at speed."""

    @abc.abstractmethod
    def align(self, x: tf.Tensor) -> Aligned:
        """Makes the change and keeps track."""


class Steps(Step):
    """Several steps in a row."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__()
        self._steps = steps

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        for step in self._steps:
            x = step(x)
        return x

    def align(self, x: tf.Tensor) -> Aligned:
        whole = self._steps[0].align(x)
        for step in self._steps[1:]:
            text, first, last = step.align(whole.text)
            rows = first.value_rowids()
            whole = Aligned(
                text,
                first.with_values(lookup(whole.first, rows, first.values)),
                last.with_values(lookup(whole.last, rows, last.values)),
            )
        return whole


class RareSteps(Steps):
    """Steps that leave a row as it is unless one of their characters, or invalid UTF-8, is in it.

    One look at each row, in linear time, passes most of them by.
    """

    def __init__(self, steps: Sequence[Step], characters: Iterable[str]) -> None:
        """Takes the steps, and every character that may make one of them act."""
        super().__init__(steps)
        self._plain = f"{character_class(set(characters), negated=True)}*"

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return on_rows(~tf.strings.regex_full_match(x, self._plain), super().__call__, x)


class ValidUtf8(Step):
    """Replaces each invalid byte sequence by U+FFFD, as `bytes.decode(errors="replace")` does."""

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.strings.unicode_transcode(x, "UTF-8", "UTF-8")

    def align(self, x: tf.Tensor) -> Aligned:
        points, starts = tf.strings.unicode_decode_with_offsets(x, "UTF-8")
        bounds = tf.concat([starts, _lengths(x)[:, tf.newaxis]], axis=1)
        return spread(points, starts.values, bounds[:, 1:].values - 1)


def spread(points: tf.RaggedTensor, first: tf.Tensor, last: tf.Tensor) -> Aligned:
    """Encodes codepoints, and gives each byte the source of its codepoint.

    Args:
        points: int32 [B, (codepoints)].
        first: int64 [n], the first byte of the source of each of the n codepoints.
        last: int64 [n], its last byte.
    """
    text = tf.strings.unicode_encode(points, "UTF-8")
    widths = 1 + sum(tf.cast(points.values > most, tf.int64) for most in (0x7F, 0x7FF, 0xFFFF))

    of_byte = tf.repeat(tf.range(tf.size(widths)), widths)
    places = unmoved(text).first
    return Aligned(text, *(places.with_values(tf.gather(each, of_byte)) for each in (first, last)))


def unmoved(text: tf.Tensor) -> Aligned:
    """The alignment of a text whose bytes stayed where they were."""
    places = tf.ragged.range(_lengths(text))
    return Aligned(text, places, places)


def lookup(table: tf.RaggedTensor, rows: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """`table[rows[i], places[i]]` for every i of int64 [n] twice."""
    return tf.gather(table.values, tf.gather(table.row_starts(), rows) + places)


def _lengths(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(x), tf.int64)
