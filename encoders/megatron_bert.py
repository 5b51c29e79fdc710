"""Megatron-BERT (https://arxiv.org/abs/1909.08053): BERT with norms before the parts.

Blocks normalise their inputs, the embeddings do not; the output of the last block is normalised.
"""

import dataclasses

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.blocks.blocks import PreNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import LayerNorm
from encoders.core.encoder import Encoder, Pooler


@dataclasses.dataclass(frozen=True)
class MegatronBertConfig(bert.BertConfig):
    """Options of `transformers.MegatronBertConfig` that change what is computed."""

    vocab_size: int = 29056
    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096


TABLE = dataclasses.replace(
    bert.TABLE,
    rows=(
        *bert.SUM_ROWS,
        *bert.pre_norm_rows("attention.ln", "ln", "ln"),
    ),
)


def build(config: MegatronBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width = config.hidden_size
    return Encoder(
        config.dimensions,
        bert.embeddings(config, Embeddings, layer_norm=None),
        bert.blocks(config, PreNormBlock),
        Pooler(width),
        layer_norm=LayerNorm(width, config.layer_norm_eps),
    )


ARCHITECTURE = Architecture(("megatron-bert",), MegatronBertConfig, build, TABLE)
