"""SqueezeBERT (https://arxiv.org/abs/2006.11316): BERT with grouped dense layers.

In checkpoints they are convolutions over one position each. The epsilon of the blocks' norms is not
an option.
"""

import dataclasses
from typing import ClassVar

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.attention.attention import SelfAttention
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import GroupedLinear
from encoders.core.config import at_least
from encoders.core.encoder import Encoder, Pooler
from encoders.core.errors import ConfigError
from encoders.core.rows import CONVOLUTION, Row, linear, norm
from encoders.core.weights import Table

EPSILON = 1e-12


@dataclasses.dataclass(frozen=True)
class SqueezeBertConfig(bert.BertConfig):
    """Options of `transformers.SqueezeBertConfig` that change what is computed."""

    embedding_size: int = 768
    q_groups: int = 4
    k_groups: int = 4
    v_groups: int = 4
    post_attention_groups: int = at_least(1, default=1)
    intermediate_groups: int = 4
    output_groups: int = 4

    ignored: ClassVar = ()

    def check(self) -> None:
        super().check()
        if self.embedding_size != self.hidden_size:
            raise ConfigError(
                f"embedding_size: expected the hidden_size of {self.hidden_size}, found "
                f"{self.embedding_size}"
            )
        names = ("q_groups", "k_groups", "v_groups", "post_attention_groups")
        groups = {name: getattr(self, name) for name in (*names, "intermediate_groups")}
        groups["output_groups"] = self.output_groups
        for name, count in groups.items():
            widths = [self.hidden_size, *([] if name in names else [self.intermediate_size])]
            if any(width % count for width in widths):
                raise ConfigError(f"{name}: widths of {widths} do not split into {count} groups")


class GroupedAttention(SelfAttention):
    """Attention whose dense layers are grouped."""

    query: GroupedLinear
    key: GroupedLinear
    value: GroupedLinear
    output: GroupedLinear

    def __init__(self, config: SqueezeBertConfig) -> None:
        width = config.hidden_size
        super().__init__(width, config.num_attention_heads, config.attention_probs_dropout_prob)
        self.query = GroupedLinear(width, width, config.q_groups)
        self.key = GroupedLinear(width, width, config.k_groups)
        self.value = GroupedLinear(width, width, config.v_groups)
        self.output = GroupedLinear(width, width, config.post_attention_groups)


class GroupedFeedForward(FeedForward):
    """Feed-forward layers that are grouped."""

    inner: GroupedLinear
    output: GroupedLinear

    def __init__(self, config: SqueezeBertConfig) -> None:
        width, inner = config.hidden_size, config.intermediate_size
        super().__init__(width, inner, activation(config.hidden_act))
        self.inner = GroupedLinear(width, inner, config.intermediate_groups)
        self.output = GroupedLinear(inner, width, config.output_groups)


_BLOCK = "encoder.layers.{layer}"


def _grouped(target: str, source: str) -> tuple[Row, ...]:
    return linear(f"blocks.{{layer}}.{target}", f"{_BLOCK}.{source}", kernel=CONVOLUTION)


TABLE = Table(
    rows=(
        *bert.EMBEDDING_ROWS,
        *_grouped("attention.query", "attention.query"),
        *_grouped("attention.key", "attention.key"),
        *_grouped("attention.value", "attention.value"),
        *_grouped("attention.output", "post_attention.conv1d"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.post_attention.layernorm"),
        *_grouped("feed_forward.inner", "intermediate.conv1d"),
        *_grouped("feed_forward.output", "output.conv1d"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.output.layernorm"),
        *bert.POOLER_ROWS,
    ),
    prefix="transformer.",
    buffers=bert.TABLE.buffers,
)


def build(config: SqueezeBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings),
        bert.blocks(
            dataclasses.replace(config, layer_norm_eps=EPSILON),
            PostNormBlock,
            lambda: GroupedAttention(config),
            lambda: GroupedFeedForward(config),
        ),
        Pooler(config.hidden_size),
    )


ARCHITECTURE = Architecture(("squeezebert",), SqueezeBertConfig, build, TABLE)
