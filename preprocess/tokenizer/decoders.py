"""Detokenisation: joining the strings of pieces as the source's decoder does, without clean-up."""

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tokenizers import Tokenizer as Source

from preprocess.graph.rows import only, owners
from preprocess.source import byte_alphabet
from preprocess.source.codepoints import literal
from preprocess.source.components import Component, decoder, flatten, require
from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.text.steps import without

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "BPEDecoder": ("suffix",),
    "ByteFallback": (),
    "ByteLevel": ("add_prefix_space", "trim_offsets", "use_regex"),
    "Fuse": (),
    "Metaspace": ("replacement", "prepend_scheme", "split"),
    "Replace": ("pattern", "content"),
    "Strip": ("content", "start", "stop"),
    "WordPiece": ("prefix", "cleanup"),
}
_ORDER = re.compile(r"(?P<pieces>[BMRSW]*)(?P<bytes>[LF]?)(?P<whole>(?:U[SR]*)?)")
"""Decoders of pieces, then bytes, then what acts on the whole text; letters as in `_LETTERS`."""
_LETTERS = {
    "BPEDecoder": "B",
    "ByteFallback": "F",
    "ByteLevel": "L",
    "Fuse": "U",
    "Metaspace": "M",
    "Replace": "R",
    "Strip": "S",
    "WordPiece": "W",
}
# The source reads the digits as Rust does, which takes small letters, and a sign.
_BYTES = {
    f"<0x{first}{second}>": bytes([int(first + second, 16)])
    for first in f"+{string.hexdigits}"
    for second in string.hexdigits
}
_ANCHOR = "x"
_UNKNOWN = "\ufffd".encode()

Strings = npt.NDArray[np.object_]


class Decoder(tf.Module):
    """Joins pieces; the one at an edge of a row may have a string of its own."""

    def __init__(self, source: Source, tokenizer: Component) -> None:
        """Reads the decoder.

        Raises:
            UnsupportedTokenizerError: names decoders that are not supported, or not in this order.
        """
        super().__init__()
        whole = list(flatten(tokenizer["decoder"], "decoders"))
        parts = [{**require("decoder", part, _OPTIONS)} for part in whole]
        order = _ORDER.fullmatch("".join(_LETTERS[part["type"]] for part in parts))
        if order is None:
            names = ", ".join(part["type"] for part in parts)
            raise UnsupportedTokenizerError(f"decoders in the order {names} are not supported")
        pieces = {id: source.id_to_token(id) or "" for id in source.get_vocab().values()}
        of_pieces = parts[: order.end("pieces")]
        if any(part["type"] == "Strip" and part["stop"] for part in of_pieces):
            # The source panics at pieces that have nothing else.
            raise UnsupportedTokenizerError("decoder Strip of the end of pieces is not supported")
        inner, edge, self._at_end = _spelled(pieces, of_pieces, bool(whole))
        self._lossy, fallback = order["bytes"] == "L", order["bytes"] == "F"
        spell, size = _SPELL[order["bytes"]], max(pieces) + 1
        self._inner, self._edge = (_table(each, size, spell) for each in (inner, edge))
        self._inner_is_byte, self._edge_is_byte = (
            np.array([fallback and each.get(id) in _BYTES for id in range(size)])
            for each in (inner, edge)
        )
        special = {entry["content"] for entry in tokenizer["added_tokens"] if entry["special"]}
        skipped = [id not in pieces or pieces[id] in special for id in range(size)]
        self._skipped = np.array([*skipped, True])  # the last one stands for every other id
        self._replacements = [
            each for part in parts[order.start("whole") + 1 :] for each in _replacements(part)
        ]

    def __call__(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """int32 [B, (pieces)] -> string [B]; as in the source, ids of no piece are left out."""
        beyond = len(self._skipped) - 1
        known = (ids.values >= 0) & (ids.values < beyond)
        ids = only(ids, ~tf.gather(self._skipped, tf.where(known, ids.values, beyond)))
        rows = owners(ids.row_splits)
        edges = ids.row_limits() - 1 if self._at_end else ids.row_starts()
        is_edge = tf.equal(tf.range(tf.size(rows, tf.int64)), tf.gather(edges, rows))

        def found(inner: npt.NDArray[Any], edge: npt.NDArray[Any]) -> tf.Tensor:
            return tf.where(is_edge, tf.gather(edge, ids.values), tf.gather(inner, ids.values))

        strings = found(self._inner, self._edge)
        if self._inner_is_byte.any() or self._edge_is_byte.any():
            strings = _merged(strings, found(self._inner_is_byte, self._edge_is_byte), rows)
        text = tf.strings.unsorted_segment_join(strings, rows, ids.nrows())
        if self._lossy:
            text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8")
        for pattern, content in self._replacements:
            text = tf.strings.regex_replace(text, pattern, content)
        return text


def _spelled(
    pieces: Mapping[int, str], parts: Sequence[Component], joins: bool
) -> tuple[Mapping[int, str], Mapping[int, str], bool]:
    """The string of each piece within a row and at an edge, and whether that is the end."""
    if not joins:
        return {id: f" {piece}" for id, piece in pieces.items()}, pieces, False
    if not parts:
        return pieces, pieces, False
    decode = decoder({"type": "Sequence", "decoders": [_without_clean_up(x) for x in parts]}).decode
    alone = decode([_ANCHOR])
    tail = decode([_ANCHOR, _ANCHOR])[len(alone) :]
    inner, first, last, only = {}, {}, {}, {}
    for id, piece in pieces.items():
        first[id] = decode([piece, _ANCHOR]).removesuffix(tail)
        inner[id] = decode([_ANCHOR, piece, _ANCHOR])[len(alone) :].removesuffix(tail)
        last[id] = decode([_ANCHOR, piece])[len(alone) :]
        only[id] = decode([piece])
    for at_end, edge, other in ((False, first, last), (True, last, first)):
        if other == inner and only == edge:
            return inner, edge, at_end
    raise UnsupportedTokenizerError(
        f"decoders {', '.join(part['type'] for part in parts)} are not supported together"
    )


def _byte_or_text(piece: str) -> bytes:
    return _BYTES.get(piece, piece.encode())


_SPELL: Mapping[str, Callable[[str], bytes]] = {
    "L": byte_alphabet.spelled,
    "F": _byte_or_text,
    "": str.encode,
}
"""The decoder of bytes, by its letter -> the bytes of a string."""


def _without_clean_up(part: Component) -> Component:
    return {**part, "cleanup": False} if "cleanup" in part else part


def _table(strings: Mapping[int, str], size: int, spell: Callable[[str], bytes]) -> Strings:
    return np.array([spell(strings.get(id, "")) for id in range(size)], object)


def _replacements(part: Component) -> Iterator[tuple[str, str]]:
    """What a decoder of the whole text does: RE2 patterns, and what takes their place."""
    if part["type"] == "Strip":
        character = literal(part["content"])
        yield f"^(?:{character}){{0,{part['start']}}}", ""
        yield f"(?:{character}){{0,{part['stop']}}}$", ""
    else:
        if "String" not in part["pattern"]:
            raise UnsupportedTokenizerError("decoder Replace with a regular expression")
        yield literal(part["pattern"]["String"]), part["content"].replace("\\", r"\\")


def _merged(strings: tf.Tensor, is_byte: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Puts each run of bytes into its first piece: as text, or as so many U+FFFD if it is none."""
    follows = is_byte[1:] & is_byte[:-1] & (rows[1:] == rows[:-1])
    follows = tf.concat([tf.zeros_like(is_byte[:1]), follows], axis=0)
    run = tf.cumsum(tf.cast(~follows, tf.int64)) - 1
    count = tf.reduce_sum(tf.cast(~follows, tf.int64))
    text = tf.strings.unsorted_segment_join(strings, run, count)
    unknown = tf.fill(tf.shape(strings), _UNKNOWN)
    is_text = tf.strings.regex_full_match(text, without(()))
    as_bytes = tf.gather(~is_text, run) & is_byte
    heads = tf.where(follows, "", tf.gather(text, run))
    return tf.where(as_bytes, unknown, heads)
