"""Text on its way to the vocabulary: a chain of steps that can say what came from where."""

import abc
from collections.abc import Collection, Sequence
from typing import NamedTuple

import tensorflow as tf

from preprocess.graph.lanes import repeat_index
from preprocess.graph.rows import on_rows, owners
from preprocess.graph.utf8 import byte_lengths, encode
from preprocess.source.codepoints import character_class


class Aligned(NamedTuple):
    """A changed text, and where it came from.

    Attributes:
        text: string [n].
        first: int64 [n, (bytes)], for each byte of `text` the first byte of its source.
        last: int64 [n, (bytes)], the last byte of its source; of what comes from nothing, and is
            put where the original text begins, the one before that.
    """

    text: tf.Tensor
    first: tf.RaggedTensor
    last: tf.RaggedTensor

    def then(self, change: "Aligned", begin: tf.Tensor | None = None) -> "Aligned":
        """The alignment of a change of `text`, led back to where this one came from.

        Args:
            change: the change.
            begin: int64, the byte at which the original texts begin; by default the source of the
                first byte of each, which is still there.
        """
        rows, first, last = owners(change.first.row_splits), change.first.values, change.last.values
        is_put_in = last < 0
        begins = lookup(self.first, rows, tf.zeros_like(first)) if begin is None else begin
        first = tf.where(is_put_in, begins, lookup(self.first, rows, first))
        last = tf.where(is_put_in, begins - 1, lookup(self.last, rows, tf.maximum(last, 0)))
        return Aligned(change.text, change.first.with_values(first), change.last.with_values(last))

    def slices(self, rows: tf.Tensor, begins: tf.Tensor, texts: tf.Tensor) -> "Aligned":
        """The alignment of parts of the rows.

        Args:
            rows: int64 [m], the row that each part is of.
            begins: int64 [m], its first byte there.
            texts: string [m], the part itself.
        """
        places = tf.ragged.range(begins, begins + _lengths(texts))
        rows = tf.gather(rows, owners(places.row_splits))
        return Aligned(
            texts,
            places.with_values(lookup(self.first, rows, places.values)),
            places.with_values(lookup(self.last, rows, places.values)),
        )

    def extents(
        self, rows: tf.Tensor, begins: tf.Tensor, ends: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Where parts of at least a byte came from: the first byte, and the one behind the last.

        Args:
            rows: int64 [m], the row that each part is of.
            begins: int64 [m], its first byte there.
            ends: int64 [m], the byte behind its last.
        """
        return lookup(self.first, rows, begins), lookup(self.last, rows, ends - 1) + 1


class Change(tf.Module, metaclass=abc.ABCMeta):
    """One change of texts, at speed."""

    @abc.abstractmethod
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """string [n] -> string [n]."""


class Rare(Change):
    """A change that leaves every text alone that has none of its characters.

    Attributes:
        characters: of which a text needs one to be changed.
    """

    characters: Collection[str]


class Step(Change):
    """A change that can keep track."""

    @abc.abstractmethod
    def align(self, x: tf.Tensor) -> Aligned:
        """The same change of string [n], and where each byte came from."""


class Changes(Change):
    """Several changes in a row."""

    def __init__(self, changes: Sequence[Change]) -> None:
        super().__init__()
        self._changes = changes

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        for change in self._changes:
            x = change(x)
        return x


class Steps(Changes, Step):
    """Several steps in a row."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__(steps)
        self._steps = steps

    def align(self, x: tf.Tensor) -> Aligned:
        whole, begin = unmoved(x), tf.constant(0, tf.int64)
        for step in self._steps:
            whole = whole.then(step.align(whole.text), begin)
        return whole


class Where(Change):
    """A rare change that looks for its characters first."""

    def __init__(self, change: Rare) -> None:
        super().__init__()
        self._change = change
        self._plain = without(change.characters)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return on_rows(~tf.strings.regex_full_match(x, self._plain), self._change, x)


class ValidUtf8(Step):
    """Replaces each invalid byte sequence by U+FFFD, as `bytes.decode(errors="replace")` does."""

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.strings.unicode_transcode(x, "UTF-8", "UTF-8")

    def align(self, x: tf.Tensor) -> Aligned:
        points, starts = tf.strings.unicode_decode_with_offsets(x, "UTF-8")
        bounds = tf.concat([starts, _lengths(x)[:, tf.newaxis]], axis=1)
        return spread(points, starts.values, bounds[:, 1:].values - 1)


def without(characters: Collection[str]) -> str:
    """RE2 pattern of the valid texts that have none of these characters."""
    return f"{character_class(characters, negated=True)}*"


def spread(points: tf.RaggedTensor, first: tf.Tensor, last: tf.Tensor) -> Aligned:
    """Encodes codepoints, and gives each byte the source of its codepoint.

    Args:
        points: int32 [n, (codepoints)].
        first: int64 [m], the first byte of the source of each of the m codepoints.
        last: int64 [m], its last byte.
    """
    text = encode(points)
    of_byte = repeat_index(byte_lengths(points.values))
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
