"""ConvBERT (https://arxiv.org/abs/2008.02496): BERT whose attention is half convolution.

Beside fewer heads of attention stand as many that mix the vectors of neighbours, with weights that
are made of the token itself and its neighbours. The embeddings may be narrower (E) than the blocks
(D) and are projected then; feed-forward layers may be grouped. There is no pooler.

Padding is no neighbour, here as beyond the ends of a row: a text has the vectors that
`transformers` gives it alone. (In a padded batch, it takes padding for neighbours.)
"""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.attention.attention import SelfAttention
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import GroupedLinear, Linear
from encoders.core.config import TokenId
from encoders.core.declared import declare
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout
from encoders.core.rows import CONVOLUTION, Change, Row, linear
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class ConvBertConfig(bert.BertConfig):
    """Options of `transformers.ConvBertConfig` that change what is computed."""

    embedding_size: int = 768
    head_ratio: int = 2
    conv_kernel_size: int = 9
    num_groups: int = 1
    pad_token_id: TokenId = 1

    ignored: ClassVar = ("classifier_dropout",)
    sizes: ClassVar = {"heads": "heads"}

    @property
    def heads(self) -> int:
        """H, the heads of attention that are left; there are as many of convolution."""
        return max(self.num_attention_heads // self.head_ratio, 1)

    def check(self) -> None:
        if self.hidden_size % (2 * self.heads):
            raise ConfigError(
                f"a hidden width of {self.hidden_size} does not split over {self.heads} attention "
                "heads and as many of convolution"
            )
        if self.conv_kernel_size % 2 == 0:
            raise ConfigError(
                f"conv_kernel_size: expected an odd number, found {self.conv_kernel_size}"
            )
        if any(width % self.num_groups for width in (self.hidden_size, self.intermediate_size)):
            raise ConfigError(
                f"num_groups: widths of {self.hidden_size} and {self.intermediate_size} do not "
                f"split into {self.num_groups} groups"
            )


def neighbours(x: tf.Tensor, size: int, layout: Layout) -> list[tf.Tensor]:
    """What stands around each token, the first before it; zeros for padding and beyond the ends.

    Args:
        x: float32 [N, D].
        size: how many, the token itself among them; odd.
        layout: that of the tokens.

    Returns:
        As many float32 [N, D].
    """
    rows, beside = layout.to_batch(x * layout.real), size // 2
    padded = tf.pad(rows, [[0, 0], [beside, beside], [0, 0]])
    return [layout.to_tokens(padded[:, at : at + layout.length]) for at in range(size)]


class SeparableConvolution(tf.Module):
    """A convolution of each column by itself, then a dense layer; float32 [N, in] -> [N, out]."""

    kernel: tf.Variable

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.kernel = declare(size, inputs)
        self.pointwise = Linear(inputs, outputs)

    def __call__(self, x: tf.Tensor, layout: Layout) -> tf.Tensor:
        around = zip(neighbours(x, self.size, layout), tf.unstack(self.kernel), strict=True)
        return self.pointwise(tf.add_n([each * weights for each, weights in around]))


class MixedAttention(SelfAttention):
    """Heads of attention, and as many that mix neighbours."""

    def __init__(self, config: ConvBertConfig) -> None:
        width, size, heads = config.hidden_size, config.conv_kernel_size, config.heads
        head_width = width // heads // 2
        dropout = config.attention_probs_dropout_prob
        super().__init__(width, heads, dropout, head_width=head_width)
        self.size = size
        self.key_convolution = SeparableConvolution(width, heads * head_width, size)
        self.mixing = Linear(heads * head_width, heads * size)
        self.mixed = Linear(width, heads * head_width)
        self.output = Linear(width, width)

    def before(self, x: tf.Tensor, layout: Layout, training: bool) -> tf.Tensor:
        """float32 [N, D] -> float32 [N, 2 * H * K]."""
        projected = self.project(x, layout)
        attended = self.attend(projected, layout, training)
        heads = tf.concat([attended, self._convolve(projected[0], x, layout)], axis=1)
        return tf.reshape(heads, [-1, 2 * self.heads * self.head_width])

    def _convolve(self, query: tf.Tensor, x: tf.Tensor, layout: Layout) -> tf.Tensor:
        """Queries [N, H, K], and what they are made of, [N, D] -> [N, H, K]."""
        wanted = self.split(self.key_convolution(x, layout)) * query
        logits = self.mixing(tf.reshape(wanted, [-1, self.heads * self.head_width]))
        weights = tf.nn.softmax(tf.reshape(logits, [-1, self.heads, self.size]))
        around = map(self.split, neighbours(self.mixed(x), self.size, layout))
        pairs = zip(around, tf.unstack(weights, axis=-1), strict=True)
        return tf.add_n([each * weight[..., tf.newaxis] for each, weight in pairs])


class LinearByGroup(GroupedLinear):
    """A grouped dense layer whose kernel has an axis of groups: [out, in, G], torch's turned."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__(inputs, outputs, groups)
        self.kernel = declare(outputs // groups, inputs // groups, groups, narrow=True)

    def by_group(self) -> tf.Tensor:
        """The kernels, [G, in, out], each of a group."""
        return tf.transpose(self.kernel)


class GroupedFeedForward(FeedForward):
    """Feed-forward layers that are grouped."""

    inner: LinearByGroup
    output: LinearByGroup

    def __init__(self, config: ConvBertConfig) -> None:
        width, inner, groups = config.hidden_size, config.intermediate_size, config.num_groups
        super().__init__(width, inner, activation(config.hidden_act))
        self.inner = LinearByGroup(width, inner, groups)
        self.output = LinearByGroup(inner, width, groups)


_DEPTHWISE = Change(
    lambda x: x[:, 0].T, lambda shape: (shape[1], 1, shape[0]), lambda x: x.T[:, np.newaxis]
)
"""[size, D] -> torch's [D, 1, size]."""
_COLUMN = Change(lambda x: x[:, 0], lambda shape: (*shape, 1), lambda x: x[:, np.newaxis])
_FROM, _TO = "encoder.layer.{layer}.attention.self", "blocks.{layer}.attention"

TABLE = Table(
    rows=(
        *bert.EMBEDDING_ROWS,
        *linear("embeddings.projection", "embeddings_project"),
        *bert.BLOCK_ROWS,
        Row(
            f"{_TO}.key_convolution.kernel",
            (f"{_FROM}.key_conv_attn_layer.depthwise.weight",),
            _DEPTHWISE,
        ),
        Row(
            f"{_TO}.key_convolution.pointwise.kernel",
            (f"{_FROM}.key_conv_attn_layer.pointwise.weight",),
            CONVOLUTION,
        ),
        Row(
            f"{_TO}.key_convolution.pointwise.bias",
            (f"{_FROM}.key_conv_attn_layer.bias",),
            _COLUMN,
        ),
        *linear(f"{_TO}.mixing", f"{_FROM}.conv_kernel_layer"),
        *linear(f"{_TO}.mixed", f"{_FROM}.conv_out_layer"),
    ),
    prefix="convbert.",
    buffers=bert.TABLE.buffers,
)


def build(config: ConvBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, narrow = config.hidden_size, config.embedding_size
    projection = Linear(narrow, width) if narrow != width else None
    is_grouped = config.num_groups > 1
    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings, narrow, projection=projection),
        bert.blocks(
            config,
            PostNormBlock,
            lambda: MixedAttention(config),
            (lambda: GroupedFeedForward(config)) if is_grouped else None,
        ),
    )


ARCHITECTURE = Architecture(("convbert",), ConvBertConfig, build, TABLE)
