"""How the `tokenizers` library applies a SentencePiece charsmap: by grapheme clusters.

A cluster (https://www.unicode.org/reports/tr29) of under six bytes that begins with a key of the
charsmap becomes the value of the *shortest* such key, whole; any other is mapped character by
character. So `e` with an acute accent becomes `é`, and whatever else such a short cluster holds is
dropped. Which characters join clusters is found by asking the source.
"""

from collections.abc import Callable, Collection, Iterator

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from preprocess.graph.neighbours import from_left, from_right
from preprocess.graph.rows import only, owners
from preprocess.graph.utf8 import byte_lengths, encode
from preprocess.source.codepoints import CodepointMap, codepoint_blocks
from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.text.character_pairs import CharacterPairs
from preprocess.text.characters import Characters
from preprocess.text.codepoint_step import CodepointStep
from preprocess.text.steps import Aligned, Rare, Step, lookup, spread

_MOST_BYTES = 5
_EXTENDS, _PREPENDS, _ALONE, _KEY = 1, 2, 4, 8
_DECOMPOSED, _COMPOSED = "e\u0301", "\xe9"
_PAIR = "\u0344\u0301"
"""Two marks; by itself the first one becomes two."""


class Graphemes(Rare):
    """What the charsmap does to short clusters of several characters."""

    def __init__(
        self, normalize: Callable[[str], str], normal: CodepointMap, charsmap: bytes
    ) -> None:
        """Reads the charsmap.

        Args:
            normalize: `normalize_str` of the normalizer.
            normal: the same as a map of single characters.
            charsmap: the serialised trie and strings.

        Raises:
            UnsupportedTokenizerError: it has keys whose clusters cannot be followed.
        """
        super().__init__()
        keys = dict(_entries(charsmap))
        single = {key for key in keys if len(key) == 1}
        short = {key: value for key, value in keys.items() if len(key) > 1 and key[0] not in single}
        pairs = {key: value for key, value in short.items() if len(key) == 2}
        odd = [key for key in short if len(key) > 2 and key[:2] not in pairs]
        odd += [key for key, value in pairs.items() if len(value) != 1 or value in single]
        if odd or keys.get(_DECOMPOSED) != _COMPOSED:
            raise UnsupportedTokenizerError(
                "normalizer Precompiled: a charsmap that has keys such as "
                f"{', '.join(map(ascii, odd[:3]))}, or not {_DECOMPOSED!a}, is not supported"
            )
        self._classes = _classes(normalize, normal, single)
        self._composed = CharacterPairs(pairs)
        joins = np.flatnonzero(self._classes & (_EXTENDS | _PREPENDS))
        self.characters = {*map(chr, joins), "\r"}

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        points, kept = self.change(tf.strings.unicode_decode(x, "UTF-8"))
        return encode(only(points, kept.values))

    def change(self, points: tf.RaggedTensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """Replaces clusters.

        Args:
            points: int32 [n, (characters)].

        Returns:
            int32 [n, (characters)], and bool: whether the character is still there.
        """
        values, rows = points.values, owners(points.row_splits)
        classes = tf.gather(self._classes, values)
        extends, prepends, alone, key = (
            tf.bitwise.bitwise_and(classes, np.uint8(each)) > 0
            for each in (_EXTENDS, _PREPENDS, _ALONE, _KEY)
        )
        follows = tf.concat([tf.zeros_like(rows[:1], tf.bool), rows[1:] == rows[:-1]], axis=0)
        line_end = tf.equal(values, ord("\n")) & from_left(tf.equal(values, ord("\r")))
        joined = (extends | from_left(prepends)) & ~alone & ~from_left(alone)
        head = ~(follows & (joined | line_end))
        cluster = tf.cumsum(tf.cast(head, tf.int32)) - 1
        short = (
            tf.gather(tf.math.segment_sum(byte_lengths(values), cluster), cluster) <= _MOST_BYTES
        )
        composed = self._composed(values, from_right(values))
        composes = short & head & ~key & ~from_right(head, True) & (composed > 0)
        replaced = tf.boolean_mask(composes | (short & key), head)
        kept = head | ~tf.gather(replaced, cluster)
        return points.with_values(tf.where(composes, composed, values)), points.with_values(kept)


class Charsmap(Step):
    """The whole normalizer.

    Attributes:
        clusters: its first step, which leaves the rest to a map.
        single: the map of single characters.
    """

    def __init__(
        self, normalize: Callable[[str], str], single: CodepointMap, charsmap: bytes
    ) -> None:
        """Reads the charsmap; see `Graphemes`."""
        super().__init__()
        self.clusters = Graphemes(normalize, single, charsmap)
        self.single = single
        self._step = CodepointStep(single)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self._step(self.clusters(x))

    def align(self, x: tf.Tensor) -> Aligned:
        points, sources = tf.strings.unicode_decode_with_offsets(x, "UTF-8")
        points, kept = self.clusters.change(points)
        held = tf.cumsum(tf.cast(kept.values, tf.int64))
        sizes = tf.math.segment_sum(tf.ones_like(held), held - 1)
        points = only(points, kept.values)
        old = tf.range(tf.size(points.values, tf.int64))
        whole = spread(points, old, old)
        text, first, _ = self._step.align(whole.text)
        new, starts = tf.strings.unicode_decode_with_offsets(text, "UTF-8")
        rows = owners(new.row_splits)
        origin = lookup(whole.first, rows, lookup(first, rows, starts.values))
        return Characters(new, _changes(points, sizes, new, origin), sources).placed()


def _changes(
    old: tf.RaggedTensor, sizes: tf.Tensor, new: tf.RaggedTensor, origin: tf.Tensor
) -> tf.Tensor:
    """What the source notes of each new character: see `Characters.changes`.

    Args:
        old: int32 [n, (characters)], before the map of single characters.
        sizes: int64 [k], how many characters of the text each of the k stands for.
        new: int32 [n, (characters)], behind the map.
        origin: int64 [m], which of the k each of the m comes from.
    """
    counts = tf.math.unsorted_segment_sum(tf.ones_like(origin), origin, tf.size(sizes))
    ends = tf.cumsum(counts)
    place = tf.range(tf.size(origin, tf.int64)) - tf.gather(ends - counts, origin)
    changes = tf.cast(place >= tf.gather(sizes, origin), tf.int64)
    # What becomes shorter, or nothing, goes into the new character before its end, if the row
    # has one.
    last = ends - 1
    rows = tf.concat([owners(new.row_splits), [-1]], axis=0)
    lost = tf.where(
        tf.equal(tf.gather(rows, tf.maximum(last, 0)), owners(old.row_splits)) & (last >= 0),
        tf.maximum(sizes - counts, 0),
        0,
    )
    lost = tf.math.unsorted_segment_sum(lost, tf.maximum(last, 0), tf.size(rows))
    return changes - lost[:-1]


def _entries(charsmap: bytes) -> Iterator[tuple[str, str]]:
    """Short keys and their values; the trie is laid out as in `double_array`."""
    size = int.from_bytes(charsmap[:4], "little")
    units, pool = np.frombuffer(charsmap[4 : 4 + size], "<u4"), charsmap[4 + size :]
    offsets = (units >> 10) << ((units & (1 << 9)) >> 6)
    pending = [(int(offsets[0]), b"")]
    while pending:
        base, key = pending.pop()
        children = np.arange(1, 256) ^ base
        children = children[children < len(units)]
        for at in children[(units[children] & 0x800000FF) == (children ^ base)].tolist():
            longer, below = key + bytes([at ^ base]), at ^ int(offsets[at])
            if units[at] >> 8 & 1:
                begin = int(units[below]) & 0x7FFFFFFF
                yield longer.decode(), pool[begin : pool.index(b"\0", begin)].decode()
            if len(longer) < _MOST_BYTES:
                pending.append((below, longer))


def _classes(
    normalize: Callable[[str], str], normal: CodepointMap, single: Collection[str]
) -> npt.NDArray[np.uint8]:
    """How each codepoint joins clusters, as bits."""
    classes = np.zeros(0x110000, np.uint8)
    classes[list(map(ord, single))] |= _KEY
    marks = normal.get(_PAIR[0], _PAIR[0]) + _PAIR[1]
    for each in _odd(normalize, normal, _DECOMPOSED, "", _COMPOSED, ""):
        # An extending character of two bytes is dropped with its cluster of five bytes; one of
        # more makes the cluster too long to be composed.
        behind = normalize(_DECOMPOSED + each)
        dropped = len(each.encode()) == 2 and behind == _COMPOSED and normal.get(each, each)
        if dropped or not behind.startswith(_COMPOSED):
            classes[ord(each)] |= _EXTENDS
    for each in _odd(normalize, normal, "", _DECOMPOSED, "", _COMPOSED):
        extends = classes[ord(each)] & _EXTENDS
        if not extends and not normalize(each + _DECOMPOSED).endswith(_COMPOSED):
            classes[ord(each)] |= _PREPENDS
    for each in _odd(normalize, normal, "", _PAIR, "", marks):
        if not normalize(each + _PAIR).endswith(_PAIR[1] * 2):
            classes[ord(each)] |= _ALONE
    return classes


def _odd(normalize: Callable[[str], str], normal: CodepointMap, *around: str) -> Iterator[str]:
    """The characters of all blocks in which some do not keep to themselves.

    Args:
        normalize: `normalize_str` of the normalizer.
        normal: the same as a map of single characters.
        around: what stands before and behind each character, in the text and normalised.
    """
    before, behind, normal_before, normal_behind = around
    between, normal_between = f"{behind} {before}", f"{normal_behind} {normal_before}"
    for block in codepoint_blocks():
        text = f"{before}{between.join(block)}{behind}"
        alone = normal_between.join(map(normal.get, block, block))
        if normalize(text) != f"{normal_before}{alone}{normal_behind}":
            yield from block
