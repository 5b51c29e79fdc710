"""Canonical order of combining marks (https://www.unicode.org/reports/tr15).

Decomposition also sorts the marks that follow a character by their combining class. A map of
single codepoints cannot do that; it matters only where two marks that survive the normalizer stand
together in another order, which a regular expression finds.
"""

import itertools
from collections.abc import Collection

import numpy as np
import tensorflow as tf
from tokenizers import normalizers

from preprocess.core.codepoints import CodepointMap, blocks, character_class, probe_normalizer
from preprocess.core.normalizer import CodepointStep
from preprocess.core.rows import contains, on_rows
from preprocess.core.steps import Aligned, Step, lookup, spread

_HIGHEST = "\u0345"
"""The only mark of the last combining class, 240."""


class CanonicalOrder(Step):
    """Cleans, decomposes and sorts text: the first steps of a normalizer that decomposes.

    Attributes:
        characters: those without which nothing needs sorting.
    """

    def __init__(self, cleaned: Collection[str], normal: CodepointMap) -> None:
        """Prepares the steps.

        Args:
            cleaned: the characters that the normalizer deletes before it decomposes.
            normal: the whole normalizer as a map, which tells what marks survive it.
        """
        super().__init__()
        classes = combining_classes()
        surviving = {mark for mark in classes if normal.get(mark) != ""}
        decomposed = probe_normalizer(normalizers.NFD().normalize_str)
        carriers = [old for old, form in decomposed.items() if surviving & set(form)]
        kept = character_class(surviving.union(carriers))
        passed = [old for old, form in decomposed.items() if classes.keys() >= set(form)]
        self.characters = surviving.union(carriers)
        self._trigger = f"{kept}{character_class({*classes, *cleaned, *passed})}*{kept}"
        self._decompose = CodepointStep({**decomposed, **dict.fromkeys(cleaned, "")})
        marks = sorted(classes)
        self._marks = np.array([ord(mark) for mark in marks], np.int32)
        self._classes = np.array([classes[mark] for mark in marks], np.int64)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        # Elsewhere the codepoint map that follows does the same.
        return on_rows(contains(x, self._trigger), lambda rows: self.align(rows).text, x)

    def align(self, x: tf.Tensor) -> Aligned:
        decomposed, sources, _ = self._decompose.align(x)
        points, starts = tf.strings.unicode_decode_with_offsets(decomposed, "UTF-8")
        rows = points.value_rowids()
        source = lookup(sources, rows, starts.values)
        at = tf.minimum(tf.searchsorted(self._marks, points.values), len(self._marks) - 1)
        is_mark = tf.equal(tf.gather(self._marks, at), points.values)
        rank = tf.where(is_mark, tf.gather(self._classes, at), 0)
        # Whatever is no mark starts the next run; a stable sort then orders each run by class.
        run = tf.cumsum(tf.cast(~is_mark, tf.int64))
        order = tf.argsort((rows + run) * 256 + rank, stable=True)
        # As in the source, characters move and their places stay: those that came first from
        # their character take the places in turn, the others share that of the one before.
        leads = _differs(rows) | _differs(source)
        place = tf.cumsum(tf.cast(tf.gather(leads, order), tf.int32)) - 1
        source = tf.gather(tf.boolean_mask(source, leads), place)
        return spread(points.with_values(tf.gather(points.values, order)), source, source)


def _differs(x: tf.Tensor) -> tf.Tensor:
    """Whether each element of int64 [n] differs from the one before it; the first does."""
    return tf.concat([tf.ones_like(x[:1], tf.bool), x[1:] != x[:-1]], axis=0)


def combining_classes() -> dict[str, int]:
    """Mark -> the rank of its combining class (1 is the lowest), by the `tokenizers` library."""
    decompose = normalizers.NFD().normalize_str
    marks = [_HIGHEST]
    for block in blocks():
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
