"""Packing: from the pieces of one or more segments to the padded inputs of an encoder."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from preprocess.core.template import Template


class Packed(NamedTuple):
    """The inputs of an encoder, all int32 [B, S]."""

    word_ids: tf.Tensor
    mask: tf.Tensor
    type_ids: tf.Tensor


class Packer(tf.Module):
    """Adds special tokens, truncates the longest segments first, pads."""

    def __init__(self, template: Template, padding_id: int, type_vocabulary: int) -> None:
        """Takes the source's template.

        Args:
            template: special tokens and type ids.
            padding_id: what stands behind a row's end.
            type_vocabulary: the number of type ids that the encoder knows; a template that
                counts further stays at the last one.
        """
        super().__init__()
        self._template = template
        self._padding_id = padding_id
        self._last_type = type_vocabulary - 1

    def __call__(self, segments: Sequence[tf.RaggedTensor], seq_length: int | tf.Tensor) -> Packed:
        """Packs a batch.

        Args:
            segments: one or more int32 [B, (pieces)] or [B, (words), (pieces)].
            seq_length: S; a Python int gives static shapes.

        Raises:
            ValueError, tf.errors.InvalidArgumentError: S has no room for the special tokens.
        """
        flat = [segment.merge_dims(1, -1) for segment in segments]
        pieces = self._template.pieces(len(flat))
        specials = sum(piece.id is not None for piece in pieces)
        tf.debugging.assert_less_equal(
            specials, seq_length, message=f"seq_length has no room for {specials} special tokens"
        )
        kept = iter(truncate(flat, seq_length - specials))
        batch = flat[0].nrows()
        parts = [next(kept) if p.id is None else _column(p.id, batch) for p in pieces]
        row = tf.concat(parts, axis=1)
        word_ids = row.to_tensor(self._padding_id, shape=[None, seq_length])
        places = tf.range(seq_length)[tf.newaxis, :]
        mask = tf.cast(places < _lengths(row)[:, tf.newaxis], tf.int32)
        types = [min(piece.type_id, self._last_type) for piece in pieces]
        return Packed(word_ids, mask, mask * _type_ids(types, parts, places))


def truncate(segments: Sequence[tf.RaggedTensor], room: int | tf.Tensor) -> list[tf.RaggedTensor]:
    """Cuts the ends of the longest segments until each row fits into `room` pieces.

    This is longest-first truncation as the `tokenizers` library does it for pairs: what the
    shorter segments leave free is shared evenly, the last odd piece goes to the longest (of equals,
    to the later one).

    Args:
        segments: int32 [B, (pieces)] each.
        room: int32 scalar.
    """
    lengths = tf.stack([_lengths(segment) for segment in segments], axis=1)  # [B, segments]
    order = tf.argsort(lengths, axis=1, stable=True)
    left = tf.fill([tf.shape(lengths)[0]], room)
    limits = []
    for at, length in enumerate(tf.unstack(tf.gather(lengths, order, batch_dims=1), axis=1)):
        limits.append(tf.minimum(length, left // (len(segments) - at)))
        left -= limits[-1]
    back = tf.argsort(order, axis=1)
    limit = tf.gather(tf.stack(limits, axis=1), back, batch_dims=1)
    return [_cut(each, limit[:, at]) for at, each in enumerate(segments)]


def _cut(segment: tf.RaggedTensor, limits: tf.Tensor) -> tf.RaggedTensor:
    """Keeps the first `limits` int32 [B] pieces of each row."""
    rows = segment.value_rowids()
    place = tf.range(tf.size(rows)) - tf.gather(tf.cast(segment.row_starts(), tf.int32), rows)
    return tf.ragged.boolean_mask(segment, segment.with_values(place < tf.gather(limits, rows)))


def _column(id: int, batch: tf.Tensor) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_uniform_row_length(tf.fill([batch], id), 1)


def _lengths(row: tf.RaggedTensor) -> tf.Tensor:
    return tf.cast(row.row_lengths(), tf.int32)


def _type_ids(
    types: Sequence[int], parts: Sequence[tf.RaggedTensor], places: tf.Tensor
) -> tf.Tensor:
    """The type id at each place: it changes where a part begins whose type id differs."""
    result, begin, before = tf.zeros_like(places), tf.zeros_like(_lengths(parts[0])), 0
    for type_id, part in zip(types, parts, strict=True):
        if type_id != before:
            reached = tf.cast(places >= begin[:, tf.newaxis], tf.int32)
            result += (type_id - before) * reached
            before = type_id
        begin += _lengths(part)
    return result
