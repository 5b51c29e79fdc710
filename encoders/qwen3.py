"""Qwen3 (https://arxiv.org/abs/2505.09388): Qwen2 with normalised queries and keys, without biases.

Qwen3-Embedding (https://arxiv.org/abs/2506.05176) takes the last token's vector, which is that of
an <|endoftext|> behind the text.
"""

import dataclasses

from encoders import llama, qwen2
from encoders.core.architecture import Architecture
from encoders.core.blocks.layers import RMSNorm
from encoders.core.encoder import Encoder


@dataclasses.dataclass(frozen=True)
class Qwen3Config(qwen2.Qwen2Config):
    """Options of `transformers.Qwen3Config` that change what is computed."""

    head_dim: int | None = 128

    @property
    def biases(self) -> tuple[bool, bool]:
        """Whether query, key and value have biases, and whether the attention's output has."""
        return self.attention_bias, self.attention_bias


def build(config: Qwen3Config) -> Encoder:
    """The encoder, its variables declared."""
    return llama.build(config, head_norm=lambda width: RMSNorm(width, config.rms_norm_eps))


ARCHITECTURE = Architecture(("qwen3",), Qwen3Config, build, llama.TABLE)
