"""What BPE cuts words into at first: their characters, or their bytes."""

from collections.abc import Mapping
from typing import Protocol

import tensorflow as tf

from preprocess.graph.tables import static_table
from preprocess.graph.utf8 import byte_lengths
from preprocess.source.byte_alphabet import ALPHABET

FORMS = 4
"""A unit is spelled by where it stands: form 2 if not first in its word, plus 1 if last."""

Spellings = Mapping[tuple[str, int], int]
"""Character and form -> id."""


class Units(Protocol):
    """Cuts words into m units, and knows the symbols of a vocabulary for them."""

    complete: bool
    """Whether every unit has a symbol in each form."""

    def split(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """string [n] -> the codes of all units, int32 [m]; how many each word has, int32 [n]."""

    def ids(self, units: tf.Tensor, forms: tf.Tensor) -> tf.Tensor:
        """int32 [m] twice -> int32 [m], -1 for what has no symbol."""

    def widths(self, units: tf.Tensor) -> tf.Tensor:
        """The bytes of each: int32 [m] -> int32 [m]."""

    def spelled_widths(self, units: tf.Tensor) -> tf.Tensor:
        """The bytes of each in the spelling of the source: int32 [m] -> int32 [m]."""


class CharacterUnits(tf.Module):
    """CharacterUnits, coded by their codepoints."""

    complete = False

    def __init__(self, spellings: Spellings) -> None:
        super().__init__()
        keys = [FORMS * ord(character) + form for character, form in spellings]
        self._ids = static_table(keys, [*spellings.values()], tf.int32, -1)

    def split(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        points = tf.strings.unicode_decode(words, "UTF-8")
        return points.values, tf.cast(points.row_lengths(), tf.int32)

    def ids(self, units: tf.Tensor, forms: tf.Tensor) -> tf.Tensor:
        return self._ids.lookup(FORMS * units + forms)

    def widths(self, units: tf.Tensor) -> tf.Tensor:
        return byte_lengths(units)

    def spelled_widths(self, units: tf.Tensor) -> tf.Tensor:
        return self.widths(units)


class ByteUnits(tf.Module):
    """ByteUnits, which the source spells by the characters of `ALPHABET`."""

    def __init__(self, spellings: Spellings) -> None:
        super().__init__()
        keys = [(character, form) for character in ALPHABET for form in range(FORMS)]
        self.complete = spellings.keys() >= {*keys}
        self._ids = tf.constant([spellings.get(key, -1) for key in keys], tf.int32)

    def split(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return bytes_of(words), tf.strings.length(words)

    def ids(self, units: tf.Tensor, forms: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._ids, FORMS * units + forms)

    def widths(self, units: tf.Tensor) -> tf.Tensor:
        return tf.ones_like(units)

    def spelled_widths(self, units: tf.Tensor) -> tf.Tensor:
        return tf.gather([len(character.encode()) for character in ALPHABET], units)


def bytes_of(words: tf.Tensor) -> tf.Tensor:
    """The bytes of string [n], one word after the other: int32 [m]."""
    return tf.cast(tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8), tf.int32)
