"""Entities in the graph, from tokens and their probabilities, as `transformers` defines them.

That is its TokenClassificationPipeline: tokens, or the words that it makes of them, each get a
label; neighbours whose labels belong together become one entity. A label that begins with `B-`
begins an entity always; what stands behind `B-` or `I-` is the kind of the entity.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hub_export.contract import AVERAGE, FIRST, MAX, NONE, SIMPLE
from hub_export.litert.entities import OUTSIDE, EntityLabels
from preprocess import Places

_SPACE = b" "


class Tokens(NamedTuple):
    """The tokens of a batch of texts, without special ones, in their order.

    Attributes:
        row: the text of each, int64 [n].
        id: int32 [n].
        start: its first byte, int64 [n].
        limit: the byte behind it, int64 [n].
        probabilities: of each label, float32 [n, C].
    """

    row: tf.Tensor
    id: tf.Tensor
    start: tf.Tensor
    limit: tf.Tensor
    probabilities: tf.Tensor


class Spans(NamedTuple):
    """Stretches of texts that have a label each, in their order.

    Attributes:
        row: the text of each, int64 [n].
        start: its first byte, int64 [n].
        limit: the byte behind it, int64 [n].
        label: its number, int64 [n].
        score: float32 [n].
    """

    row: tf.Tensor
    start: tf.Tensor
    limit: tf.Tensor
    label: tf.Tensor
    score: tf.Tensor

    def where(self, kept: tf.Tensor) -> "Spans":
        """Some of them: bool [n]."""
        return Spans(*(tf.boolean_mask(each, kept) for each in self))


@dataclasses.dataclass(frozen=True)
class Subwords:
    """Which tokens the pipeline takes for the rest of the word before them.

    Attributes:
        lengths: how many characters each token of the vocabulary is spelled with, where the
            tokenizer marks the pieces within a word: such a piece is spelled longer than it
            stands in the text. None where it does not: then words are what spaces separate.
        unknown: the id of the unknown token, which is a word always; None if there is none.
    """

    lengths: Sequence[int] | None
    unknown: int | None

    def __call__(self, texts: tf.Tensor, tokens: Tokens) -> tf.Tensor:
        """Texts, string [B], and their tokens -> bool [n]."""
        found = self._spelled(texts, tokens) if self.lengths else _inside(texts, tokens)
        return found if self.unknown is None else found & (tokens.id != self.unknown)

    def _spelled(self, texts: tf.Tensor, tokens: Tokens) -> tf.Tensor:
        places = Places(texts)
        start, limit = (
            places.characters(tokens.row, each) for each in (tokens.start, tokens.limit)
        )
        spelled = tf.gather(np.array(self.lengths, np.int32), tokens.id)
        return tf.cast(tf.maximum(limit - start, 0), tf.int32) != spelled


def _inside(texts: tf.Tensor, tokens: Tokens) -> tf.Tensor:
    """Whether a token does not begin its text, and neither begins with a space nor follows one."""
    pieces = tf.strings.bytes_split(texts)
    is_space = tf.concat([tf.equal(pieces.values, _SPACE), [False]], axis=0)
    begins, ends = (
        tf.gather(each, tokens.row) for each in (pieces.row_starts(), pieces.row_limits())
    )
    at = begins + tokens.start
    before = tf.gather(is_space, tf.maximum(at - 1, begins))
    here = tf.gather(is_space, at) & (at < ends)
    return (tokens.start > 0) & ~before & ~here


class Labels:
    """What the labels of a task are to entities."""

    def __init__(self, labels: Sequence[str]) -> None:
        """Takes all of them, in the order of the logits."""
        self._labels = EntityLabels(labels)

    def begins(self, spans: Spans) -> tf.Tensor:
        """Whether each span begins an entity: bool [n]."""
        kinds = tf.gather(self._labels.kinds, spans.label)
        return _changes(spans.row) | _changes(kinds) | tf.gather(self._labels.begins, spans.label)

    def named(self, spans: Spans, grouped: bool) -> tuple[tf.Tensor, Spans]:
        """Names of labels, or of the kinds of entities, string [n], without what is outside."""
        names = self._labels.names[grouped]
        kept = tf.gather(np.array([each != OUTSIDE for each in names]), spans.label)
        spans = spans.where(kept)
        return tf.gather(tf.constant(names), spans.label), spans


def entities(
    texts: tf.Tensor, tokens: Tokens, labels: Labels, subwords: Subwords, aggregation: str
) -> tuple[tf.Tensor, Spans]:
    """The entities of texts, string [B]: their names, string [n], and where they are."""
    if aggregation in (NONE, SIMPLE):
        spans = _by_token(tokens)
    else:
        begins = _changes(tokens.row) | ~subwords(texts, tokens)
        spans = _by_word(tokens, _Groups(begins), aggregation)
    if aggregation != NONE:
        groups = _Groups(labels.begins(spans))
        label = tf.gather(spans.label, groups.first)
        score = tf.math.segment_mean(spans.score, groups.owner)
        spans = groups.spans(spans, label, score)
    return labels.named(spans, grouped=aggregation != NONE)


class _Groups:
    """Elements in groups of neighbours.

    Attributes:
        first: the first element of each group, int64 [m].
        last: the last one.
        owner: the group of each element, int64 [n].
    """

    def __init__(self, begins: tf.Tensor) -> None:
        """Takes whether each element begins a group, bool [n]; the first one must."""
        self.first = tf.where(begins)[:, 0]
        self.owner = tf.cumsum(tf.cast(begins, tf.int64)) - 1
        self.last = tf.concat([self.first[1:], [tf.size(begins, tf.int64)]], axis=0)
        self.last = self.last[: tf.size(self.first)] - 1

    def spans(self, parts: Tokens | Spans, label: tf.Tensor, score: tf.Tensor) -> Spans:
        """From the beginning of the first to the end of the last."""
        row, start = (tf.gather(each, self.first) for each in (parts.row, parts.start))
        return Spans(row, start, tf.gather(parts.limit, self.last), label, score)


def _by_token(tokens: Tokens) -> Spans:
    label, score = _best(tokens.probabilities)
    return Spans(tokens.row, tokens.start, tokens.limit, label, score)


def _by_word(tokens: Tokens, words: _Groups, aggregation: str) -> Spans:
    """A label for each word, by its first token, its surest one or the average."""
    x = tokens.probabilities
    of_words = {
        FIRST: lambda: tf.gather(x, words.first),
        MAX: lambda: tf.gather(x, _surest(x, words)),
        AVERAGE: lambda: tf.math.segment_mean(x, words.owner),
    }
    return words.spans(tokens, *_best(of_words[aggregation]()))


def _surest(probabilities: tf.Tensor, words: _Groups) -> tf.Tensor:
    """The first token of each word whose best label has the highest probability, int64 [m]."""
    best = tf.reduce_max(probabilities, axis=1)
    highest = tf.gather(tf.math.segment_max(best, words.owner), words.owner)
    count = tf.size(best, tf.int64)
    places = tf.where(best >= highest, tf.range(count), count)
    return tf.math.segment_min(places, words.owner)


def _best(probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.argmax(probabilities, axis=1), tf.reduce_max(probabilities, axis=1)


def _changes(x: tf.Tensor) -> tf.Tensor:
    """Whether each element differs from the one before it; the first one does: bool [n]."""
    return tf.concat([tf.ones_like(x[:1], tf.bool), x[1:] != x[:-1]], axis=0)
