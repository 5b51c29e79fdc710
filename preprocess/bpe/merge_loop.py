"""The merges of BPE (https://arxiv.org/abs/1508.07909), in few rounds over all words at once.

BPE merges, again and again, the neighbours of the lowest rank, the leftmost first. A round here
does every merge of which it is certain that BPE does it too, whatever it does in between.

Let every rule come after those that make its parts (`MergeTable.monotone`): BPE then merges in
ascending order of rank. Let x and y be neighbours with a rule of rank r, and l the symbol before x.
Only a merge of x with what then stands before it can part them from the left:

    l itself           its rank is known;
    longer, ends in l  its rank is at least `left_grown` of l and x, and higher than that of the
                       merge that made l longer, so than the lowest rank in the word.

The same holds from the right. If all these exceed r, nothing takes x or y before BPE merges them.
The lowest rank in the word always passes, so every round makes progress. Of equal ranks, as in
`x x x x`, the leftmost goes first: where the first pair of such a run passes, every other one does.

A pair that no rule joins, however its two symbols grow, is a wall. What is on one side does not
matter to the other, and "in the word" above may as well be "between two walls": a word of any
length takes about as many rounds as its longest piece has merges on top of each other.

A table that is not monotone takes one merge a round and word: the leftmost of the lowest rank.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from preprocess.bpe.merge_rules import NEVER, compile_merges
from preprocess.graph.neighbours import from_left, from_right
from preprocess.graph.tables import static_table

_WALL, _NO_RULE = 0, 1
"""Rows of the table before those of its pairs: never to be joined, and not to be as it is."""


class _State(NamedTuple):
    """The symbols that may still change, and those that no longer do; int32 all.

    Attributes:
        symbols: [m], ids.
        places: [m], the first symbol of each when the loop began.
        pairs: [m], the row of the table for each with its next one.
        settled: [k], ids.
        settled_places: [k].
    """

    symbols: tf.Tensor
    places: tf.Tensor
    pairs: tf.Tensor
    settled: tf.Tensor
    settled_places: tf.Tensor


class MergeLoop(tf.Module):
    """Merges the symbols of words into pieces."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        """Compiles the serialised model.

        Raises:
            UnsupportedTokenizerError: a merge rule cannot be followed exactly.
        """
        super().__init__()
        table = compile_merges(model)
        self._choose = _certain if table.monotone else _leftmost
        self._size = max(model["vocab"].values(), default=0) + 1
        keys = table.pairs.astype(np.int64) @ [self._size, 1]
        rows = np.arange(len(keys)) + _NO_RULE + 1
        default = _WALL if table.monotone else _NO_RULE
        self._pairs = static_table(keys, rows, tf.int64, default)
        self._rows = tf.concat([[[NEVER, NEVER, NEVER, 0]] * 2, table.rows], 0)

    def __call__(self, symbols: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
        """Merges within words.

        Args:
            symbols: int32 [m], ids.
            words: int32 [m], ascending, the word of each.

        Returns:
            int32 [m], the id of the piece that begins at each symbol; negative where none does.
        """
        pairs = self._lookup(symbols, from_right(symbols))
        pairs = tf.where(tf.equal(words, from_right(words, -1)), pairs, _WALL)
        none = tf.zeros([0], tf.int32)
        state = _State(symbols, tf.range(tf.size(symbols)), pairs, none, none)
        state = tf.while_loop(
            lambda *state: tf.reduce_any(_State(*state).pairs > _NO_RULE),
            lambda *state: self._round(_State(*state)),
            state,
            shape_invariants=_State(*[tf.TensorShape([None])] * 5),
        )
        pieces = tf.concat([state.settled, state.symbols], 0)
        places = tf.concat([state.settled_places, state.places], 0)
        return tf.math.unsorted_segment_max(pieces, places, tf.size(symbols))

    def _round(self, state: _State) -> _State:
        """Merges what is chosen, and lets go of the symbols between walls without a rule."""
        symbols, places, pairs, settled, settled_places = state
        rows = tf.gather(self._rows, pairs)
        rank, left_grown, right_grown, product = tf.unstack(rows, axis=1)
        part = tf.cumsum(tf.cast(tf.equal(pairs, _WALL), tf.int32), exclusive=True)
        lowest = _least(rank, part)
        chosen = self._choose(rank, lowest, left_grown, right_grown, part)

        ready = _indices(lowest >= NEVER)
        settled = tf.concat([settled, tf.gather(symbols, ready)], 0)
        settled_places = tf.concat([settled_places, tf.gather(places, ready)], 0)

        kept = _indices((lowest < NEVER) & ~from_left(chosen))
        symbols = tf.gather(tf.where(chosen, product, symbols), kept)
        pairs = tf.gather(tf.where(chosen, from_right(pairs), pairs), kept)
        places, chosen = tf.gather(places, kept), tf.gather(chosen, kept)
        pairs = self._renew(symbols, pairs, chosen | from_right(chosen))
        return _State(symbols, places, pairs, settled, settled_places)

    def _renew(self, symbols: tf.Tensor, pairs: tf.Tensor, changed: tf.Tensor) -> tf.Tensor:
        """Looks up those of `pairs` anew that changed, int32 [m] and bool [m]; walls stay."""
        places = _indices(changed & tf.not_equal(pairs, _WALL))
        found = self._lookup(tf.gather(symbols, places), tf.gather(symbols, places + 1))
        return tf.dynamic_stitch([tf.range(tf.size(pairs)), places], [pairs, found])

    def _lookup(self, left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        return self._pairs.lookup(tf.cast(left, tf.int64) * self._size + tf.cast(right, tf.int64))


def _certain(
    rank: tf.Tensor,
    lowest: tf.Tensor,
    left_grown: tf.Tensor,
    right_grown: tf.Tensor,
    _: tf.Tensor,
) -> tf.Tensor:
    """The pairs whose merge is certain by the rule above; no two of them share a symbol.

    Args:
        rank: int32 [m], of each symbol with its next; `NEVER` at walls, so also at the end.
        lowest: int32 [m], the lowest rank between the same two walls.
        left_grown: int32 [m], of the pair, see `MergeTable`.
        right_grown: int32 [m], of the pair, see `MergeTable`.

    Returns:
        bool [m].
    """
    before = from_left(tf.minimum(rank, tf.maximum(left_grown, lowest + 1)), NEVER)
    after = from_right(tf.minimum(rank, tf.maximum(right_grown, lowest + 1)))
    free = (rank <= after) & (rank < NEVER)
    first = free & (rank < before)
    repeated = free & tf.equal(rank, before) & tf.equal(rank, from_left(rank))
    return tf.cond(tf.reduce_any(repeated), lambda: _every_other(first, repeated), lambda: first)


def _every_other(first: tf.Tensor, repeated: tf.Tensor) -> tf.Tensor:
    """Chooses every other pair of each run that begins with a `first` one, bool [m] thrice."""
    places = tf.range(tf.size(first))
    begins = ~(repeated & from_left(first | repeated))
    run = tf.cumsum(tf.cast(begins, tf.int32)) - 1
    begin = tf.gather(_indices(begins), run)
    return (first | repeated) & tf.gather(first, begin) & tf.equal((places - begin) % 2, 0)


def _leftmost(
    rank: tf.Tensor, lowest: tf.Tensor, _: tf.Tensor, __: tf.Tensor, part: tf.Tensor
) -> tf.Tensor:
    """The leftmost pair of the lowest rank between two walls; which two is int32 `part` [m]."""
    places = tf.range(tf.size(rank))
    candidates = tf.where(tf.equal(rank, lowest) & (rank < NEVER), places, NEVER)
    return tf.equal(places, _least(candidates, part))


def _least(values: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
    """The least value of the part that each is in: int32 [m] twice -> int32 [m]."""
    return tf.gather(tf.math.unsorted_segment_min(values, part, tf.size(part)), part)


def _indices(chosen: tf.Tensor) -> tf.Tensor:
    """bool [m] -> int32 [k]."""
    return tf.cast(tf.where(chosen)[:, 0], tf.int32)
