"""Unicode normalization forms where characters depend on each other (UAX #15).

See https://www.unicode.org/reports/tr15. Decomposition sorts the marks that follow a character by
their combining class; composition joins a character with the marks behind it. Maps of single
codepoints cannot do that; it matters only where a text has marks.
"""

import functools
import itertools
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tokenizers import normalizers

from preprocess.graph.rows import contains, on_rows, only, owners
from preprocess.source.codepoints import (
    CodepointMap,
    character_class,
    codepoint_blocks,
    normal_forms,
)
from preprocess.text.character_pairs import CharacterPairs
from preprocess.text.characters import Characters
from preprocess.text.codepoint_step import CodepointStep
from preprocess.text.steps import Aligned, Rare, Step, lookup

_HIGHEST = "\u0345"
"""The only mark of the last combining class, 240."""


class Sorted(NamedTuple):
    """Decomposed texts in canonical order.

    Attributes:
        characters: the texts.
        ranks: int64 [m], the rank of each character's combining class; 0 for starters.
    """

    characters: Characters
    ranks: tf.Tensor


class Decomposition(tf.Module):
    """Decomposes and sorts."""

    def __init__(self, decomposed: CodepointMap) -> None:
        super().__init__()
        self._step = CodepointStep(decomposed)
        classes = combining_classes()
        marks = sorted(classes)
        self._marks = np.array([ord(mark) for mark in marks], np.int32)
        self._classes = np.array([classes[mark] for mark in marks], np.int64)

    def __call__(self, x: tf.Tensor) -> Sorted:
        """string [n] -> their characters, decomposed and in canonical order."""
        text, sources, _ = self._step.align(x)
        points, starts = tf.strings.unicode_decode_with_offsets(text, "UTF-8")
        rows = owners(points.row_splits)
        source = lookup(sources, rows, starts.values)
        at = tf.minimum(tf.searchsorted(self._marks, points.values), len(self._marks) - 1)
        is_mark = tf.equal(tf.gather(self._marks, at), points.values)
        ranks = tf.where(is_mark, tf.gather(self._classes, at), 0)
        # Whatever is no mark starts the next run; a stable sort then orders each run by class.
        run = tf.cumsum(tf.cast(~is_mark, tf.int64))
        order = tf.argsort((rows + run) * 256 + ranks, stable=True)
        leads = _differs(rows) | _differs(source)
        characters = Characters(
            points.with_values(tf.gather(points.values, order)),
            tf.gather(tf.cast(~leads, tf.int64), order),
            only(points.with_values(source), leads),
        )
        return Sorted(characters, tf.gather(ranks, order))


class CanonicalOrder(Rare, Step):
    """Cleans, decomposes and sorts text: the first steps of a normalizer that decomposes."""

    def __init__(
        self, decomposed: CodepointMap, cleaned: Collection[str], normal: CodepointMap
    ) -> None:
        """Prepares the steps.

        Args:
            decomposed: the decomposition, canonical or compatible.
            cleaned: the characters that the normalizer deletes before it decomposes.
            normal: the whole normalizer as a map, which tells what marks survive it.
        """
        super().__init__()
        classes = combining_classes()
        surviving = {mark for mark in classes if normal.get(mark) != ""}
        carriers = [old for old, form in decomposed.items() if surviving & set(form)]
        kept = character_class(surviving.union(carriers))
        passed = [old for old, form in decomposed.items() if classes.keys() >= set(form)]
        self.characters = surviving.union(carriers)
        self._trigger = f"{kept}{character_class({*classes, *cleaned, *passed})}*{kept}"
        self._decompose = Decomposition({**decomposed, **dict.fromkeys(cleaned, "")})

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        # Elsewhere the codepoint map that follows does the same.
        return on_rows(
            contains(x, self._trigger),
            lambda rows: self._decompose(rows).characters.text(),
            x,
        )

    def align(self, x: tf.Tensor) -> Aligned:
        return self._decompose(x).characters.placed()


class Composition(Rare, Step):
    """Normalization form C: decomposes, sorts, and composes again."""

    def __init__(self, compatible: CodepointMap | None = None) -> None:
        """Prepares the steps.

        Args:
            compatible: the decomposition to begin with, if it is not the canonical one.
        """
        super().__init__()
        compose = normalizers.NFC().normalize_str
        decomposed = normal_forms({"type": "NFD"})
        self._decompose = Decomposition(compatible or decomposed)
        pairs = {}
        for character, form in decomposed.items():
            first = compose(form[:-1])
            if len(form) > 1 and len(first) == 1 and compose(first + form[-1]) == character:
                pairs[first + form[-1]] = character
        self._composed = CharacterPairs(pairs)
        seconds = {pair[1] for pair in pairs}
        changed = {character for character in decomposed if compose(character) != character}
        self.characters = seconds | changed | combining_classes().keys()

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self._compose(x).text()

    def align(self, x: tf.Tensor) -> Aligned:
        return self._compose(x).placed()

    def _compose(self, x: tf.Tensor) -> Characters:
        (points, changes, sources), ranks = self._decompose(x)
        flat = points.values, owners(points.row_splits), ranks, changes
        vector = tf.TensorShape([None])
        # A round joins each starter with the first that it takes; no character has many to take.
        state = tf.while_loop(
            lambda going, *_: going,
            lambda _, *flat: self._round(*flat),
            (tf.constant(True), *flat),
            (tf.TensorShape([]), *[vector] * 4),
        )
        _, points, rows, _, changes = state
        count = tf.size(x, tf.int64)
        points = tf.RaggedTensor.from_value_rowids(points, rows, count)
        return Characters(points, changes, sources)

    def _round(
        self, points: tf.Tensor, rows: tf.Tensor, ranks: tf.Tensor, changes: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        places = tf.range(tf.size(points))
        is_starter = tf.equal(ranks, 0)
        first_of_row = _differs(rows)
        head = is_starter | first_of_row  # of a run: a starter and its marks
        run = tf.cumsum(tf.cast(head, tf.int32)) - 1
        heads = tf.boolean_mask(places, head)
        before = tf.where(first_of_row, places, places - 1)
        # A mark goes to the starter of its run, a starter to the one right before it.
        starter = tf.where(is_starter, before, tf.gather(heads, run))
        blocked = tf.where(tf.equal(before, starter), False, tf.gather(ranks, before) >= ranks)
        free = ~first_of_row & ~blocked & tf.gather(is_starter, starter)
        composed = self._composed(tf.gather(points, starter), points)
        taken = free & (composed > 0)
        # Left to right: what is taken itself takes nothing, and one at a time is taken.
        taken &= ~tf.gather(taken & is_starter, starter)
        nowhere = tf.size(points)
        first = tf.math.unsorted_segment_min(tf.where(taken, places, nowhere), starter, nowhere)
        taken &= tf.equal(tf.gather(first, starter), places)
        at = tf.boolean_mask(starter, taken)[:, tf.newaxis]
        points = tf.tensor_scatter_nd_update(points, at, tf.boolean_mask(composed, taken))
        changes = tf.tensor_scatter_nd_add(changes, at, tf.boolean_mask(changes - 1, taken))
        left = (tf.boolean_mask(each, ~taken) for each in (points, rows, ranks, changes))
        return (tf.reduce_any(taken), *left)


class CompatibleComposition(Composition):
    """Normalization form KC.

    Attributes:
        single: the map of single characters.
        canonical: form C, which behind that map does the rest, where nothing is kept track of.
    """

    def __init__(self, single: CodepointMap) -> None:
        super().__init__(normal_forms({"type": "NFKD"}))
        self.single = single
        self.canonical = Composition()


def _differs(x: tf.Tensor) -> tf.Tensor:
    """Whether each element of int64 [m] differs from the one before it; the first does."""
    return tf.concat([tf.ones_like(x[:1], tf.bool), x[1:] != x[:-1]], axis=0)


@functools.cache
def combining_classes() -> dict[str, int]:
    """Mark -> the rank of its combining class (1 is the lowest), by the `tokenizers` library."""
    decompose = normalizers.NFD().normalize_str
    marks = [_HIGHEST]
    for block in codepoint_blocks():
        # A mark of a lower class moves before the highest; nothing else moves.
        text = _HIGHEST + _HIGHEST.join(block)
        if decompose(text) != text:
            marks.extend(each for each in block if decompose(_HIGHEST + each) == each + _HIGHEST)
    ordered = decompose("".join(marks))
    ranks, rank = {ordered[0]: 1}, 1
    for lower, mark in itertools.pairwise(ordered):
        rank += decompose(mark + lower) != mark + lower
        ranks[mark] = rank
    return ranks
