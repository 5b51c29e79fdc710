"""Viterbi's algorithm on long words that nothing cuts, block by block in parallel.

Scores add up with roundings, one after the other, and what the source chooses may depend on them.
But between two powers of two all sums are multiples of one unit u, and adding a score is exact once
the score is rounded to u: additions may then be done in any order. So:

1. `advance` each block from each of the K nodes before it: what it makes of any start, roughly.
2. `chain` the blocks: where each starts, roughly, and so its u.
3. The same two steps with rounded scores: where each starts, to the last bit. A few blocks are gone
   through by themselves: those in which sums pass a power of two, or a score lies just between two
   multiples of u, so that the sum decides which one it becomes.
4. `advance` each block from its start, with the scores as they are.

If each block ends with the scores that the next one started from, all are the source's, by
induction. Otherwise nothing is settled.

Shapes: N nodes, one before each word and one after each character; w words; K characters that no
piece is longer than; B blocks of L nodes.
"""

from typing import NamedTuple

import tensorflow as tf

from preprocess.graph.lanes import marks, positions, repeat_index
from preprocess.unigram.block_scores import advance, chain, rounded, single

_LENGTH = 64


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
    starts, ends = chain(gains, gains, blocks.begins, tf.zeros_like(blocks.begins))
    additive, alone = rounded(gains, tf.concat([starts, ends], 1))
    starts, ends = chain(gains, additive, blocks.begins, alone)
    reached, places = advance(gains, starts[:, tf.newaxis])
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
    return tf.where(blocks.inside[:, :, tf.newaxis], gains, single(longest))


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
