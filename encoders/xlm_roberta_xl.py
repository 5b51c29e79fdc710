"""XLM-RoBERTa-XL (https://arxiv.org/abs/2105.00572): XLM-RoBERTa with norms before the parts.

Blocks normalise their inputs, the embeddings do not; the output of the last block is normalised.
There is no dropout after the feed-forward part.
"""

import dataclasses

from encoders import bert, roberta
from encoders.core.architecture import Architecture
from encoders.core.blocks.blocks import PreNormBlock
from encoders.core.blocks.layers import LayerNorm
from encoders.core.encoder import Encoder, Pooler


@dataclasses.dataclass(frozen=True)
class XLMRobertaXLConfig(roberta.RobertaConfig):
    """Options of `transformers.XLMRobertaXLConfig` that change what is computed."""

    vocab_size: int = 250880
    hidden_size: int = 2560
    num_hidden_layers: int = 36
    num_attention_heads: int = 32
    intermediate_size: int = 10240
    max_position_embeddings: int = 514
    type_vocab_size: int = 1
    layer_norm_eps: float = 1e-5


TABLE = dataclasses.replace(
    roberta.TABLE,
    rows=(
        *bert.SUM_ROWS,
        *bert.pre_norm_rows("attention.self_attn_layer_norm", "LayerNorm", "LayerNorm"),
    ),
)


def build(config: XLMRobertaXLConfig) -> Encoder:
    """The encoder, its variables declared."""
    width = config.hidden_size
    return Encoder(
        config.dimensions,
        roberta.embeddings(config, layer_norm=None),
        bert.blocks(config, PreNormBlock, feed_forward_dropout=0.0),
        Pooler(width),
        layer_norm=LayerNorm(width, config.layer_norm_eps),
    )


ARCHITECTURE = Architecture(("xlm-roberta-xl",), XLMRobertaXLConfig, build, TABLE)
