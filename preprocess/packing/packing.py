"""Packing: from the pieces of one or more segments to the padded inputs of an encoder."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from preprocess.graph.host import on_host
from preprocess.graph.segments import Segment
from preprocess.packing.template import Pieces, Template

LONGEST = 2**16
"""Beyond what any encoder takes: a row of 2**31 places would take all memory."""


class Packed(NamedTuple):
    """The inputs of an encoder, all int32 [B, S]."""

    word_ids: tf.Tensor
    mask: tf.Tensor
    type_ids: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Padding:
    """What fills rows up.

    Attributes:
        id: the id of the padding token.
        type_id: the type id of its positions.
        left: whether it stands before the text rather than behind it.
    """

    id: int
    type_id: int = 0
    left: bool = False


@dataclasses.dataclass(frozen=True)
class Truncation:
    """What goes where a row is too long.

    Attributes:
        only: the segment that is shortened, 0 for the first; None for the longest ones.
        left: whether a segment loses its beginning rather than its end.
    """

    only: int | None = None
    left: bool = False


class Packer(tf.Module):
    """Adds special tokens, truncates, pads."""

    def __init__(
        self, template: Template, padding: Padding, truncation: Truncation, type_vocabulary: int
    ) -> None:
        """Takes the source's ways.

        Args:
            template: special tokens and type ids.
            padding: what fills rows up.
            truncation: what goes where a row is too long.
            type_vocabulary: the number of type ids that the encoder knows; a template that
                counts further stays at the last one.
        """
        super().__init__()
        self._template = template
        self._padding = padding
        self._truncation = truncation
        self._last_type = type_vocabulary - 1

    @property
    def last_type(self) -> int:
        """The largest type id of template and padding; the encoder may know fewer."""
        pieces = (*self._template.single, *self._template.pair)
        return max(self._padding.type_id, *(piece.type_id for piece in pieces))

    def shortening(self, only: int | None) -> "Packer":
        """The same, but for which segment is shortened, 0 for the first; None for the longest."""
        truncation = dataclasses.replace(self._truncation, only=only)
        return Packer(self._template, self._padding, truncation, self._last_type + 1)

    def special_tokens(self, segments: int) -> int:
        """How many special tokens go around so many segments."""
        return sum(piece.id is not None for piece in self._template.pieces(segments))

    @property
    def cuts_beginnings(self) -> bool:
        """Whether a segment that is too long loses its beginning rather than its end."""
        return self._truncation.left

    def begins(self, lengths: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Where each segment begins in rows that nothing is cut from, padded behind the text.

        Args:
            lengths: integer [B], the length of each segment.

        Returns:
            The same, of each segment.
        """
        pieces = self._template.pieces(len(lengths))
        ends = [end[:, 0] for end in _ends(pieces, lengths)]
        behind = [end for piece, end in zip(pieces, ends, strict=True) if piece.id is None]
        return [end - length for end, length in zip(behind, lengths, strict=True)]

    @on_host
    def __call__(self, segments: Sequence[Segment], seq_length: int | tf.Tensor) -> Packed:
        """Packs a batch.

        Args:
            segments: one or more, of as many rows each.
            seq_length: S; a Python int gives static shapes.

        Raises:
            ValueError, tf.errors.InvalidArgumentError: S has no room for the special tokens.
        """
        pieces = self._template.pieces(len(segments))
        specials = [piece.id for piece in pieces if piece.id is not None]
        tf.debugging.assert_less_equal(
            len(specials),
            seq_length,
            message=f"seq_length has no room for the special tokens, which are {len(specials)}",
        )
        tf.debugging.assert_less_equal(
            tf.cast(seq_length, tf.int64),
            tf.constant(LONGEST, tf.int64),
            message=f"seq_length must be {LONGEST} or less",
        )
        # A graph does not wait for what is asserted: nothing longer may be allocated meanwhile.
        if not isinstance(seq_length, int):
            seq_length = tf.minimum(seq_length, tf.constant(LONGEST, seq_length.dtype))
        splits = [tf.cast(segment.row_splits, tf.int32) for segment in segments]
        lengths = [each[1:] - each[:-1] for each in splits]
        kept = truncate(lengths, seq_length - len(specials), self._truncation.only)
        # Every id that may be needed in one table; `source` says which one each place takes.
        values = [segment.values for segment in segments]
        table = tf.concat([*values, specials, [self._padding.id]], axis=0)
        sizes = [tf.size(each) for each in values]
        begins = [each[:-1] + sum(sizes[:at]) for at, each in enumerate(splits)]
        if self._truncation.left:
            begins = [
                sum(each) for each in zip(begins, lengths, map(tf.negative, kept), strict=True)
            ]
        place, ends = tf.range(seq_length)[tf.newaxis, :], _ends(pieces, kept)
        if self._padding.left:
            place += ends[-1] - seq_length
        source = tf.size(table) - 1
        behind = min(self._padding.type_id, self._last_type)
        type_ids = tf.fill(tf.shape(place), behind)
        # From the last piece to the first: each claims all that lies before its end.
        for piece, end in reversed(list(zip(pieces, ends, strict=True))):
            before = place < end
            if piece.id is None:
                moved = place + (begins.pop() + kept.pop())[:, tf.newaxis] - end
            else:
                moved = tf.size(table) - 1 - len(specials) + specials.index(piece.id)
            source = tf.where(before, moved, source)
            type_id = min(piece.type_id, self._last_type)
            if type_id != behind:
                type_ids, behind = tf.where(before, type_id, type_ids), type_id
        inside = (place >= 0) & (place < ends[-1])
        if self._padding.left:
            source = tf.where(inside, source, tf.size(table) - 1)
            type_ids = tf.where(inside, type_ids, min(self._padding.type_id, self._last_type))
        mask = tf.cast(inside, tf.int32)
        return Packed(tf.gather(table, source), mask, tf.broadcast_to(type_ids, tf.shape(mask)))


def truncate(
    lengths: Sequence[tf.Tensor], room: int | tf.Tensor, only: int | None = None
) -> list[tf.Tensor]:
    """Shortens segments until each row fits into `room` pieces.

    Where one segment alone is to be shortened and that is not enough (the source raises an error
    there), the others are shortened too.

    Args:
        lengths: int32 [B], the length of each segment.
        room: int32 scalar.
        only: the segment to shorten; None shortens the longest ones.

    Returns:
        int32 [B], the shortened lengths.
    """
    if only is None or only >= len(lengths):
        return _longest_first(lengths, room)
    others = [length for at, length in enumerate(lengths) if at != only]
    chosen = tf.minimum(tf.maximum(room - sum(others), 0), lengths[only])
    kept = _longest_first(others, room - chosen) if others else []
    return [*kept[:only], chosen, *kept[only:]]


def _longest_first(lengths: Sequence[tf.Tensor], room: int | tf.Tensor) -> list[tf.Tensor]:
    """As the `tokenizers` library does it for pairs.

    What the shorter segments leave free is shared evenly, the last odd piece goes to the longest
    (of equals, to the later one).
    """
    if len(lengths) == 1:
        return [tf.minimum(lengths[0], room)]
    table = tf.stack(lengths, axis=1)  # [B, segments]
    order = tf.argsort(table, axis=1, stable=True)
    kept = []
    for at, length in enumerate(tf.unstack(tf.gather(table, order, batch_dims=1), axis=1)):
        kept.append(tf.minimum(length, room // (len(lengths) - at)))
        room -= kept[-1]
    table = tf.gather(tf.stack(kept, axis=1), tf.argsort(order, axis=1), batch_dims=1)
    return tf.unstack(table, axis=1)


def _ends(pieces: Pieces, lengths: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Where each piece ends, int32 [B, 1] each."""
    ends, end, left = [], tf.zeros_like(lengths[0]), iter(lengths)
    for piece in pieces:
        end += 1 if piece.id is not None else next(left)
        ends.append(end[:, tf.newaxis])
    return ends
