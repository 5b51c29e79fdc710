"""Where the words of a text are, and where a word may be cut because no piece goes across.

Shapes: w words; N nodes, one before each word and one after each character; K characters that no
piece is longer than.
"""

from typing import NamedTuple

import tensorflow as tf

from preprocess.graph.lanes import count, marks, positions

_UNCUT = 1024


class WordNodes(NamedTuple):
    """Where the words of a flat text are.

    Attributes:
        firsts: int32 [w], the node before each word.
        lasts: int32 [w], the last node of each word.
        owners: int32 [N], the word of each node.
    """

    firsts: tf.Tensor
    lasts: tf.Tensor
    owners: tf.Tensor


def borders(pieces: tf.Tensor, words: WordNodes, chosen: tf.Tensor) -> tf.Tensor:
    """Whether a node is inside one of the chosen words and no piece goes across it, bool [N]."""
    size = tf.size(words.owners)
    chosen = tf.gather(chosen, words.owners)
    nodes = positions(chosen)
    lengths = tf.where(tf.gather(pieces, nodes) > 0, tf.range(tf.shape(pieces)[1], 0, -1), 1)
    # A piece goes across all nodes but the one that it starts from and the one that it ends at.
    begins = nodes - tf.reduce_max(lengths, axis=1) + 1
    across = tf.cumsum(count(begins, size) - count(nodes, size))
    outer = marks(tf.concat([words.firsts, words.lasts], 0), size)
    return chosen & ~outer & tf.equal(across, 0)


def uncut(words: WordNodes, inner: tf.Tensor) -> tf.Tensor:
    """Whether words have over `_UNCUT` characters between two of the borders `inner`, bool [w]."""
    outer = marks(tf.concat([words.firsts, words.lasts], 0), tf.size(inner))
    nodes = positions(inner | outer)
    far = tf.boolean_mask(nodes[1:], nodes[1:] - nodes[:-1] > _UNCUT)
    return marks(tf.gather(words.owners, far), tf.size(words.firsts))
