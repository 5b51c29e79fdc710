"""Viterbi's algorithm on long words that nothing cuts, block by block in parallel.

Scores add up with roundings, one after the other, and what the source chooses may depend on them.
But between two powers of two all sums are multiples of one unit u, and adding a score is exact once
the score is rounded to u: additions may then be done in any order. So:

1. `_advance` each block from each of the K nodes before it: what it makes of any start, roughly.
2. `_chain` the blocks: where each starts, roughly, and so its u.
3. The same two steps with rounded scores: where each starts, to the last bit. The few blocks in
   which sums pass a power of two are gone through one by one.
4. `_advance` each block from its start, with the scores as they are.

If each block ends with the scores that the next one started from, all are the source's, by
induction. Otherwise, as where a score lies just between two multiples of u, nothing is settled.

Shapes: N nodes, one before each word and one after each character; w words; K characters that no
piece is longer than; B blocks of L nodes.
"""

from typing import NamedTuple

import tensorflow as tf

from preprocess.core.lanes import marks, positions, repeat_index

_LENGTH = 64
_EXPONENT = 0x7FF << 52
_UNIT = 2.0**-52


class Blocks(NamedTuple):
    """Words in blocks, each beginning with a block of its own.

    Attributes:
        nodes: int32 [B, L].
        inside: bool [B, L], whether the node is still in the word.
        begins: bool [B, 1], whether the block is the first of its word.
    """

    nodes: tf.Tensor
    inside: tf.Tensor
    begins: tf.Tensor


def solve_blocks(
    pieces: tf.Tensor, scores: tf.Tensor, firsts: tf.Tensor, lasts: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Finds the best path of each word; of equals, that with the longest last piece.

    Args:
        pieces: int32 [N, K], as for `lattice.solve`.
        scores: float64 [numbers], of the pieces; that of 0 is -inf.
        firsts: int32 [w], the node before each word.
        lasts: int32 [w], the last node of each.

    Returns:
        The ends and lengths of paths as in `lattice.Path`, bool [N] and int32 [N]; and whether they
        are settled, bool. If not, there are none.
    """
    total, longest = tf.unstack(tf.shape(pieces))
    blocks = _lay_out(firsts, lasts)
    gains = _gains(pieces, scores, blocks)
    starts, ends = _chain(gains, gains, blocks.begins, tf.zeros_like(blocks.begins))
    rounded, alone = _rounded(gains, tf.concat([starts, ends], 1))
    starts, ends = _chain(gains, rounded, blocks.begins, alone)
    reached, places = _advance(gains, starts[:, tf.newaxis])
    settled = tf.reduce_all(tf.equal(reached[:, 0], ends))
    nodes = tf.boolean_mask(blocks.nodes, blocks.inside)[:, tf.newaxis]
    lengths = longest - tf.boolean_mask(places[:, 0], blocks.inside)
    lengths = tf.scatter_nd(nodes, tf.where(settled, lengths, 0), [total])
    return _trace(lengths, lasts) & (lengths > 0), lengths, settled


def _lay_out(firsts: tf.Tensor, lasts: tf.Tensor) -> Blocks:
    """Words, int32 [w] twice, in blocks."""
    counts = (lasts - firsts + _LENGTH - 1) // _LENGTH
    word = repeat_index(counts)
    place = tf.range(tf.size(word)) - tf.gather(tf.cumsum(counts, exclusive=True), word)
    first = tf.gather(firsts, word) + 1 + _LENGTH * place
    nodes = first[:, tf.newaxis] + tf.range(_LENGTH)
    inside = nodes <= tf.gather(lasts, word)[:, tf.newaxis]
    return Blocks(nodes, inside, tf.equal(place, 0)[:, tf.newaxis])


def _gains(pieces: tf.Tensor, scores: tf.Tensor, blocks: Blocks) -> tf.Tensor:
    """The scores of the pieces that end at each node, float64 [B, L, K]; 0 fills blocks up."""
    longest = tf.shape(pieces)[1]
    gains = tf.gather(scores, tf.gather(pieces, tf.where(blocks.inside, blocks.nodes, 0)))
    return tf.where(blocks.inside[:, :, tf.newaxis], gains, _single(longest))


def _single(size: tf.Tensor) -> tf.Tensor:
    """One way to go on, or to have come so far: -inf but for a last 0, float64 [size]."""
    return tf.math.log(tf.one_hot(size - 1, size, dtype=tf.float64))


def _advance(gains: tf.Tensor, windows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Goes through all blocks at once.

    Args:
        gains: float64 [B, L, K].
        windows: float64 [B, e, K], the scores of the K nodes before each block, in e versions.

    Returns:
        The scores of the last K nodes, float64 [B, e, K]; the column of the best piece that ends at
        each node, int32 [B, e, L].
    """
    places = tf.TensorArray(tf.int32, _LENGTH, element_shape=[None, None])

    def step(
        at: tf.Tensor, windows: tf.Tensor, places: tf.TensorArray
    ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
        sums = windows + gains[:, at, tf.newaxis]
        # Of equals, top_k gives the first; that is the longest piece.
        score, place = tf.math.top_k(sums, 1)
        windows = tf.concat([windows[:, :, 1:], score], 2)
        return at + 1, windows, places.write(at, place[:, :, 0])

    shapes = tf.TensorShape([]), tf.TensorShape([None] * 3), None
    _, windows, places = tf.while_loop(
        lambda at, *_: at < _LENGTH, step, (0, windows, places), shape_invariants=shapes
    )
    return windows, tf.transpose(places.stack(), [1, 2, 0])


def _rounded(gains: tf.Tensor, around: tf.Tensor) -> tf.Tensor:
    """Rounds scores to what sums change by.

    Args:
        gains: float64 [B, L, K].
        around: float64 [B, 2 K], the sums before and behind each block, roughly.

    Returns:
        The rounded scores, float64 [B, L, K]; the blocks in which sums may change by something
        else, bool [B, 1].
    """
    power = _power(around)
    unit = _UNIT * power[:, -1:, tf.newaxis]
    exact = gains / unit
    rounded = tf.round(exact)
    uneven = tf.reduce_any(tf.not_equal(power, power[:, -1:]), 1, keepdims=True)
    tied = tf.reduce_any(tf.equal(tf.abs(exact - rounded), 0.5), [1, 2])
    return rounded * unit, uneven | tied[:, tf.newaxis]


def _chain(
    gains: tf.Tensor, additive: tf.Tensor, begins: tf.Tensor, alone: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The scores of the K nodes before each block, and of the last K ones there.

    Args:
        gains: float64 [B, L, K].
        additive: float64 [B, L, K], the same, such that they may be added in any order.
        begins: bool [B, 1], whether a block begins a word.
        alone: bool [B, 1], whether it is gone through by itself, with `gains`.

    Returns:
        float64 [B, K] twice.
    """
    count, longest = tf.shape(gains)[0], tf.shape(gains)[2]
    each = tf.math.log(tf.eye(longest, batch_shape=[count], dtype=tf.float64))
    through, _ = _advance(additive, each)
    fresh = _single(longest)

    def step(ends: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
        start = tf.where(begins[at], fresh, ends)
        return tf.cond(
            alone[at, 0],
            lambda: _advance(gains[at : at + 1], start[tf.newaxis, tf.newaxis])[0][0, 0],
            lambda: tf.reduce_max(start[:, tf.newaxis] + through[at], 0),
        )

    ends = tf.scan(step, tf.range(count), fresh)
    before = tf.concat([fresh[tf.newaxis], ends[:-1]], 0)
    return tf.where(begins, fresh, before), ends


def _power(scores: tf.Tensor) -> tf.Tensor:
    """The power of two at or below the size of each score, float64."""
    bits = tf.bitwise.bitwise_and(tf.bitcast(scores, tf.int64), tf.constant(_EXPONENT, tf.int64))
    return tf.bitcast(bits, tf.float64)


def _trace(lengths: tf.Tensor, lasts: tf.Tensor) -> tf.Tensor:
    """Marks the ways back from the last nodes, bool [N], in jumps of powers of two.

    Args:
        lengths: int32 [N], how far it goes back from each node; 0 where it ends.
        lasts: int32 [w].
    """
    places = tf.range(tf.size(lengths))
    _, found = tf.while_loop(
        lambda jump, _: tf.reduce_any(tf.gather(lengths, jump) > 0),
        lambda jump, found: (
            tf.gather(jump, jump),
            found | marks(tf.gather(jump, positions(found)), tf.size(lengths)),
        ),
        (places - lengths, marks(lasts, tf.size(lengths))),
    )
    return found
