"""The best path through the pieces of a text, as exact as the source's own.

Viterbi's recursion, a step in all words at once: to each character the score of the best path, and
the last piece of that path, the longest one of equals, as the source has it.

Why the result is exact. The source adds up float64 scores from the start of a word; a word of up to
64 characters is done likewise, with the same roundings. A longer word is cut where no piece goes
across. Every path passes there, so that what lies before adds the same to all that come after, and
only the rounding can differ. A sum of up to n scores of at most m in size is off by at most
n * n * m * 2**-53. The source compares two of them, and so do the parts: where a piece of the path
is ahead of all others by four times that much, the source takes it too. Words in which one is not
are done again, uncut.

Shapes: w words; N nodes, one before each word and one after each character; K characters that no
piece is longer than; P pieces on the path; u units, words or parts of words.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from preprocess.core.lanes import count, lay_out, marks, positions

_LONG = 64


class Words(NamedTuple):
    """Where the words of a flat text are.

    Attributes:
        firsts: int32 [w], the node before each word.
        lasts: int32 [w], the last node of each word.
        owners: int32 [N], the word of each node.
    """

    firsts: tf.Tensor
    lasts: tf.Tensor
    owners: tf.Tensor


class Path(NamedTuple):
    """Best paths of some of the words; zeros at the nodes of all others.

    Attributes:
        ends: bool [N], whether a piece of the path ends at a node.
        lengths: int32 [N], of the last piece of the best path to each node.
        scores: float64 [N], of the best path to each node.
    """

    ends: tf.Tensor
    lengths: tf.Tensor
    scores: tf.Tensor


class BestPath(tf.Module):
    """Finds the path of the highest score."""

    def __init__(self, scores: Sequence[float]) -> None:
        """Takes the score of each number of a piece; number 0, no piece, is left out."""
        super().__init__()
        self._scores = tf.constant([-math.inf, *scores], tf.float64)
        self._largest = max(map(abs, scores))

    def __call__(self, pieces: tf.Tensor, words: Words) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the best path of each word.

        Args:
            pieces: int32 [N, K], at [n, K - length] the number of the piece of this length that
                ends at node n, or 0. There is one of length 1 at each node that is in a word.
            words: where the words are.

        Returns:
            ends: int32 [P], the nodes at which the pieces of all words end.
            lengths: int32 [P], of these pieces.
        """
        long = words.lasts - words.firsts > _LONG
        path = self._solve(pieces, *_where(~long, words.firsts, words.lasts))

        def with_long() -> tuple[tf.Tensor, tf.Tensor]:
            other = self._solve_long(pieces, words, long)
            return path.ends | other.ends, path.lengths + other.lengths

        ends, lengths = tf.cond(tf.reduce_any(long), with_long, lambda: (path.ends, path.lengths))
        ends = positions(ends)
        return ends, tf.gather(lengths, ends)

    def _solve_long(self, pieces: tf.Tensor, words: Words, long: tf.Tensor) -> Path:
        """The paths of the long words, bool [w]: by parts, then whole where that is not certain."""
        within = _borders(pieces, words, long)
        size = tf.size(words.owners)
        firsts, lasts = _where(long, words.firsts, words.lasts)
        first = within | marks(firsts, size)
        path = self._solve(pieces, positions(first), positions(within | marks(lasts, size)))
        sum_length = tf.cast(tf.reduce_max(lasts - firsts), tf.float64)
        margin = 4 * sum_length**2 * self._largest * 2.0**-53
        close = self._close(pieces, path, first, margin)
        doubtful = marks(tf.gather(words.owners, close), tf.size(words.firsts))

        def again() -> Path:
            whole = self._solve(pieces, *_where(doubtful, words.firsts, words.lasts))
            chosen = tf.gather(doubtful, words.owners)
            return Path(*(tf.where(chosen, *each) for each in zip(whole, path, strict=True)))

        return tf.cond(tf.size(close) > 0, again, lambda: path)

    def _solve(self, pieces: tf.Tensor, firsts: tf.Tensor, lasts: tf.Tensor) -> Path:
        """Viterbi's algorithm in each unit by itself.

        Args:
            pieces: int32 [N, K].
            firsts: int32 [u], the node from which each unit starts, with the score 0.
            lasts: int32 [u], the last node of each unit.
        """
        scores, lengths = self._recursion(pieces, firsts, lasts)
        return Path(_trace(lengths, firsts, lasts), lengths, scores)

    def _recursion(
        self, pieces: tf.Tensor, firsts: tf.Tensor, lasts: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Score of the best path to each node, float64 [N]; length of its last piece, int32 [N]."""
        lanes = lay_out(firsts, lasts)
        total, longest = tf.unstack(tf.shape(pieces))
        steps = tf.size(lanes.sizes)
        nodes = _array(tf.int32, steps).split(lanes.nodes, lanes.sizes)
        nearest = tf.fill(tf.shape(firsts), longest - 1)
        window = tf.one_hot(nearest, longest, 0.0, -math.inf, dtype=tf.float64)

        def advance(
            step: tf.Tensor, window: tf.Tensor, scores: tf.TensorArray, places: tf.TensorArray
        ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
            """Goes one character on; `window` has the scores of the last K nodes of each lane."""
            gains = tf.gather(self._scores, tf.gather(pieces, nodes.read(step)))
            window = tf.slice(window, [0, 0], tf.shape(gains))
            # Of equals, top_k gives the first, which is the longest.
            best, place = tf.math.top_k(window + gains, 1)
            window = tf.concat([window[:, 1:], best], 1)
            return step + 1, window, scores.write(step, best), places.write(step, place)

        _, _, scores, places = tf.while_loop(
            lambda step, *_: step < steps,
            advance,
            (0, window, _array(tf.float64, steps, 1), _array(tf.int32, steps, 1)),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None]), None, None),
        )
        where = lanes.nodes[:, tf.newaxis]
        return (
            tf.scatter_nd(where, scores.concat()[:, 0], [total]),
            tf.scatter_nd(where, longest - places.concat()[:, 0], [total]),
        )

    def _close(
        self, pieces: tf.Tensor, path: Path, first: tf.Tensor, margin: tf.Tensor
    ) -> tf.Tensor:
        """The ends on the path whose piece is not ahead of another by more than a margin."""
        ends = positions(path.ends)
        longest = tf.shape(pieces)[1]
        starts = ends[:, tf.newaxis] + tf.range(-longest, 0)
        before = tf.gather(tf.where(first, tf.constant(0, tf.float64), path.scores), tf.maximum(starts, 0))
        through = before + tf.gather(self._scores, tf.gather(pieces, ends))
        lead = tf.gather(path.scores, ends)[:, tf.newaxis] - through
        rivals = tf.reduce_sum(tf.cast(lead <= margin, tf.int32), axis=1)
        return tf.boolean_mask(ends, rivals > 1)


def _trace(lengths: tf.Tensor, firsts: tf.Tensor, lasts: tf.Tensor) -> tf.Tensor:
    """Whether a piece of the best path of a unit ends at a node, bool [N]."""
    first = marks(firsts, tf.size(lengths))

    def step_back(
        step: tf.Tensor, nodes: tf.Tensor, found: tf.TensorArray
    ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
        before = nodes - tf.gather(lengths, nodes)
        before = tf.boolean_mask(before, ~tf.gather(first, before))
        return step + 1, before, found.write(step, nodes)

    _, _, found = tf.while_loop(
        lambda step, nodes, _: tf.size(nodes) > 0,
        step_back,
        (0, tf.boolean_mask(lasts, lasts > firsts), _array(tf.int32, 0)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), None),
    )
    return marks(found.concat(), tf.size(lengths))


def _borders(pieces: tf.Tensor, words: Words, long: tf.Tensor) -> tf.Tensor:
    """Whether a node is within a long word and no piece goes across it, bool [N]."""
    size = tf.size(words.owners)
    nodes = positions(tf.gather(long, words.owners))
    lengths = tf.where(tf.gather(pieces, nodes) > 0, tf.range(tf.shape(pieces)[1], 0, -1), 1)
    # A piece lies across the nodes after the one that it starts from and before its end.
    begins = nodes - tf.reduce_max(lengths, axis=1) + 1
    across = tf.cumsum(count(begins, size) - count(nodes, size))
    outer = marks(tf.concat([words.firsts, words.lasts], 0), size)
    return tf.equal(across, 0) & tf.gather(long, words.owners) & ~outer


def _where(mask: tf.Tensor, *tensors: tf.Tensor) -> tuple[tf.Tensor, ...]:
    return tuple(tf.boolean_mask(each, mask) for each in tensors)


def _array(dtype: tf.DType, size: tf.Tensor | int, *inner: int) -> tf.TensorArray:
    """An array of tensors of [any, *inner]."""
    shape = [None, *inner]
    return tf.TensorArray(dtype, size, dynamic_size=True, infer_shape=False, element_shape=shape)
