"""Steps that regular expressions make."""

import tensorflow as tf

from preprocess.graph.rows import owners
from preprocess.source.codepoints import character_class, literal
from preprocess.text.characters import before
from preprocess.text.steps import Aligned, Rare, Step, unmoved

ISOLATED = r"\xff\0\xff"
"""What becomes of a match that is set off by marks."""

_MARK = b"\xff"


class Replace(Step):
    """Replaces every match of a pattern.

    As in the source, all that is put in comes from the last character of the match.
    """

    def __init__(self, pattern: str, content: str) -> None:
        """Takes an RE2 pattern, and what takes the place of a match: a text, or a mark."""
        super().__init__()
        self._pattern = pattern
        self._content = content.encode(errors="surrogateescape")

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.strings.regex_replace(x, self._pattern, self._content.replace(b"\\", rb"\\"))

    def align(self, x: tf.Tensor) -> Aligned:
        marked = Cut(self._pattern, ISOLATED)(x)
        parts = tf.strings.split(marked, sep=_MARK)
        is_match = tf.equal(tf.ragged.range(parts.row_lengths()).values % 2, 1)
        lengths = tf.cast(tf.strings.length(parts.values), tf.int64)
        begins = before(parts.with_values(lengths))
        # A byte of text comes from itself, one that is put in from the end of its match.
        put_in = tf.constant(len(self._content), tf.int64)
        counts = tf.where(is_match, put_in, lengths)
        places = tf.ragged.range(counts)
        owner = owners(places.row_splits)
        last = tf.gather(begins + lengths - 1, owner)
        source = tf.gather(begins, owner) + places.values
        source = tf.where(tf.gather(is_match, owner), last, source)
        text = self(x)
        places = tf.RaggedTensor.from_row_lengths(
            source, tf.cast(tf.strings.length(text), tf.int64)
        )
        return Aligned(text, places, places)


class ReplaceLiteral(Rare, Replace):
    """Replaces every occurrence of a text."""

    def __init__(self, text: str, content: str) -> None:
        """Takes the text, and what takes its place."""
        super().__init__(literal(text), content)
        self.characters = {text[0]}


class Cut(Step):
    """Puts marks around, before or behind every match of a pattern."""

    def __init__(self, pattern: str, rewrite: str) -> None:
        r"""Takes an RE2 pattern and what becomes of a match: groups, and `\xff` for marks."""
        super().__init__()
        self._pattern = pattern
        self._rewrite = rewrite.encode().replace(rb"\xff", _MARK)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.strings.regex_replace(x, self._pattern, self._rewrite)

    def align(self, x: tf.Tensor) -> Aligned:
        # Only marks come in: the other bytes stay in order.
        text = self(x)
        before, after = (tf.strings.bytes_split(each) for each in (x, text))
        places = tf.ragged.range(before.row_lengths())
        places = tf.boolean_mask(places.values, before.values != _MARK)
        stays = tf.cast(after.values != _MARK, tf.int64)
        at = tf.maximum(tf.cumsum(stays) - 1, 0)
        source = tf.gather(tf.concat([places, [0]], axis=0), at)
        source = after.with_values(tf.where(stays > 0, source, 0))
        return Aligned(text, source, source)


class Prefix(Step):
    """Puts a prefix before every text that is not empty and does not begin with certain characters.

    As in the source, the prefix comes from the first character.
    """

    def __init__(self, prefix: str, unless: str = "") -> None:
        """Takes the prefix, and characters before which there is none."""
        super().__init__()
        self._prefix = prefix
        self._has = f"(?s)(?:{character_class(unless)}.*)?" if unless else ""

    def __call__(self, x: tf.Tensor, chosen: tf.Tensor | bool = True) -> tf.Tensor:
        """string [n] -> string [n]; `chosen` (bool [n]) says which texts may have the prefix."""
        return tf.where(self._takes(x) & chosen, tf.strings.join([self._prefix, x]), x)

    def align(self, x: tf.Tensor, chosen: tf.Tensor | bool = True) -> Aligned:
        size = tf.constant(len(self._prefix.encode()), tf.int64)
        added = tf.where(self._takes(x) & chosen, size, 0)
        text = self(x, chosen)
        places = unmoved(text).first
        first = tf.maximum(places.values - tf.gather(added, owners(places.row_splits)), 0)
        return Aligned(text, places.with_values(first), places.with_values(first))

    def _takes(self, x: tf.Tensor) -> tf.Tensor:
        return ~tf.strings.regex_full_match(x, self._has)


class Beginning(Prefix):
    """Puts a prefix before every text that is not empty, which comes from nothing in the source."""

    def align(self, x: tf.Tensor, chosen: tf.Tensor | bool = True) -> Aligned:
        text, first, last = super().align(x, chosen)
        is_own = unmoved(text).first.values < len(self._prefix.encode())
        nowhere = tf.constant(-1, tf.int64)
        return Aligned(text, first, last.with_values(tf.where(is_own, nowhere, last.values)))
