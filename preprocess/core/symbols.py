"""The symbols that BPE starts from: the characters of a word, or its bytes."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from preprocess.core.errors import UnsupportedTokenizerError, VocabularyError
from preprocess.core.tables import static_table

_FORMS = 4
"""A unit is spelled by where it stands: form 2 if not first in its word, plus 1 if last."""


class Symbols(NamedTuple):
    """The m symbols of words that follow on each other.

    Attributes:
        ids: int32 [m].
        words: int32 [m], ascending, the word of each.
        starts: int32 [m + 1], the byte at which each begins, as the source counts, and the end.
    """

    ids: tf.Tensor
    words: tf.Tensor
    starts: tf.Tensor


class SymbolTable(tf.Module):
    """Spells words in the symbols of a vocabulary.

    What has no symbol is spelled in byte pieces (`byte_fallback`) or becomes the unknown token, a
    run of it one symbol (`fuse_unk`). Where the model has neither, it is dropped, and the source
    counts the bytes of what follows as if it had not been there.
    """

    def __init__(self, model: Mapping[str, Any], byte_level: bool) -> None:
        """Compiles the serialised model.

        Raises:
            UnsupportedTokenizerError: the byte pieces cannot be followed exactly.
            VocabularyError: the unknown token is needed, and not in the vocabulary.
        """
        super().__init__()
        self._byte_level = byte_level
        self._affixed = bool(model.get("continuing_subword_prefix")) or bool(
            model.get("end_of_word_suffix")
        )
        ids = dict(_spellings(model, byte_level))
        complete = byte_level and len(ids) == 256 * _FORMS
        self._fuses = bool(model.get("fuse_unk"))
        self._byte_pieces = None if complete else _byte_pieces(model, byte_level)
        known = complete or self._byte_pieces is not None
        self._unknown = None if known else _unknown_id(model)
        self.drops = not known and self._unknown is None
        self._simple = complete
        self._ids = _Dense(ids) if byte_level else _Sparse(ids)

    def __call__(self, words: tf.Tensor) -> Symbols:
        """Spells string [n], none of them empty."""
        units, lengths = self._units(words)
        of_word, last = _words_of(lengths, tf.size(units))
        ids = self._ids(units * _FORMS + (_form(last) if self._affixed else 0))
        if self._simple:
            return Symbols(ids, of_word, tf.range(tf.size(ids) + 1))
        own = self._byte_level and not self.drops
        widths = tf.ones_like(units) if own else _spelled_widths(units, self._byte_level)
        if self._byte_pieces is not None:
            return self._fall_back(ids, of_word, widths, words)
        return self._replace_unknown(ids, of_word, widths)

    def to_bytes(
        self, words: tf.Tensor, of_piece: tf.Tensor, starts: tf.Tensor, limits: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """From what the source counts to bytes of the word itself, whole ones.

        The two differ where a byte is spelled in two and some bytes are dropped.

        Args:
            words: string [n], none of them empty.
            of_piece: int32 [k], the word of each piece.
            starts: int32 [k], the first byte of each piece in the spelling of its word.
            limits: int32 [k], the byte beyond its last one.
        """
        if not (self._byte_level and self.drops):
            return starts, limits
        units, lengths = self._units(words)
        widths = _spelled_widths(units, byte_level=True)
        of_word, _ = _words_of(lengths, tf.size(units))
        spelled = tf.math.unsorted_segment_sum(widths, of_word, tf.size(words))
        first, begin = (
            tf.gather(tf.cumsum(each, exclusive=True), of_piece) for each in (lengths, spelled)
        )
        unit = tf.repeat(tf.range(tf.size(units)), widths)
        starts, last = (tf.gather(unit, begin + each) - first for each in (starts, limits - 1))
        return starts, last + 1

    def _units(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The bytes or codepoints, int32 [m], and how many each word has, int32 [n]."""
        if self._byte_level:
            return _bytes(words), tf.strings.length(words)
        points = tf.strings.unicode_decode(words, "UTF-8")
        return points.values, tf.cast(points.row_lengths(), tf.int32)

    def _fall_back(
        self, ids: tf.Tensor, of_word: tf.Tensor, widths: tf.Tensor, words: tf.Tensor
    ) -> Symbols:
        """Spells what has no symbol, -1 in `ids`, in bytes."""
        of_symbol = tf.repeat(tf.range(tf.size(ids)), tf.where(ids < 0, widths, 1))
        ids, of_word, widths = (tf.gather(each, of_symbol) for each in (ids, of_word, widths))
        starts = _starts(tf.where(ids < 0, 1, widths))
        pieces = tf.gather(self._byte_pieces, tf.gather(_bytes(words), starts[:-1]))
        return Symbols(tf.where(ids < 0, pieces, ids), of_word, starts)

    def _replace_unknown(self, ids: tf.Tensor, of_word: tf.Tensor, widths: tf.Tensor) -> Symbols:
        """Puts the unknown token in the place of what has no symbol, or drops it."""
        unknown = ids < 0
        if self.drops:
            kept = tf.where(~unknown)[:, 0]
            return Symbols(
                tf.gather(ids, kept), tf.gather(of_word, kept), _starts(tf.gather(widths, kept))
            )
        symbols = Symbols(tf.where(unknown, self._unknown, ids), of_word, _starts(widths))
        if not self._fuses:
            return symbols
        after = unknown[1:] & unknown[:-1] & tf.equal(of_word[1:], of_word[:-1])
        kept = tf.where(tf.concat([tf.fill(tf.shape(ids[:1]), True), ~after], 0))[:, 0]
        ids, of_word, starts = (tf.gather(each, kept) for each in symbols)
        return Symbols(ids, of_word, tf.concat([starts, symbols.starts[-1:]], 0))


def byte_alphabet() -> str:
    """The characters that GPT-2 spells the bytes 0 to 255 by: printable ones by themselves."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0x100)} - {0xAD}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in printable else next(others)) for byte in range(256))


class _Dense(tf.Module):
    def __init__(self, ids: Mapping[int, int]) -> None:
        super().__init__()
        self._ids = tf.constant([ids.get(key, -1) for key in range(256 * _FORMS)], tf.int32)

    def __call__(self, keys: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._ids, keys)


class _Sparse(tf.Module):
    def __init__(self, ids: Mapping[int, int]) -> None:
        super().__init__()
        self._ids = static_table([*ids], [*ids.values()], tf.int32, -1)

    def __call__(self, keys: tf.Tensor) -> tf.Tensor:
        return self._ids.lookup(keys)


def _spellings(model: Mapping[str, Any], byte_level: bool) -> Iterator[tuple[int, int]]:
    """`_FORMS` times the unit plus its form -> id, of every symbol in the vocabulary."""
    units = {character: byte for byte, character in enumerate(byte_alphabet())}
    prefix = model.get("continuing_subword_prefix") or ""
    suffix = model.get("end_of_word_suffix") or ""
    for form in range(_FORMS):
        before, after = prefix if form & 2 else "", suffix if form & 1 else ""
        for piece, id in model["vocab"].items():
            inner = piece[len(before) : len(piece) - len(after)]
            if len(inner) == 1 and piece == before + inner + after:
                unit = units.get(inner) if byte_level else ord(inner)
                if unit is not None:
                    yield _FORMS * unit + form, id


def _byte_pieces(model: Mapping[str, Any], byte_level: bool) -> list[int] | None:
    """The ids of the pieces of the 256 bytes, if the model falls back on them."""
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    missing = [name for name in names if name not in model["vocab"]]
    if not model.get("byte_fallback") or len(missing) == len(names):
        return None
    for case, option in (
        (byte_level, "a byte-level vocabulary that lacks bytes"),
        (model.get("continuing_subword_prefix"), "continuing_subword_prefix"),
        (model.get("end_of_word_suffix"), "end_of_word_suffix"),
        (missing, f"only some of the byte pieces; missing: {missing[:3]}"),
    ):
        if case:
            raise UnsupportedTokenizerError(f"byte_fallback with {option}")
    return [model["vocab"][name] for name in names]


def _unknown_id(model: Mapping[str, Any]) -> int | None:
    token = model.get("unk_token")
    if token is not None and token not in model["vocab"]:
        raise VocabularyError(f"the unknown token {token!r} is not in the vocabulary")
    return None if token is None else model["vocab"][token]


def _bytes(words: tf.Tensor) -> tf.Tensor:
    """The bytes of string [n], one word after the other: int32 [m]."""
    return tf.cast(tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8), tf.int32)


def _words_of(lengths: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The word of each of `size` units, and 1 if it is its last: int32 [n] -> int32 [m] twice."""
    last = tf.math.unsorted_segment_sum(tf.ones_like(lengths), tf.cumsum(lengths) - 1, size)
    return tf.cumsum(last, exclusive=True), last


def _form(last: tf.Tensor) -> tf.Tensor:
    """The form of each unit: the first one follows on a last one, or on none."""
    return last + 2 * (1 - tf.roll(last, 1, 0))


def _spelled_widths(units: tf.Tensor, byte_level: bool) -> tf.Tensor:
    """The bytes of each unit as the source sees it: int32 [m] -> int32 [m]."""
    if byte_level:
        return tf.gather([len(character.encode()) for character in byte_alphabet()], units)
    return 1 + sum(tf.cast(units > most, tf.int32) for most in (0x7F, 0x7FF, 0xFFFF))


def _starts(widths: tf.Tensor) -> tf.Tensor:
    return tf.concat([[0], tf.cumsum(widths)], 0)
