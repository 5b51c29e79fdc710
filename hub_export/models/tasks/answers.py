"""From the logits of an answer's first and last token to the best answers of each text.

The rules are those of the question answering pipeline of `transformers` 4, aligned to words.
"""

from typing import NamedTuple

import tensorflow as tf

from hub_export import contract
from hub_export.contract import Tensors
from hub_export.litert.answers import MASKED
from hub_export.models.tasks.passages import Passages, Special
from hub_export.models.texts import cut

LONGEST = 15
"""Tokens of an answer."""


class Spans(NamedTuple):
    """Spans of rows, by how probable they are.

    Attributes:
        scores: float32 [W, n], falling; 0 where there are fewer.
        firsts: int64 [W, n], the place of each span's first token in its row.
        lasts: int64 [W, n], of its last one.
        none: float32 [W], how probable it is that the row has no answer.
    """

    scores: tf.Tensor
    firsts: tf.Tensor
    lasts: tf.Tensor
    none: tf.Tensor


class Answers(NamedTuple):
    """Answers of all texts, each of them [n].

    Attributes:
        texts: int64, the text of each.
        answers: string.
        scores: float32.
        starts: int64, bytes of the context.
        limits: int64.
    """

    texts: tf.Tensor
    answers: tf.Tensor
    scores: tf.Tensor
    starts: tf.Tensor
    limits: tf.Tensor


def best(
    passages: Passages,
    start_logits: tf.Tensor,
    end_logits: tf.Tensor,
    contexts: tf.Tensor,
    top_k: tf.Tensor,
    special: Special | None,
    may_be_none: bool,
) -> Tensors:
    """The best answers of each text.

    Args:
        passages: what was asked.
        start_logits: float32 [W, S].
        end_logits: float32 [W, S].
        contexts: string [B].
        top_k: how many answers to give, int32 scalar.
        special: what stands for no answer; None for nothing.
        may_be_none: whether an empty answer, of the score of that, is one of them.

    Returns:
        By name, [B, top_k] each; where a text has fewer, empty ones of score 0 follow.
    """
    spans = _spans(passages, start_logits, end_logits, 2 * top_k + 10, special)
    found = _merged(_located(passages, spans, contexts))
    if may_be_none:
        texts = tf.range(tf.size(contexts, tf.int64))
        none = tf.math.unsorted_segment_min(spans.none, passages.windows.texts, tf.size(texts))
        places = tf.zeros_like(texts)
        empty = Answers(texts, tf.fill(tf.shape(texts), ""), none, places, places)
        found = Answers(*(tf.concat(each, axis=0) for each in zip(found, empty, strict=True)))
    return _ranked(found, tf.size(contexts, tf.int64), tf.cast(top_k, tf.int64))


def _spans(
    passages: Passages,
    start_logits: tf.Tensor,
    end_logits: tf.Tensor,
    most: tf.Tensor,
    special: Special | None,
) -> Spans:
    """The most probable spans of each row: products of two softmaxes.

    These go over the context and the special token, the spans over the context alone.
    """
    inside = passages.sources >= 0
    kept = inside
    if special is not None:
        kept |= tf.equal(passages.rows.word_ids, special.id) & tf.equal(passages.rows.mask, 1)
    masked = (tf.where(kept, each, MASKED) for each in (start_logits, end_logits))
    start, end = map(tf.nn.softmax, masked)
    none = _at_special(special, passages, start * end)
    start, end = (tf.where(inside, each, 0.0) for each in (start, end))
    ends, length = tf.pad(end, [[0, 0], [0, LONGEST - 1]]), tf.shape(end)[1]
    moved = tf.stack([ends[:, by : by + length] for by in range(LONGEST)], axis=2)
    products = tf.reshape(start[:, :, tf.newaxis] * moved, [-1, length * LONGEST])
    scores, at = tf.math.top_k(products, tf.minimum(most, length * LONGEST))
    firsts, at = tf.cast(at // LONGEST, tf.int64), tf.cast(at % LONGEST, tf.int64)
    return Spans(scores, firsts, firsts + at, none)


def _at_special(special: Special | None, passages: Passages, x: tf.Tensor) -> tf.Tensor:
    """What [W, S] says of the special token, [W]; zero where there is none."""
    if special is None:
        return tf.zeros_like(x[:, 0])
    return tf.gather(x, special.places(passages.rows), axis=1, batch_dims=1)


def _located(passages: Passages, spans: Spans, contexts: tf.Tensor) -> Answers:
    """Spans of whole words, as far as these are in the window, cut out of the contexts."""
    windows, tokens = passages.windows, passages.tokens
    kept = tf.where(spans.scores > 0)
    scores, firsts, lasts = (tf.gather_nd(each, kept) for each in spans[:3])
    begins, lengths, texts = (
        tf.gather(each, kept[:, 0]) for each in (windows.begins, windows.lengths, windows.texts)
    )
    moved = begins - tf.gather(passages.places, kept[:, 0])
    firsts = tf.maximum(tf.gather(tokens.firsts, firsts + moved), begins)
    lasts = tf.minimum(tf.gather(tokens.lasts, lasts + moved), begins + lengths - 1)
    starts = tf.gather(tokens.starts, firsts)
    limits = tf.maximum(tf.gather(tokens.limits, lasts), starts)
    return Answers(texts, cut(contexts, texts, starts, limits), scores, starts, limits)


def _merged(found: Answers) -> Answers:
    """Answers of one text that differ in case alone are one: the first, with their scores' sum."""
    # Lower-casing ends at a NUL.
    lower = tf.strings.lower(tf.strings.regex_replace(found.answers, r"\x00", "\ue000"), "utf-8")
    distinct, group = tf.unique(tf.strings.join([tf.strings.as_string(found.texts), lower], ":"))
    count, places = tf.size(distinct), tf.range(tf.size(group))
    first = tf.math.unsorted_segment_min(places, group, count)
    scores = tf.math.unsorted_segment_sum(found.scores, group, count)
    return Answers(*(tf.gather(each, first) for each in found))._replace(scores=scores)


def _ranked(found: Answers, texts: tf.Tensor, top_k: tf.Tensor) -> Tensors:
    """The best of each text, the earlier one of equals first."""
    order = tf.argsort(-found.scores, stable=True)
    order = tf.gather(order, tf.argsort(tf.gather(found.texts, order), stable=True))
    counts = tf.math.unsorted_segment_sum(tf.ones_like(found.texts), found.texts, texts)
    limits = tf.cumsum(counts)[:, tf.newaxis]
    place = limits - counts[:, tf.newaxis] + tf.range(top_k)
    place = tf.where(place < limits, place, tf.size(order, tf.int64))
    named = {
        contract.ANSWER: (found.answers, ""),
        contract.SCORE: (found.scores, 0.0),
        contract.START: (found.starts, tf.zeros([], tf.int64)),
        contract.LIMIT: (found.limits, tf.zeros([], tf.int64)),
    }
    return {
        name: tf.gather(tf.concat([tf.gather(values, order), [other]], axis=0), place)
        for name, (values, other) in named.items()
    }
