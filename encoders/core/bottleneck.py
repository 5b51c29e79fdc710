"""Bottleneck adapters: small layers that were trained inside an encoder which stayed as it was.

One stands where a block joins what its attention, or its feed-forward part, gives with what that
has got, and keeps a residual connection of its own. The kinds differ in what it sees:

- what the part gives (https://arxiv.org/abs/1902.00751, Houlsby), or the sum, normalised
  (https://arxiv.org/abs/2005.00247, Pfeiffer);
- what the part gets, in parallel to it (https://arxiv.org/abs/2110.04366).
"""

import abc
import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.layers import Dropout, LayerNorm, Linear
from encoders.core.declared import declare
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.rows import Row, linear, norm

GIVEN, SUM, SEEN = "given", "sum", "seen"
LEARNED, CHANNEL = "learned", "channel"
_EPSILON = 1e-5  # torch's own, which no option changes


@dataclasses.dataclass(frozen=True)
class BottleneckForm:
    """How an adapter is computed.

    Attributes:
        activation: what stands between its dense layers.
        is_parallel: whether it sees what the part gets; else what the part gives.
        sees_normalised: whether it sees the block's sum, normalised; only where it isn't parallel.
        is_normalised: whether the block adds up and normalises behind it.
        norm_before: whether it begins with a norm of its own.
        norm_after: whether it ends with one.
        residual: what its residual connection carries, where it isn't parallel: what the part
            gives (GIVEN), the block's sum (SUM), or what the adapter sees (SEEN).
        is_added_before_norm: whether that is added before the norm at its end, or behind it.
        scaling: what its change is multiplied by: a number, one that is learned (LEARNED), or a
            learned one for each channel (CHANNEL).
        dropout: the rate, behind the dense layers.
    """

    activation: str
    is_parallel: bool = False
    sees_normalised: bool = False
    is_normalised: bool = True
    norm_before: bool = False
    norm_after: bool = False
    residual: str = GIVEN
    is_added_before_norm: bool = False
    scaling: float | str = 1.0
    dropout: float = 0.0


class Adapter(tf.Module, abc.ABC):
    """Two dense layers with an activation between them, [N, D] -> [N, R] -> [N, D], R mostly small.

    It joins what a part of a block gets and gives, in the place of a sum that is normalised.
    """

    def __init__(self, width: int, bottleneck: int, form: BottleneckForm) -> None:
        """Declares its variables.

        Args:
            width: D.
            bottleneck: R.
            form: how it is computed.

        Raises:
            ConfigError: the activation is not supported.
        """
        super().__init__()
        self.form = form
        self.norm_before = LayerNorm(width, _EPSILON) if form.norm_before else None
        self.down = Linear(width, bottleneck)
        self.activation = activation(form.activation)
        self.up = Linear(bottleneck, width)
        sizes = {LEARNED: 1, CHANNEL: width}
        self.scaling = declare(sizes[form.scaling]) if form.scaling in sizes else None
        self.dropout = Dropout(form.dropout)
        self.norm_after = LayerNorm(width, _EPSILON) if form.norm_after else None

    @abc.abstractmethod
    def __call__(
        self, x: tf.Tensor, given: tf.Tensor, layer_norm: LayerNorm, training: bool
    ) -> tf.Tensor:
        """What a part gets and what it gives, float32 [N, D] -> what the block goes on with."""

    def change(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """What the dense layers add, float32 [N, D] -> float32 [N, D]."""
        x = x if self.norm_before is None else self.norm_before(x)
        x = self.up(self.activation(self.down.narrow(x)))
        x *= self.form.scaling if self.scaling is None else self.scaling
        return self.dropout(x, training)

    def normalised(self, x: tf.Tensor) -> tf.Tensor:
        """By the norm at its end, where it has one, float32 [N, D] -> float32 [N, D]."""
        return x if self.norm_after is None else self.norm_after(x)

    def joined(self, x: tf.Tensor, adapted: tf.Tensor, layer_norm: LayerNorm) -> tf.Tensor:
        """With what the part has got, float32 [N, D] twice -> float32 [N, D]."""
        return layer_norm(x + adapted) if self.form.is_normalised else adapted


class SequentialAdapter(Adapter):
    """Sees what the part gives, or the block's sum, normalised."""

    def __call__(
        self, x: tf.Tensor, given: tf.Tensor, layer_norm: LayerNorm, training: bool
    ) -> tf.Tensor:
        form = self.form
        seen = layer_norm(x + given) if form.sees_normalised else given
        residual = {GIVEN: given, SUM: x + given, SEEN: seen}[form.residual]
        adapted = self.change(seen, training)
        if form.is_added_before_norm:
            return self.joined(x, self.normalised(adapted + residual), layer_norm)
        return self.joined(x, self.normalised(adapted) + residual, layer_norm)


class ParallelAdapter(Adapter):
    """Sees what the part gets, and is added to what it gives."""

    def __call__(
        self, x: tf.Tensor, given: tf.Tensor, layer_norm: LayerNorm, training: bool
    ) -> tf.Tensor:
        adapted = self.normalised(self.change(x, training)) + given
        return self.joined(x, adapted, layer_norm)


class BlockAdapters(tf.Module):
    """Those of one block."""

    def __init__(self, attention: Adapter | None, feed_forward: Adapter | None) -> None:
        super().__init__()
        self.attention = attention
        self.feed_forward = feed_forward

    def fit(self, block: PostNormBlock) -> None:
        """Has them join the parts of a block."""
        if self.attention is not None:
            block.attention_join = self.attention
        if self.feed_forward is not None:
            block.feed_forward_join = self.feed_forward


@dataclasses.dataclass(frozen=True)
class Adapters:
    """The adapters of an encoder.

    Attributes:
        form: how each is computed.
        attention: number of a block -> R of the adapter of its attention.
        feed_forward: number of a block -> R of the adapter of its feed-forward part.
        left_out: numbers of blocks that have none on purpose.
    """

    form: BottleneckForm
    attention: Mapping[int, int]
    feed_forward: Mapping[int, int]
    left_out: frozenset[int] = frozenset()

    def fit(self, encoder: Encoder) -> Encoder:
        """Puts them, their variables declared, into an encoder of post-norm blocks.

        They are its `adapters`: there every variable of theirs has its name.

        Raises:
            ConfigError: they are for another number of blocks.
        """
        blocks = [each for each in encoder.submodules if isinstance(each, PostNormBlock)]
        numbers = {*self.attention, *self.feed_forward}
        if numbers - {*range(len(blocks))} or {*range(len(blocks))} - numbers - self.left_out:
            raise ConfigError(
                f"the adapters are for blocks {sorted(numbers)}, the encoder has {len(blocks)} "
                "blocks: they are of another model"
            )
        encoder.adapters = [
            BlockAdapters(
                self._adapter(encoder, self.attention.get(at)),
                self._adapter(encoder, self.feed_forward.get(at)),
            )
            for at in range(len(blocks))
        ]
        for adapters, block in zip(encoder.adapters, blocks, strict=True):
            adapters.fit(block)
        return encoder

    def _adapter(self, encoder: Encoder, bottleneck: int | None) -> Adapter | None:
        if bottleneck is None:
            return None
        kind = ParallelAdapter if self.form.is_parallel else SequentialAdapter
        return kind(encoder.dimensions.width, bottleneck, self.form)


def rows() -> tuple[Row, ...]:
    """The rows of adapters, whatever the architecture: their names are those of this package."""
    found = list[Row]()
    for part in ("attention", "feed_forward"):
        name = f"adapters.{{block}}.{part}"
        found += norm(f"{name}.norm_before", f"{name}.norm_before")
        found += linear(f"{name}.down", f"{name}.down")
        found += linear(f"{name}.up", f"{name}.up")
        found += norm(f"{name}.norm_after", f"{name}.norm_after")
        found.append(Row(f"{name}.scaling", (f"{name}.scaling",)))
    return tuple(found)
