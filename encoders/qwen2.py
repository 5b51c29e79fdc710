"""Qwen2 (https://arxiv.org/abs/2407.10671): LLaMA with biases on query, key and value.

Some layers may attend to a window of tokens before alone.
"""

import dataclasses
from typing import ClassVar

from encoders import llama
from encoders.core.architecture import Architecture
from encoders.core.attention.masks import FULL, SLIDING, Window, decoder_window
from encoders.core.config import at_least, check_kinds
from encoders.core.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Qwen2Config(llama.LlamaConfig):
    """Options of `transformers.Qwen2Config` that change what is computed."""

    vocab_size: int = 151_936
    intermediate_size: int = 22016
    num_key_value_heads: int | None = 32
    max_position_embeddings: int = 32768
    use_sliding_window: bool = False
    sliding_window: int | None = at_least(1, default=4096)
    max_window_layers: int = at_least(0, default=28)
    layer_types: list[str] | None = None

    fixed: ClassVar = {**llama.LlamaConfig.fixed, "mlp_bias": False}

    @property
    def biases(self) -> tuple[bool, bool]:
        """Whether query, key and value have biases, and whether the attention's output has."""
        return True, False

    @property
    def reach(self) -> int | None:
        """How wide the window of some layers is; None for all tokens."""
        return self.sliding_window if self.use_sliding_window else None

    @property
    def kinds(self) -> list[str]:
        """Whether each layer is FULL or SLIDING."""
        first = self.num_hidden_layers if self.reach is None else self.max_window_layers
        layers = range(self.num_hidden_layers)
        return self.layer_types or [SLIDING if layer >= first else FULL for layer in layers]

    @property
    def windows(self) -> list[Window]:
        """Which keys a query of each layer attends to."""
        of_kind = {
            FULL: decoder_window(None, self.is_causal),
            SLIDING: decoder_window(self.reach, self.is_causal),
        }
        return [of_kind[kind] for kind in self.kinds]

    def check(self) -> None:
        check_kinds(self.kinds, (FULL, SLIDING), self.num_hidden_layers)
        if SLIDING in self.kinds and self.reach is None:
            raise ConfigError(
                f"layer_types: {SLIDING} needs a sliding_window, and use_sliding_window true"
            )
        super().check()


ARCHITECTURE = Architecture(("qwen2",), Qwen2Config, llama.build, llama.TABLE)
