"""Long texts in windows that overlap, each with the same question before it."""

from typing import NamedTuple

import tensorflow as tf

from preprocess.graph.rows import owners, stretches
from preprocess.graph.segments import Segment


class Windows(NamedTuple):
    """The windows of a batch, text by text.

    Attributes:
        texts: int64 [W], the row of the batch that each window is of; each row has one at least.
        begins: int64 [W], its first piece, counted in the contexts of all rows.
        lengths: int64 [W], how many pieces of the context it has.
        question: the question of each, W rows.
        context: the pieces in each, W rows.
    """

    texts: tf.Tensor
    begins: tf.Tensor
    lengths: tf.Tensor
    question: Segment
    context: Segment


def windows(
    question: Segment,
    context: Segment,
    room: int,
    overlap: int,
    whole: bool = True,
    from_end: bool = False,
) -> Windows:
    """Cuts contexts into windows as the `tokenizers` library does.

    Where a question leaves no room for the overlap and a piece more, or for the whole context (the
    library raises an error there), it is cut to half of the room that windows do not share.

    Args:
        question: B rows, int64 splits.
        context: B rows, int64 splits.
        room: how many pieces fit into a window, those of the question included.
        overlap: how many pieces a window shares with the one before it.
        whole: whether there are windows of the whole context; else there is the first one alone.
        from_end: whether the first window is at the end of the context.
    """
    asked, lengths = (each.row_splits[1:] - each.row_splits[:-1] for each in (question, context))
    fits = asked + tf.minimum(lengths, overlap + 1) <= room
    asked = tf.where(fits, asked, tf.minimum(asked, (room - overlap) // 2))
    width = room - asked
    step = tf.maximum(width - overlap, 1)
    more = tf.maximum(lengths - width + step - 1, 0) // step
    counts = 1 + (more if whole else tf.zeros_like(more))
    splits = tf.concat([tf.zeros([1], tf.int64), tf.cumsum(counts)], axis=0)
    texts = owners(splits)
    width, step, lengths = (tf.gather(each, texts) for each in (width, step, lengths))
    passed = (tf.range(splits[-1]) - tf.gather(splits, texts)) * step
    limits = tf.minimum(passed + width, lengths)
    begins = passed
    if from_end:
        begins, limits = tf.maximum(lengths - passed - width, 0), lengths - passed
    lengths = limits - begins
    begins += tf.gather(context.row_splits, texts)
    questions = tf.gather(question.row_splits, texts), tf.gather(asked, texts)
    return Windows(
        texts, begins, lengths, _taken(question, *questions), _taken(context, begins, lengths)
    )


def _taken(segment: Segment, begins: tf.Tensor, lengths: tf.Tensor) -> Segment:
    places, splits = stretches(begins, lengths)
    return Segment(tf.gather(segment.values, places), splits)
