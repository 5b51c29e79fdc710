"""GPT-2 (https://openai.com/research/better-language-models): a decoder, here an encoder of texts.

Every token sees those before it alone, so that the last one's vector is that of the text. Blocks
normalise their inputs, and the output of the last block is normalised. One dense layer makes query,
key and value; checkpoints store kernels turned.
"""

import dataclasses
from typing import ClassVar

from encoders.core.architecture import Architecture
from encoders.core.attention.attention import JoinedAttention
from encoders.core.attention.masks import Window
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import FeedForward, PreNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm
from encoders.core.config import Config, TokenId, check_heads, check_padding
from encoders.core.encoder import Encoder
from encoders.core.layout.layout import last_token
from encoders.core.rows import KEEP, Row, embedding, linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class GPT2Config(Config):
    """Options of `transformers.GPT2Config` that change what is computed."""

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    pad_token_id: TokenId = None

    # The order of roundings, and a task head's.
    ignored: ClassVar = (
        "reorder_and_upcast_attn",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
    )
    renamed: ClassVar = {"n_ctx": "n_positions"}
    sizes: ClassVar = {
        "layers": "n_layer",
        "width": "n_embd",
        "heads": "n_head",
        "positions": "n_positions",
    }

    def check(self) -> None:
        check_heads(self.n_embd, self.n_head)
        check_padding(self.pad_token_id, self.vocab_size)


class GPT2Attention(JoinedAttention):
    """Causal attention, whose scores may be scaled by the number of the layer."""

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__(config.n_embd, config.n_head, config.attn_pdrop)
        self.window = Window(ahead=0)
        self.scale = self.scale if config.scale_attn_weights else 1.0
        self.scale /= layer + 1 if config.scale_attn_by_inverse_layer_idx else 1


_BLOCK = "h.{layer}"


def _dense(target: str, source: str) -> tuple[Row, ...]:
    return linear(f"blocks.{{layer}}.{target}", f"{_BLOCK}.{source}", kernel=KEEP)


TABLE = Table(
    rows=(
        *embedding("embeddings.word", "wte"),
        *embedding("embeddings.position", "wpe"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.ln_1"),
        *_dense("attention.input", "attn.c_attn"),
        *_dense("attention.output", "attn.c_proj"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.ln_2"),
        *_dense("feed_forward.inner", "mlp.c_fc"),
        *_dense("feed_forward.output", "mlp.c_proj"),
        *norm("layer_norm", "ln_f"),
    ),
    prefix="transformer.",
    buffers={r"h\.\d+\.attn\.(masked_)?bias": "says which tokens are seen, is no weight"},
)


def build(config: GPT2Config) -> Encoder:
    """The encoder, its variables declared."""
    width, dropout, function = config.n_embd, config.resid_pdrop, config.activation_function
    inner = config.n_inner or 4 * width

    def layer_norm() -> LayerNorm:
        return LayerNorm(width, config.layer_norm_epsilon)

    def block(layer: int) -> PreNormBlock:
        return PreNormBlock(
            layer_norm(),
            GPT2Attention(config, layer),
            Dropout(dropout),
            layer_norm(),
            FeedForward(width, inner, activation(function)),
            Dropout(dropout),
        )

    return Encoder(
        config.dimensions,
        Embeddings(
            word=Embedding(config.vocab_size, width),
            position=Embedding(config.n_positions, width),
            layer_norm=None,
            dropout=Dropout(config.embd_pdrop),
        ),
        [block(layer) for layer in range(config.n_layer)],
        layer_norm=layer_norm(),
        token=last_token,
    )


ARCHITECTURE = Architecture(("gpt2",), GPT2Config, build, TABLE)
