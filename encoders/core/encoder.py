"""The encoder: embeddings, blocks, and an optional pooler."""

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import tensorflow as tf

from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Linear, Norm
from encoders.core.config import Dimensions
from encoders.core.layout.layout import Layout, Padded, first_token

Block = Callable[[tf.Tensor, Layout, bool], tf.Tensor]
Blocks = Iterable[Block]
AddedScores = Callable[[Layout], tf.Tensor]
TokenOfRow = Callable[[Layout, tf.Tensor], tf.Tensor]


class Encoded(NamedTuple):
    """What an encoder computes, all float32.

    Attributes:
        pooled: [B, D], one vector a row.
        sequence: [B, S, D], the output of the last block; without any, that of the embeddings.
        layers: L times [B, S, D], the output of each block; of the last one, normalised if the
            encoder ends with a norm.
    """

    pooled: tf.Tensor
    sequence: tf.Tensor
    layers: list[tf.Tensor]


class Inside(NamedTuple):
    """What an encoder computes on the way, all float32.

    Attributes:
        encoded: its outputs.
        embedded: [B, S, D], what the first block gets.
        attentions: of each attention the weights of its heads, [B, H, S, S]; one a layer, but in
            ALBERTs whose layers consist of several blocks.
    """

    encoded: Encoded
    embedded: tf.Tensor
    attentions: list[tf.Tensor]


class Pooler(tf.Module):
    """A dense layer with tanh over the first token's vector (BERT's next-sentence head)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = Linear(width, width)

    def __call__(self, first: tf.Tensor) -> tf.Tensor:
        return tf.tanh(self.dense(first))


class Encoder(tf.Module):
    """A transformer encoder of text.

    Where there is no pooler, `Encoded.pooled` is the vector of one token, by default the first.
    """

    pooler: Pooler | None
    adapters: Sequence[tf.Module] = ()
    """Those of each block, where it has any; see `bottleneck`."""

    def __init__(
        self,
        dimensions: Dimensions,
        embeddings: Embeddings,
        blocks: Blocks,
        pooler: Pooler | None = None,
        added_scores: AddedScores | None = None,
        layer_norm: Norm | None = None,
        dropout: Dropout | None = None,
        shared: tf.Module | None = None,
        token: TokenOfRow = first_token,
    ) -> None:
        """Takes the parts.

        Args:
            dimensions: the sizes.
            embeddings: the input side.
            blocks: the layers.
            pooler: makes one vector of a row.
            added_scores: computes from the layout what every block adds to its scores, float32
                [1 or B, 1 or H, S, S]: relative positions, a causal mask, a bias of types.
            layer_norm: normalises the output of the last block.
            dropout: of the output of the last block, normalised or not.
            shared: a part that the blocks have in common, kept here to have one name.
            token: takes the vector of one token of each row, [N, D] -> [B, D], for the pooled
                output.
        """
        super().__init__()
        self.dimensions = dimensions
        self.embeddings = embeddings
        self.blocks = blocks
        self.pooler = pooler
        self.added_scores = added_scores
        self.layer_norm = layer_norm
        self.dropout = dropout or Dropout(0.0)
        self.shared = shared
        self.token = token

    def __call__(
        self,
        word_ids: tf.Tensor,
        mask: tf.Tensor,
        type_ids: tf.Tensor | None = None,
        training: bool = False,
        arrange: Callable[[tf.Tensor], Layout] = Padded,
    ) -> Encoded:
        """Encodes a batch; arguments and errors are those of `inside`."""
        return self.inside(word_ids, mask, type_ids, training, arrange).encoded

    def inside(
        self,
        word_ids: tf.Tensor,
        mask: tf.Tensor,
        type_ids: tf.Tensor | None = None,
        training: bool = False,
        arrange: Callable[[tf.Tensor], Layout] = Padded,
        head_mask: tf.Tensor | None = None,
    ) -> Inside:
        """Encodes a batch, and gives what is computed on the way.

        Args:
            word_ids: int32 [B, S]; or float32 [B, S, E], vectors in the place of those of the word
                embedding.
            mask: int32 [B, S], 0 where a position is padding.
            type_ids: int32 [B, S]; None stands for zeros. Without effect in an encoder that has
                no type embedding, or only one type.
            training: whether dropout is active.
            arrange: makes the layout from the mask. With `RealTokens`, nothing is computed for
                padding; S of the outputs is then the end of the longest row, and padding is zero.
            head_mask: float32 [A, H], what the weights of the heads of each attention are
                multiplied by; None for ones.

        Raises:
            tf.errors.InvalidArgumentError: S exceeds `dimensions.positions`, or an id is none of
                the vocabulary's, or of the types', be it padding or not.
        """
        word_ids, mask = self._fitting(tf.convert_to_tensor(word_ids), mask, type_ids)
        layout = arrange(mask)
        layout.word_ids = None if word_ids.dtype.is_floating else word_ids
        layout.type_ids, layout.head_mask = type_ids, head_mask
        if self.added_scores is not None:
            layout = layout.biased(self.added_scores(layout))
        x = self.embeddings(word_ids, layout, training)
        embedded, layers = layout.to_batch(x), []
        for block in self.blocks:
            x = block(x, layout, training)
            layers.append(layout.to_batch(x))
        if self.layer_norm is not None or self.dropout.rate:
            x = x if self.layer_norm is None else self.layer_norm(x)
            x = self.dropout(x, training)
            layers[-1:] = [layout.to_batch(x)]
        token = self.token(layout, x)
        pooled = self.pooler(token) if self.pooler is not None else token
        sequence = layers[-1] if layers else embedded
        return Inside(Encoded(pooled, sequence, layers), embedded, layout.attentions)

    def without_pooler(self) -> "Encoder":
        """The same encoder, of the same variables, whose pooled output is the first token."""
        other = copy.copy(self)
        other.pooler = None
        return other

    def _fitting(
        self, word_ids: tf.Tensor, mask: tf.Tensor, type_ids: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The inputs, unless S is too long or an id is in no table.

        All else is computed from what this returns, so that no look-up beyond a table is made.
        """
        size, length = self.dimensions, tf.shape(word_ids)[1]
        message = [
            "word_ids: the sequence length",
            length,
            "exceeds the number of positions",
            size.positions,
        ]
        checks = [tf.debugging.Assert(length <= size.positions, message)]
        if not word_ids.dtype.is_floating:
            checks.append(_inside("word_ids", word_ids, size.vocabulary))
        if type_ids is not None and size.types > 1:
            checks.append(_inside("type_ids", type_ids, size.types))
        with tf.control_dependencies(checks):
            # XLA drops assertions, but it refuses a slice beyond the end.
            zeros = tf.slice(tf.zeros([size.positions], tf.int32), [0], [length])
            if word_ids.dtype.is_floating:
                return tf.identity(word_ids), mask + zeros
            return word_ids + zeros, tf.identity(mask)


def _inside(name: str, ids: tf.Tensor, rows: int) -> tf.Operation:
    """The check that ids, int32 [B, S], are from 0 to `rows` - 1; padding, too."""
    least, most = tf.reduce_min(ids), tf.reduce_max(ids)
    message = [f"{name}: expected ids from 0 to {rows - 1}, found", least, "to", most]
    return tf.debugging.Assert((least >= 0) & (most < rows), message)
