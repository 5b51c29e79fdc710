"""Nomic BERT with a mixture of experts (https://arxiv.org/abs/2502.07972), of Nomic Embed 2.

Every n-th block, the first one aside, has experts in the place of its feed-forward part, which is
BERT's. Dense layers within the blocks have biases, of the experts there is one that they share.
Folders say `nomic_bert` as their `model_type`, with a number of experts.
"""

import dataclasses
from typing import ClassVar

from encoders import nomic_bert
from encoders.core.architecture import Architecture
from encoders.core.attention.rotary import Rotary, RotaryAttention
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PostNormBlock
from encoders.core.blocks.layers import Dropout, LayerNorm
from encoders.core.blocks.mixture import Experts, MixtureFeedForward
from encoders.core.config import TokenId, at_least
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.rows import TRANSPOSE, Row, linear
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class NomicBertMoeConfig(nomic_bert.NomicBertConfig):
    """Options that change what is computed, with the names of `transformers.NomicBertConfig`.

    Those of the experts have the names that the checkpoints give them.
    """

    vocab_size: int = 250048
    hidden_act: str = "gelu"
    type_vocab_size: int = 1
    layer_norm_eps: float = 1e-5
    pad_token_id: TokenId = 1
    num_experts: int = 8
    moe_top_k: int = 2
    moe_every_n_layers: int = at_least(2, default=2)

    fixed: ClassVar = {"hidden_act": "gelu"}
    ignored: ClassVar = ("classifier_dropout",)
    renamed: ClassVar = {}
    usual_theta: ClassVar = 10_000.0

    def check(self) -> None:
        super().check()
        if self.moe_top_k > self.num_experts:
            raise ConfigError(
                f"moe_top_k: {self.moe_top_k} of num_experts: {self.num_experts} cannot be chosen"
            )


class DenseFeedForward(FeedForward):
    """BERT's feed-forward part, without experts."""

    experts = None


_PART = "encoder.layers.{layer}.mlp"
_EXPERTS = "blocks.{layer}.feed_forward.experts"
_GATE = "blocks.{layer}.feed_forward."

TABLE = Table(
    rows=(
        *(row for row in nomic_bert.TABLE.rows if not row.target.startswith(_GATE)),
        *linear("blocks.{layer}.feed_forward.inner", f"{_PART}.fc1"),
        *linear("blocks.{layer}.feed_forward.output", f"{_PART}.fc2"),
        Row(f"{_EXPERTS}.router", (f"{_PART}.router.layer.weight",), TRANSPOSE),
        Row(f"{_EXPERTS}.inner", (f"{_PART}.experts.mlp.w1",)),
        Row(f"{_EXPERTS}.outer", (f"{_PART}.experts.mlp.w2",)),
        Row(f"{_EXPERTS}.bias", (f"{_PART}.experts.bias",)),
    ),
    prefix=nomic_bert.TABLE.prefix,
    buffers=nomic_bert.TABLE.buffers,
)


def build(config: NomicBertMoeConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    dropout, attention_dropout = config.hidden_dropout_prob, config.attention_probs_dropout_prob
    rotary, function = Rotary(width // heads, config.theta), activation(config.hidden_act)

    def feed_forward(layer: int) -> DenseFeedForward | MixtureFeedForward:
        if layer % config.moe_every_n_layers != 1:
            return DenseFeedForward(width, inner, function)
        experts = Experts(width, inner, config.num_experts, config.moe_top_k, function)
        return MixtureFeedForward(experts)

    blocks = [
        PostNormBlock(
            RotaryAttention(width, heads, attention_dropout, rotary, bias=True),
            Dropout(dropout),
            LayerNorm(width, config.layer_norm_eps),
            feed_forward(layer),
            Dropout(dropout),
            LayerNorm(width, config.layer_norm_eps),
        )
        for layer in range(config.num_hidden_layers)
    ]
    return Encoder(config.dimensions, nomic_bert.embeddings(config), blocks)


ARCHITECTURE = Architecture(("nomic_bert_moe",), NomicBertMoeConfig, build, TABLE, reference="")
