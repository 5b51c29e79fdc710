"""Longformer (https://arxiv.org/abs/2004.05150): RoBERTa whose tokens attend to a window.

Of each layer, half of the window's width lies on each side. No token attends to the whole text, as
in `transformers` where nobody says which ones do; so heads that rely on such tokens (of whole
texts, and of answers) are not supported. What padding attends to is nothing.

The scores of a row are computed in full: memory grows with the square of its length.
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from encoders import bert, roberta
from encoders.core.architecture import Architecture
from encoders.core.attention.attention import SelfAttention
from encoders.core.attention.masks import Window
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.config import TokenId
from encoders.core.encoder import Encoder, Pooler
from encoders.core.errors import ConfigError
from encoders.core.layout.layout import Layout


@dataclasses.dataclass(frozen=True)
class LongformerConfig(roberta.RobertaConfig):
    """Options of `transformers.LongformerConfig` that change what is computed."""

    attention_window: list[int] | int = 512
    vocab_size: int = 30522
    pad_token_id: TokenId = 1

    ignored: ClassVar = ("onnx_export",)

    @property
    def windows(self) -> list[int]:
        """The width of the window of each layer."""
        given = self.attention_window
        return given if isinstance(given, list) else [given] * self.num_hidden_layers

    def check(self) -> None:
        super().check()
        found = self.windows
        if len(found) != self.num_hidden_layers or any(width % 2 for width in found):
            raise ConfigError(
                f"attention_window: expected {self.num_hidden_layers} even numbers, found {found}"
            )


class LocalAttention(SelfAttention):
    """Attention within a window, whose queries are no padding."""

    def weights(self, scores: tf.Tensor, layout: Layout) -> tf.Tensor:
        """The weights of keys, zero where the query is padding; float32 [B, H, S, S] twice."""
        real = layout.to_batch(layout.real)[:, tf.newaxis]
        return super().weights(scores, layout) * real


TABLE = dataclasses.replace(
    roberta.TABLE,
    prefix="longformer.",
    buffers={
        **roberta.TABLE.buffers,
        r".*\.self\.(query|key|value)_global\..*": "for tokens that attend to the whole text",
    },
)


def build(config: LongformerConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, heads = config.hidden_size, config.num_attention_heads
    dropout = config.attention_probs_dropout_prob
    windows = {each: Window(behind=each // 2, ahead=each // 2) for each in config.windows}
    left = iter(config.windows)

    def attention() -> LocalAttention:
        return LocalAttention(width, heads, dropout, window=windows[next(left)])

    blocks = bert.blocks(config, PostNormBlock, attention)
    return Encoder(config.dimensions, roberta.embeddings(config), blocks, Pooler(width))


ARCHITECTURE = Architecture(("longformer",), LongformerConfig, build, TABLE)
