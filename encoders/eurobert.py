"""EuroBERT (https://arxiv.org/abs/2503.05500): LLaMA's blocks, whose tokens see the whole text."""

import dataclasses
from typing import ClassVar

from encoders import llama
from encoders.core.architecture import Architecture
from encoders.core.config import TokenId
from encoders.core.encoder import Encoder
from encoders.core.layout.layout import first_token


@dataclasses.dataclass(frozen=True)
class EuroBertConfig(llama.LlamaConfig):
    """Options of `transformers.EuroBertConfig` that change what is computed."""

    vocab_size: int = 128_256
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    max_position_embeddings: int = 8192
    rms_norm_eps: float = 1e-5
    is_causal: bool = False
    pad_token_id: TokenId = 128_001

    fixed: ClassVar = {**llama.LlamaConfig.fixed, "hidden_dropout": 0.0, "is_causal": False}
    ignored: ClassVar = (*llama.LlamaConfig.ignored, "classifier_pooling")


def build(config: EuroBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    return llama.build(config, first_token)


ARCHITECTURE = Architecture(("eurobert",), EuroBertConfig, build, llama.TABLE)
