"""How the tokens of a batch lie in memory while they pass through an encoder.

Embeddings, dense layers and norms see a flat [N, D]; only attention needs to know which tokens
belong together. A layout answers that, so that the parts of an encoder need not.
"""

import abc
import copy
import dataclasses
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import tensorflow as tf

from encoders.core.errors import ConfigError

T = TypeVar("T")


class Layout(abc.ABC):
    """Which of the N tokens stands where in the batch.

    Attributes:
        length: S, a Python int where it is known statically.
        positions: int32 [N], the place of each token in its row.
        is_row: whether the tokens are known to be those of one row, padding included.
        real: float32 [N, 1], 1, or 0 for padding.
        bias: float32 [B, 1 or H, 1 or S, S], added to attention scores: the lowest float for
            padding, else 0 or what `biased` put there.
        word_ids: int32 [B, S or more]; None where vectors are encoded in their place.
        type_ids: int32 [B, S or more]; None stands for zeros.
        head_mask: float32 [A, H], what the weights of each attention's heads are multiplied by,
            of A attentions; None for ones.
        attentions: the weights of each attention so far, float32 [B, H, S, S].
    """

    length: tf.Tensor | int
    positions: tf.Tensor
    is_row: bool = False
    real: tf.Tensor
    bias: tf.Tensor
    word_ids: tf.Tensor | None = None
    type_ids: tf.Tensor | None = None
    head_mask: tf.Tensor | None = None

    def __init__(self) -> None:
        self.attentions: list[tf.Tensor] = []
        self._shared: dict[tuple[Hashable, ...], Any] = {}

    def attending(self, weights: tf.Tensor) -> tf.Tensor:
        """Notes the weights of an attention, float32 [B, H, S, S], its heads masked."""
        if self.head_mask is not None:
            weights *= self.head_mask[len(self.attentions)][:, tf.newaxis, tf.newaxis]
        self.attentions.append(weights)
        return weights

    def masking(self, x: tf.Tensor) -> tf.Tensor:
        """What the heads of the last attention add beside it, [N, H, K], masked as it is."""
        if self.head_mask is None:
            return x
        return x * self.head_mask[len(self.attentions) - 1][:, tf.newaxis]

    def biased(self, scores: tf.Tensor) -> "Layout":
        """The same layout with float32 [1 or B, 1 or H, S, S] added to every block's scores."""
        layout = copy.copy(self)
        layout.bias = self.bias + scores
        return layout

    @abc.abstractmethod
    def to_tokens(self, x: tf.Tensor) -> tf.Tensor:
        """[B, S, ...] -> [N, ...]."""

    @abc.abstractmethod
    def to_batch(self, x: tf.Tensor) -> tf.Tensor:
        """[N, ...] -> [B, S, ...]."""

    @abc.abstractmethod
    def to_heads(self, x: tf.Tensor) -> tf.Tensor:
        """[N, H, K] -> [B, H, S, K]."""

    @abc.abstractmethod
    def from_heads(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, S, K] -> [N, H, K]."""

    @abc.abstractmethod
    def first(self, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [B, D], the first position of each row."""

    @abc.abstractmethod
    def last(self, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [B, D], the last real position of each row; the first one where none is."""

    @abc.abstractmethod
    def at(self, places: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [B, D], of each row the position of its place, int32 [B], if it is no padding.

        For padding it is the first position of the row.
        """

    def once(self, part: Callable[..., T], *arguments: Hashable) -> T:
        """What `part` makes of this layout: computed at the first call, for all blocks.

        Args:
            part: takes the layout, and these arguments.
            arguments: others give something else.
        """
        key = part, *arguments
        if key not in self._shared:
            self._shared[key] = part(self, *arguments)
        shared: T = self._shared[key]
        return shared


class Padded(Layout):
    """Every position of the batch is a token, padding included: N = B * S.

    Nothing depends on the values of the mask, so that XLA can compile it.
    """

    def __init__(self, mask: tf.Tensor) -> None:
        """Takes the mask, int32 [B, S]."""
        super().__init__()
        static, dynamic = mask.shape, tf.shape(mask)
        self._batch, self.length = (
            dynamic[axis] if static[axis] is None else static[axis] for axis in (0, 1)
        )
        self.positions = tf.tile(tf.range(self.length), [self._batch])
        self.is_row = static[0] == 1
        padding = tf.equal(mask, 0)
        self.real = tf.where(tf.reshape(padding, [-1, 1]), 0.0, 1.0)
        self.bias = tf.where(padding[:, tf.newaxis, tf.newaxis, :], tf.float32.min, 0.0)

    def to_tokens(self, x: tf.Tensor) -> tf.Tensor:
        """[B, S, ...] -> [N, ...]."""
        return tf.reshape(x, [self._batch * self.length, *x.shape[2:]])

    def to_batch(self, x: tf.Tensor) -> tf.Tensor:
        """[N, ...] -> [B, S, ...]."""
        return tf.reshape(x, [self._batch, self.length, *x.shape[1:]])

    def to_heads(self, x: tf.Tensor) -> tf.Tensor:
        """[N, H, K] -> [B, H, S, K]."""
        return tf.transpose(self.to_batch(x), [0, 2, 1, 3])

    def from_heads(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, S, K] -> [N, H, K]."""
        return self.to_tokens(tf.transpose(x, [0, 2, 1, 3]))

    def first(self, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [B, D], the first position of each row."""
        return self.to_batch(x)[:, 0]

    def last(self, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [B, D], the last real position of each row; the first one where none is."""
        real = self.to_batch(tf.cast(self.real[:, 0], tf.int32))
        return self.at(tf.reduce_max(real * tf.range(self.length), axis=1), x)

    def at(self, places: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [B, D], of each row the position of its place, int32 [B]."""
        return tf.gather(self.to_batch(x), places, axis=1, batch_dims=1)


def first_token(layout: Layout, x: tf.Tensor) -> tf.Tensor:
    """[N, D] -> [B, D], the first position of each row."""
    return layout.first(x)


def last_token(layout: Layout, x: tf.Tensor) -> tf.Tensor:
    """[N, D] -> [B, D], the last real position of each row; the first one where none is."""
    return layout.last(x)


@dataclasses.dataclass(frozen=True)
class TokenById:
    """Takes the first token of an id of each row, padding aside; without one the first position.

    Attributes:
        id: the id; None for the highest one of the row.
    """

    id: int | None

    def __call__(self, layout: Layout, x: tf.Tensor) -> tf.Tensor:
        """[N, D] -> [B, D].

        Raises:
            ConfigError: vectors are encoded in the place of ids.
        """
        if layout.word_ids is None:
            raise ConfigError(
                "the token that stands for a text is found by its id: vectors in the place of ids "
                "have none"
            )
        ids = layout.to_tokens(layout.word_ids)
        found = ids + 1 if self.id is None else tf.cast(tf.equal(ids, self.id), tf.int32)
        found = layout.to_batch(found * tf.cast(layout.real[:, 0], tf.int32))
        return layout.at(tf.argmax(found, axis=1, output_type=tf.int32), x)
