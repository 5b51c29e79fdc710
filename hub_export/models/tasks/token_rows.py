"""Rows of tokens of which each gets a vector: filled up, and with some left out."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tokenizers import Tokenizer

from encoders import HeadedEncoder, by_length
from hub_export.contract import VECTORS
from hub_export.errors import SourceError
from hub_export.models.session import Session
from hub_export.models.texts import of_rows, packed
from hub_export.sources.late_interaction import Expansion, Side
from preprocess import Packed, Preprocessor, Segment

_ATTENDED, _UNATTENDED = 1, 2


@dataclasses.dataclass(frozen=True)
class Filling:
    """What a short row is filled up with; see `Expansion`.

    Attributes:
        length: of the rows.
        id: of the token.
        mark: _ATTENDED or _UNATTENDED.
    """

    length: int
    id: int
    mark: int


@dataclasses.dataclass(frozen=True)
class Rows:
    """How texts of one side become rows, and which tokens of these get a vector.

    Attributes:
        prompt: put before every text.
        seq_length: the longest row.
        counts: of each id, whether it gets a vector; None if all do.
        filling: None where rows are not filled up.
    """

    prompt: str
    seq_length: int
    counts: Sequence[bool] | None
    filling: Filling | None

    def pack(self, preprocessor: Preprocessor, tokens: Segment) -> Packed:
        """Tokens of texts with the prompt -> rows; their mask is _UNATTENDED in some places."""
        least = 1 if self.filling is None else self.filling.length
        rows = packed(preprocessor.of_length(self.seq_length), [tokens], least)
        if self.filling is None:
            return rows
        is_filled = tf.equal(rows.mask, 0) & (tf.range(tf.shape(rows.mask)[1]) < least)
        return rows._replace(
            word_ids=tf.where(is_filled, self.filling.id, rows.word_ids),
            mask=tf.where(is_filled, self.filling.mark, rows.mask),
        )

    def vectors(self, headed: HeadedEncoder, training: bool, rows: Packed) -> tf.Tensor:
        """Of packed rows: float32 [B, S, D]."""
        if self.filling is None or self.filling.mark == _ATTENDED:
            return of_rows(headed, VECTORS, training, rows)
        if training:
            return _unattended(headed, *rows, training=True)[0]
        # Of some architectures, what no token attends to depends on how far a row is padded.
        compute = functools.partial(_unattended, headed)
        [found] = by_length(compute, *rows, border=self.filling.length)
        return found

    def counted(self, rows: Packed) -> tf.Tensor:
        """Which tokens of packed rows get a vector: bool [B, S]."""
        is_there = tf.not_equal(rows.mask, 0)
        if self.counts is None:
            return is_there
        return is_there & tf.gather(tf.constant(self.counts), rows.word_ids)

    def options(self) -> Mapping[str, Any]:
        """The same for a LiteRT copy; see `hub_export.litert.products.late_interaction`."""
        filling = self.filling
        return {
            "prompt": self.prompt,
            "max_length": self.seq_length,
            "left_out": [id for id, counted in enumerate(self.counts or ()) if not counted],
            "filling": None
            if filling is None
            else {
                "length": filling.length,
                "id": filling.id,
                "is_attended": filling.mark == _ATTENDED,
            },
        }

    def words(self, tokenizer: Tokenizer) -> Mapping[str, Any]:
        """The same for a reader of the report."""
        word, counts, filling = tokenizer.id_to_token, self.counts or (), self.filling
        left_out = [word(id) for id, counted in enumerate(counts) if not counted]
        return {
            "prompt": self.prompt,
            "max_length": self.seq_length,
            "filled_to": None if filling is None else filling.length,
            "filled_with": None if filling is None else word(filling.id),
            "left_out": [each for each in left_out if each is not None],
        }


def _unattended(
    headed: HeadedEncoder,
    word_ids: tf.Tensor,
    marks: tf.Tensor,
    type_ids: tf.Tensor,
    training: bool = False,
) -> list[tf.Tensor]:
    """Vectors of all positions, up to the last that is wanted; int32 [B, S] -> [B, S, D].

    What is _UNATTENDED is padding to the encoder, which computes that as well.
    """
    wanted = tf.reduce_any(tf.not_equal(marks, 0), axis=0)
    length = tf.reduce_max(tf.where(wanted, tf.range(1, tf.size(wanted) + 1), 1))
    mask = tf.cast(tf.equal(marks, _ATTENDED), tf.int32)
    word_ids, mask, type_ids = (each[:, :length] for each in (word_ids, mask, type_ids))
    return [headed(word_ids, mask, type_ids, training)[VECTORS]]


def rows(session: Session, name: str, side: Side) -> Rows:
    """How texts of a side, which has a name, become rows.

    Raises:
        SourceError: what the checkpoint asks for contradicts its tokenizer or its encoder.
    """
    tokenizer, positions = session.tokenizer, session.size.positions
    asked = side.max_length or session.plan.max_length
    if side.expansion is not None:
        asked = max(asked, side.expansion.length)
    file, least = session.checkpoint.config_file, tokenizer.num_special_tokens_to_add(False)
    if asked < least or (side.expansion is not None and side.expansion.length > positions):
        raise SourceError(
            f"{file}: expected from {least} tokens (special ones) to {positions} (positions) in "
            f"the rows of each {name}, found {asked}"
        )
    filling = None if side.expansion is None else _filling(session, name, side.expansion)
    return Rows(side.prompt, min(asked, positions), _counts(session, side), filling)


def _filling(session: Session, name: str, expansion: Expansion) -> Filling:
    tokenizer, special = session.tokenizer, session.checkpoint.special_tokens
    file = session.checkpoint.tokenizer_file
    if (tokenizer.padding or {}).get("direction") == "left":
        raise SourceError(
            f"{file}: padding_side is left, and each {name} is filled up to {expansion.length} "
            "tokens: that is supported at the end of rows alone"
        )
    token = expansion.token or session.tokenization.mask or special.get("eos_token")
    id = None if token is None else tokenizer.token_to_id(token)
    if id is None:
        raise SourceError(
            f"{file}: each {name} is filled up with a token, expected a mask token or "
            f"{expansion.token!r} in the vocabulary, found none"
        )
    return Filling(expansion.length, id, _ATTENDED if expansion.is_attended else _UNATTENDED)


def _counts(session: Session, side: Side) -> list[bool] | None:
    """Whether each id gets a vector."""
    skipped = {session.tokenizer.token_to_id(word) for word in side.skipped} - {None}
    if not skipped and not side.kept:
        return None
    ids, kept = range(session.size.vocabulary), frozenset(side.kept)
    return [id not in skipped and (not kept or id in kept) for id in ids]
