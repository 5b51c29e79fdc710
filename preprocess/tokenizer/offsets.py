"""Post-processing of offsets: byte-level tokenizers leave spaces out of them."""

from typing import TypeAlias

import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer as Source

from preprocess.graph.rows import owners
from preprocess.source.codepoints import whitespace
from preprocess.source.components import Component, flatten
from preprocess.text.places import Places

_SPACE = "\u0120"
"""How a byte-level vocabulary spells a space."""

Ragged: TypeAlias = tf.RaggedTensor


def _spaces() -> str:
    return "".join({_SPACE, *whitespace()})


def spaces(
    words: tf.Tensor, ids: Ragged, starts: Ragged, limits: Ragged, as_text: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """How many spaces the text of pieces begins and ends with, int64 [n] twice.

    Args:
        words: string [w].
        ids: int32 [w, (pieces)], n in all.
        starts: the first byte of each in its word, int64.
        limits: the byte behind it.
        as_text: the id of the pieces that are asked about; all others have none.
    """
    points, places = tf.strings.unicode_decode(words, "UTF-8"), Places(words)
    word = owners(ids.row_splits)
    base = tf.gather(points.row_starts(), word)
    first, behind = (base + places.characters(word, each.values) for each in (starts, limits))
    is_space = tf.reduce_any(tf.equal(points.values[:, tf.newaxis], [*map(ord, _spaces())]), 1)
    others = tf.concat([tf.where(~is_space)[:, 0], [tf.int64.max]], 0)
    at = tf.searchsorted(others, first, out_type=tf.int64)
    leading = tf.minimum(tf.gather(others, at), behind) - first
    at = tf.searchsorted(others, behind, out_type=tf.int64)
    last = tf.gather(tf.concat([[-1], others], 0), at)
    trailing = behind - tf.maximum(last + 1, first)
    return tuple(tf.where(tf.equal(ids.values, as_text), each, 0) for each in (leading, trailing))


class Trim(tf.Module):
    """Takes the spaces that pieces and added tokens begin and end with out of their offsets.

    As in the source, as many *characters* of the original text go as the piece has spaces; where a
    space is put before the text, pieces at its start that have one keep it.

    Attributes:
        acts: whether there are any.
    """

    def __init__(self, source: Source, keeps_first: bool, as_text: int | None) -> None:
        super().__init__()
        characters = _spaces()
        ids = source.get_vocab().values()
        size = max(ids) + 1
        self._leading, self._trailing = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for id in ids:
            piece = source.id_to_token(id) or ""
            self._leading[id] = len(piece) - len(piece.lstrip(characters))
            self._trailing[id] = len(piece) - len(piece.rstrip(characters))
        if as_text is not None:
            self._leading[as_text] = self._trailing[as_text] = 0
        self._keeps_first = keeps_first
        added = source.get_added_tokens_decoder().values()
        self.acts = bool(
            as_text is not None
            or self._leading.any()
            or self._trailing.any()
            or any(token.lstrip or token.rstrip for token in added)
        )

    def __call__(
        self,
        sentences: tf.Tensor,
        ids: tf.Tensor,
        rows: tf.Tensor,
        start: tf.Tensor,
        limit: tf.Tensor,
        leading: tf.Tensor,
        trailing: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Trims.

        Args:
            sentences: string [B].
            ids: int32 [n], the pieces of all rows.
            rows: int64 [n], the row of each.
            start: its first byte, int64 [n].
            limit: the byte behind it.
            leading: how many characters of whitespace it begins with besides its own, int64 [n].
            trailing: and ends with.
        """
        places = Places(sentences)
        start, limit = (places.characters(rows, each) for each in (start, limit))
        leading += tf.gather(self._leading, ids)
        trailing += tf.gather(self._trailing, ids)
        if self._keeps_first:
            first = tf.concat([tf.ones_like(rows[:1], tf.bool), rows[1:] != rows[:-1]], axis=0)
            keeps = (first | tf.equal(start, 0)) & tf.equal(leading, 1)
            leading -= tf.cast(keeps, tf.int64)
        start = tf.minimum(start + leading, limit)
        limit = tf.where(limit >= trailing, tf.maximum(limit - trailing, start), limit)
        return places.bytes(rows, start), places.bytes(rows, limit)


def compile(source: Source, tokenizer: Component, as_text: int | None) -> list[Trim]:
    """What the post-processor does to offsets, in order; the template checks its kinds."""
    parts = flatten(tokenizer["post_processor"], "processors")
    trims = [
        Trim(source, part["add_prefix_space"], as_text)
        for part in parts
        if part.get("trim_offsets")
    ]
    return [trim for trim in trims if trim.acts]
