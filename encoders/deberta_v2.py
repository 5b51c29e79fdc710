"""DeBERTa v2 and v3 (https://arxiv.org/abs/2006.03654, https://arxiv.org/abs/2111.09543).

DeBERTa with separate layers for query, key and value, which may project the distances as well.
Large distances share vectors, in buckets that grow with the logarithm. The largest v2 models add a
convolution of the embeddings to the output of the first block.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from encoders import deberta
from encoders.core.architecture import Architecture
from encoders.core.attention.attention import Projected
from encoders.core.attention.disentangled import DisentangledAttention, Distances
from encoders.core.blocks.activations import Activation, activation
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.layers import Dropout, LayerNorm, Linear
from encoders.core.config import at_least
from encoders.core.declared import declare
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout
from encoders.core.rows import TRANSPOSE, Row, linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class DebertaV2Config(deberta.DebertaConfig):
    """Options of `transformers.DebertaV2Config` that change what is computed.

    The last six are read by the model, though its config class does not declare them.
    """

    vocab_size: int = 128100
    hidden_size: int = 1536
    num_hidden_layers: int = 24
    num_attention_heads: int = 24
    intermediate_size: int = 6144
    attention_head_size: int | None = at_least(1, default=None)
    conv_act: str = "tanh"
    conv_kernel_size: int = at_least(0, default=0)
    norm_rel_ebd: str = "none"
    position_buckets: int = at_least(-1, default=-1)
    share_att_key: bool = False

    fixed: ClassVar = {"conv_groups": 1}

    def check(self) -> None:
        super().check()
        if self.attention_head_size not in (None, self.hidden_size // self.num_attention_heads):
            raise ConfigError(
                f"attention_head_size: only hidden_size / num_attention_heads is supported, found "
                f"{self.attention_head_size}"
            )
        if self.conv_kernel_size and self.conv_kernel_size % 2 == 0:
            raise ConfigError(f"conv_kernel_size: must be odd, found {self.conv_kernel_size}")
        if self.norm_rel_ebd.strip().lower() not in ("none", "layer_norm"):
            raise ConfigError(
                f"norm_rel_ebd: expected none or layer_norm, found {self.norm_rel_ebd}"
            )
        if self.position_buckets > 0 and not 0 < self.position_buckets // 2 < self.longest - 1:
            raise ConfigError(
                f"position_buckets: expected at least 2, and less than twice the {self.longest} "
                f"relative positions, found {self.position_buckets}"
            )


class Attention(DisentangledAttention):
    """Disentangled attention with a dense layer each for query, key and value."""

    def __init__(self, config: DebertaV2Config, distances: Distances | None) -> None:
        width = config.hidden_size
        super().__init__(
            width,
            config.num_attention_heads,
            config.attention_probs_dropout_prob,
            len(config.terms),
            distances,
            Dropout(config.hidden_dropout_prob),
        )
        self.query = Linear(width, width)
        self.key = Linear(width, width)
        self.value = Linear(width, width)
        own = config.terms if distances and not config.share_att_key else []
        self.position_key = Linear(width, width) if "c2p" in own else None
        self.position_query = Linear(width, width) if "p2c" in own else None
        self._terms = config.terms

    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""
        del layout
        return self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))

    def distance_projections(self) -> tuple[Linear | None, Linear | None]:
        """What makes keys for c2p and queries for p2c of distances; None leaves the term out."""
        return (
            (self.position_key or self.key) if "c2p" in self._terms else None,
            (self.position_query or self.query) if "p2c" in self._terms else None,
        )


class Convolution(tf.Module):
    """Joins the output of a block with a convolution of its input."""

    kernel: tf.Variable
    bias: tf.Variable

    def __init__(
        self, width: int, size: int, activation: Activation, dropout: Dropout, layer_norm: LayerNorm
    ) -> None:
        super().__init__()
        self.kernel = declare(size, width, width)
        self.bias = declare(width)
        self.activation = activation
        self.dropout = dropout
        self.layer_norm = layer_norm

    def __call__(self, x: tf.Tensor, block: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] twice, `x` zero for padding -> float32 [N, D]."""
        convolved = tf.nn.conv1d(layout.to_batch(x), self.kernel, stride=1, padding="SAME")
        convolved = layout.to_tokens(tf.nn.bias_add(convolved, self.bias))
        added = self.activation(self.dropout(convolved, training))
        return self.layer_norm(block + added) * layout.real


class Block(PostNormBlock):
    """A block, with a convolution around it if need be."""

    convolution: Convolution | None = None

    def __call__(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, D]."""
        y = super().__call__(x, layout, training)
        return y if self.convolution is None else self.convolution(x, y, layout, training)


_ATTENTION = "encoder.layer.{layer}.attention.self"

TABLE = Table(
    rows=(
        *deberta.ROWS,
        *norm("shared.layer_norm", "encoder.LayerNorm"),
        *linear("blocks.{layer}.attention.query", f"{_ATTENTION}.query_proj"),
        *linear("blocks.{layer}.attention.key", f"{_ATTENTION}.key_proj"),
        *linear("blocks.{layer}.attention.value", f"{_ATTENTION}.value_proj"),
        *linear("blocks.{layer}.attention.position_key", f"{_ATTENTION}.pos_key_proj"),
        *linear("blocks.{layer}.attention.position_query", f"{_ATTENTION}.pos_query_proj"),
        Row("blocks.0.convolution.kernel", ("encoder.conv.conv.weight",), TRANSPOSE),
        Row("blocks.0.convolution.bias", ("encoder.conv.conv.bias",)),
        *norm("blocks.0.convolution.layer_norm", "encoder.conv.LayerNorm"),
    ),
    prefix="deberta.",
    buffers=deberta.BUFFERS,
)


def buckets(distances: npt.NDArray[np.int_], count: int, longest: int) -> npt.NDArray[np.int_]:
    """Puts distances into buckets -count ... count.

    Up to half of `count` a distance is its own bucket; the other half reaches to `longest` in
    equal steps of the logarithm.
    """
    half, far = count // 2, np.abs(distances)
    steps = _log(np.maximum(far, half) / half) / _log((longest - 1) / half) * np.float32(half - 1)
    logarithmic = np.ceil(steps).astype(np.int_) + half
    return np.where(far <= half, distances, np.sign(distances) * logarithmic)


def _log(x: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """In float32, where `transformers` draws the borders, but exact to the last bit as torch's."""
    return np.log(np.asarray(x, np.float32).astype(np.float64)).astype(np.float32)


def build(config: DebertaV2Config) -> Encoder:
    """The encoder, its variables declared."""
    width, epsilon = config.hidden_size, config.layer_norm_eps
    places, span = deberta.reachable(config), config.longest
    if config.position_buckets > 0:
        places = buckets(places, config.position_buckets, span)
        span = config.position_buckets
    normalised = config.norm_rel_ebd.strip().lower() == "layer_norm"
    distances = deberta.distances(
        config, span, places, LayerNorm(width, epsilon) if normalised else None
    )
    blocks = [
        Block(*deberta.block_parts(config, Attention(config, distances)))
        for _ in range(config.num_hidden_layers)
    ]
    if config.conv_kernel_size:
        blocks[0].convolution = Convolution(
            width,
            config.conv_kernel_size,
            activation(config.conv_act),
            Dropout(config.hidden_dropout_prob),
            LayerNorm(width, epsilon),
        )
    return deberta.encoder(config, blocks, distances)


ARCHITECTURE = Architecture(("deberta-v2",), DebertaV2Config, build, TABLE)
