"""Mistral (https://arxiv.org/abs/2310.06825): LLaMA with attention to a window of tokens before."""

import dataclasses
from typing import ClassVar

from encoders import llama
from encoders.core.architecture import Architecture
from encoders.core.attention.masks import Window, decoder_window
from encoders.core.config import at_least


@dataclasses.dataclass(frozen=True)
class MistralConfig(llama.LlamaConfig):
    """Options of `transformers.MistralConfig` that change what is computed."""

    intermediate_size: int = 14336
    num_key_value_heads: int | None = 8
    max_position_embeddings: int = 131_072
    sliding_window: int | None = at_least(1, default=4096)

    fixed: ClassVar = {
        **llama.LlamaConfig.fixed,
        "attention_bias": False,
        "mlp_bias": False,
    }

    @property
    def windows(self) -> list[Window]:
        """Which keys a query of each layer attends to."""
        return [decoder_window(self.sliding_window, self.is_causal)] * self.num_hidden_layers


ARCHITECTURE = Architecture(("mistral",), MistralConfig, llama.build, llama.TABLE)
