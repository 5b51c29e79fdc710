"""The symbols of a vocabulary that words are spelled in before any merge."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from preprocess.bpe.units import FORMS, ByteUnits, CharacterUnits, Units, bytes_of
from preprocess.graph.lanes import repeat_index
from preprocess.graph.neighbours import from_left
from preprocess.source.errors import UnsupportedTokenizerError, VocabularyError


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
    """Spells words in symbols.

    What has no symbol is spelled in byte pieces (`byte_fallback`) or becomes the unknown token, a
    run of it one token (`fuse_unk`). Where the model has neither, it is dropped, and the source
    counts the bytes of what follows as if it had not been there.
    """

    def __init__(self, model: Mapping[str, Any], byte_level: bool) -> None:
        """Compiles the serialised model.

        Raises:
            UnsupportedTokenizerError: the byte pieces cannot be followed exactly.
            VocabularyError: the unknown token is needed, and not in the vocabulary.
        """
        super().__init__()
        spellings = dict(_spellings(model))
        self._units: Units = ByteUnits(spellings) if byte_level else CharacterUnits(spellings)
        self._affixed = any(_affixes(model))
        self._finish = self._choose_finish(model, byte_level)
        self._recounts = byte_level and self._finish == self._drop

    def __call__(self, words: tf.Tensor) -> Symbols:
        """Spells string [n], none of them empty."""
        units, lengths = self._units.split(words)
        of_word, last = _words_of(lengths, tf.size(units))
        # The first unit of a word is the one after a last one, or after none.
        forms = last + 2 * (1 - from_left(last, 1)) if self._affixed else 0
        return self._finish(self._units.ids(units, forms), of_word, units, words)

    def to_bytes(
        self, words: tf.Tensor, of_piece: tf.Tensor, starts: tf.Tensor, limits: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """From what the source counts to the bytes of each word, whole ones.

        They differ where bytes are dropped, of which the source spells some in two bytes.

        Args:
            words: string [n], none of them empty.
            of_piece: int32 [k], the word of each piece.
            starts: int32 [k], the first byte of each piece in the spelling of its word.
            limits: int32 [k], the byte beyond its last one.
        """
        if not self._recounts:
            return starts, limits
        units, lengths = self._units.split(words)
        widths = self._units.spelled_widths(units)
        of_word, _ = _words_of(lengths, tf.size(units))
        spelled = tf.math.unsorted_segment_sum(widths, of_word, tf.size(words))
        first, begin = (
            tf.gather(tf.cumsum(each, exclusive=True), of_piece) for each in (lengths, spelled)
        )
        unit = repeat_index(widths)
        starts, last = (tf.gather(unit, begin + each) - first for each in (starts, limits - 1))
        return starts, last + 1

    def _choose_finish(
        self, model: Mapping[str, Any], byte_level: bool
    ) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], Symbols]:
        """What to do about -1 in `ids`: (ids, of_word, units [m] each, words [n]) -> Symbols."""
        if self._units.complete:
            return self._keep
        if pieces := _byte_pieces(model, byte_level):
            self._byte_pieces = tf.constant(pieces)
            return self._fall_back
        self._unknown = _unknown_id(model)
        if self._unknown is None:
            return self._drop
        return self._fuse if model.get("fuse_unk") else self._keep

    def _keep(self, ids: tf.Tensor, of_word: tf.Tensor, units: tf.Tensor, _: tf.Tensor) -> Symbols:
        """Leaves every unit a symbol of its own."""
        if not self._units.complete:
            ids = tf.where(ids < 0, self._unknown, ids)
        return Symbols(ids, of_word, _starts(self._units.widths(units)))

    def _fuse(
        self, ids: tf.Tensor, of_word: tf.Tensor, units: tf.Tensor, words: tf.Tensor
    ) -> Symbols:
        """Makes each run of unknown units within a word one."""
        first = tf.fill(tf.shape(ids[:1]), True)
        changes = (ids[1:] >= 0) | (ids[:-1] >= 0) | tf.not_equal(of_word[1:], of_word[:-1])
        kept = tf.where(tf.concat([first, changes], 0))[:, 0]
        symbols = self._keep(ids, of_word, units, words)
        ids, of_word, starts = (tf.gather(each, kept) for each in symbols)
        return Symbols(ids, of_word, tf.concat([starts, symbols.starts[-1:]], 0))

    def _drop(self, ids: tf.Tensor, of_word: tf.Tensor, units: tf.Tensor, _: tf.Tensor) -> Symbols:
        kept = tf.where(ids >= 0)[:, 0]
        ids, of_word, units = (tf.gather(each, kept) for each in (ids, of_word, units))
        return Symbols(ids, of_word, _starts(self._units.spelled_widths(units)))

    def _fall_back(
        self, ids: tf.Tensor, of_word: tf.Tensor, units: tf.Tensor, words: tf.Tensor
    ) -> Symbols:
        widths = self._units.widths(units)
        of_symbol = repeat_index(tf.where(ids < 0, widths, 1))
        ids, of_word, widths = (tf.gather(each, of_symbol) for each in (ids, of_word, widths))
        starts = _starts(tf.where(ids < 0, 1, widths))
        pieces = tf.gather(self._byte_pieces, tf.gather(bytes_of(words), starts[:-1]))
        return Symbols(tf.where(ids < 0, pieces, ids), of_word, starts)


def _spellings(model: Mapping[str, Any]) -> Iterator[tuple[tuple[str, int], int]]:
    """The pieces of one character and what its form adds, as character and form -> id."""
    prefix, suffix = _affixes(model)
    for form in range(FORMS):
        before, after = prefix if form & 2 else "", suffix if form & 1 else ""
        for piece, id in model["vocab"].items():
            inner = piece[len(before) : len(piece) - len(after)]
            if len(inner) == 1 and piece == before + inner + after:
                yield (inner, form), id


def _affixes(model: Mapping[str, Any]) -> tuple[str, str]:
    return model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""


def _byte_pieces(model: Mapping[str, Any], byte_level: bool) -> list[int]:
    """The ids of the pieces of the 256 bytes; none if the model does not fall back on them."""
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    missing = [name for name in names if name not in model["vocab"]]
    if not model.get("byte_fallback") or len(missing) == len(names):
        return []
    prefix, suffix = _affixes(model)
    for case, option in (
        (byte_level, "a byte-level vocabulary that lacks bytes"),
        (prefix, "continuing_subword_prefix"),
        (suffix, "end_of_word_suffix"),
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


def _words_of(lengths: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The word of each of `size` units, and 1 if it is its last: int32 [n] -> int32 [m] twice."""
    last = tf.math.unsorted_segment_sum(tf.ones_like(lengths), tf.cumsum(lengths) - 1, size)
    return tf.cumsum(last, exclusive=True), last


def _starts(widths: tf.Tensor) -> tf.Tensor:
    return tf.concat([[0], tf.cumsum(widths)], 0)
