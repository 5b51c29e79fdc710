"""Disentangled attention (https://arxiv.org/abs/2006.03654, section 3.1).

A weight depends on the contents of query and key, on the query's content and the distance to the
key (c2p), and on the key's content and that distance (p2c). A distance is the query's position
minus the key's. R is the number of table rows that the distances of a batch need.
"""

import abc
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from encoders.core.attention.attention import Attention
from encoders.core.attention.relative import shift
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm, Linear
from encoders.core.layout.layout import Layout


class Near(NamedTuple):
    """The distances that occur within a sequence.

    Attributes:
        vectors: float32 [R, D].
        falling: int32 [2 * S], for the distances S - 1 ... -S their places in `vectors`.
        rising: int32 [2 * S], for the distances 1 - S ... S.
    """

    vectors: tf.Tensor
    falling: tf.Tensor
    rising: tf.Tensor


class Distances(tf.Module):
    """The vectors of distances."""

    def __init__(
        self, rows: npt.NDArray[np.int32], table: Embedding, layer_norm: LayerNorm | None = None
    ) -> None:
        """Takes the parts.

        Args:
            rows: [2 * P + 1], for the distances -P ... P their rows of the table, never falling.
            table: a vector a row.
            norm: normalises the vectors.
        """
        super().__init__()
        self.rows = rows
        self.table = table
        self.layer_norm = layer_norm

    def __call__(self, layout: Layout) -> Near:
        """Takes only the rows that this length needs, few if it is far below P."""
        near = tf.range(-layout.length, layout.length + 1) + len(self.rows) // 2
        places = tf.gather(self.rows, near)
        first, last = places[0], places[-1]
        vectors = self.table[first : last + 1]
        return Near(
            vectors if self.layer_norm is None else self.layer_norm(vectors),
            falling=tf.reverse(places[:-1] - first, [0]),
            rising=places[1:] - first,
        )


class DisentangledAttention(Attention):
    """Attention with the terms `c2p` and `p2c`; how it projects is left to the architecture."""

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        terms: int,
        distances: Distances | None,
        distance_dropout: Dropout,
    ) -> None:
        """Takes sizes and parts.

        Args:
            width: D.
            heads: H.
            dropout: the rate for the weights.
            terms: how many terms of distance the scale of the scores allows for.
            distances: shared by all blocks; None where they are without effect.
            distance_dropout: for the vectors of distances.
        """
        super().__init__(width, heads, dropout)
        self.scale = (self.head_width * (1 + terms)) ** -0.5
        self.distances = distances
        self.distance_dropout = distance_dropout

    @abc.abstractmethod
    def distance_projections(self) -> tuple[Linear | None, Linear | None]:
        """What makes keys for c2p and queries for p2c of distances; None leaves the term out."""

    def scores(self, query: tf.Tensor, key: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """Scaled query and key, both [B, H, S, K] -> the logits of the weights, [B, H, S, S]."""
        scores = tf.matmul(query, key, transpose_b=True)
        if self.distances is not None:
            near = layout.once(self.distances)
            vectors = self.distance_dropout(near.vectors, training)
            to_key, to_query = self.distance_projections()
            if to_key is not None:
                keys = self._columns(to_key(vectors), near.falling)
                scores += shift(tf.matmul(query, keys), layout.length)
            if to_query is not None:
                queries = self._columns(to_query(vectors) * self.scale, near.rising)
                shifted = shift(tf.matmul(key, queries), layout.length)
                scores += tf.transpose(shifted, [0, 1, 3, 2])
        return tf.where(layout.once(_attends), scores, tf.float32.min)

    def _columns(self, projected: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """[R, D], int32 [2 * S] -> [H, K, 2 * S]."""
        return tf.transpose(self.split(tf.gather(projected, places)), [1, 2, 0])


def _attends(layout: Layout) -> tf.Tensor:
    """Which query attends to which key, bool [B, 1, S, S]: padding to nothing, as in the source."""
    real = tf.equal(layout.bias, 0.0)
    return tf.logical_and(real, tf.transpose(real, [0, 1, 3, 2]))


class MaskedEmbeddings(Embeddings):
    """Embeddings that are projected before they are normalised, and are zero for padding."""

    layer_norm: LayerNorm

    def __call__(self, word_ids: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """int32 [B, S] -> float32 [N, D]."""
        x = self.sum(word_ids, layout, training)
        x = x if self.projection is None else self.projection(x)
        return self.dropout(self.layer_norm(x) * layout.real, training)
