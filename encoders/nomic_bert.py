"""Nomic BERT (https://arxiv.org/abs/2402.01613): BERT with rotary positions and gated layers.

Dense layers within the blocks have no biases; the norms have. There is no pooler.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from encoders.core.architecture import Architecture
from encoders.core.attention.rotary import Rotary, RotaryAttention, check_rotary, theta
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import GatedFeedForward, PostNormBlock
from encoders.core.blocks.embeddings import Embeddings
from encoders.core.blocks.layers import Dropout, Embedding, LayerNorm
from encoders.core.config import Config, TokenId, at_least, check_padding
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.rows import embedding, linear, norm
from encoders.core.weights import Table


@dataclasses.dataclass(frozen=True)
class NomicBertConfig(Config):
    """Options of `transformers.NomicBertConfig` that change what is computed."""

    vocab_size: int = 30528
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "silu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    max_position_embeddings: int = 2048
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    rope_parameters: dict[str, Any] | None = None
    head_dim: int | None = at_least(1, default=None)
    pad_token_id: TokenId = 0

    usual_theta: ClassVar[float] = 1000.0

    # Options of the code that came with the model, before `transformers` had it.
    fixed: ClassVar[Mapping[str, Any]] = {
        "activation_function": "swiglu",
        "causal": False,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "num_experts": 0,
        "parallel_block": False,
        "prenorm": False,
        "qkv_proj_bias": False,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
        "scale_attn_by_inverse_layer_idx": False,
        "scale_attn_weights": True,
        "use_rms_norm": False,
    }
    # `n_positions` and the scaling factor are about sequences of over `max_position_embeddings`.
    ignored: ClassVar[tuple[str, ...]] = (
        "classifier_dropout",
        "dense_seq_output",
        "fused_bias_fc",
        "fused_dropout_add_ln",
        "last_layer_subset",
        "max_trained_positions",
        "n_positions",
        "pad_vocab_size_multiple",
        "parallel_block_tied_norm",
        "reorder_and_upcast_attn",
        "rotary_scaling_factor",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "use_flash_attn",
        "use_xentropy",
    )
    # That code's names, which `transformers` does not read.
    renamed: ClassVar[Mapping[str, str]] = {
        "attn_pdrop": "attention_probs_dropout_prob",
        "embd_pdrop": "hidden_dropout_prob",
        "layer_norm_epsilon": "layer_norm_eps",
        "n_embd": "hidden_size",
        "n_head": "num_attention_heads",
        "n_inner": "intermediate_size",
        "n_layer": "num_hidden_layers",
        "resid_pdrop": "hidden_dropout_prob",
        "rotary_emb_base": "theta",
    }

    @property
    def theta(self) -> float:
        """The base of the wavelengths."""
        return theta(self.rope_parameters or {}, self.usual_theta, "rope_parameters")

    def check(self) -> None:
        check_rotary(self.hidden_size, self.num_attention_heads)
        check_padding(self.pad_token_id, self.vocab_size)
        if self.head_dim not in (None, self.hidden_size // self.num_attention_heads):
            raise ConfigError(
                "head_dim: only hidden_size / num_attention_heads is supported, found "
                f"{self.head_dim}"
            )


_BLOCK = "encoder.layers.{layer}"

TABLE = Table(
    rows=(
        *embedding("embeddings.word", "embeddings.word_embeddings"),
        *embedding("embeddings.type", "embeddings.token_type_embeddings"),
        *norm("embeddings.layer_norm", "emb_ln"),
        *linear("blocks.{layer}.attention.input", f"{_BLOCK}.attn.Wqkv"),
        *linear("blocks.{layer}.attention.output", f"{_BLOCK}.attn.out_proj"),
        *norm("blocks.{layer}.attention_layer_norm", f"{_BLOCK}.norm1"),
        *linear("blocks.{layer}.feed_forward.gate", f"{_BLOCK}.mlp.fc12"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.mlp.fc11"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.mlp.fc2"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.norm2"),
    ),
    prefix="nomic_bert.",
    buffers={r"pooler\..*": "`transformers` has no pooler here"},
)


def embeddings(config: NomicBertConfig) -> Embeddings:
    """The embeddings, their variables declared."""
    width = config.hidden_size
    return Embeddings(
        word=Embedding(config.vocab_size, width, padding=config.pad_token_id),
        type=Embedding(config.type_vocab_size, width),
        layer_norm=LayerNorm(width, config.layer_norm_eps),
        dropout=Dropout(config.hidden_dropout_prob),
    )


def build(config: NomicBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, heads, epsilon = config.hidden_size, config.num_attention_heads, config.layer_norm_eps
    dropout, attention_dropout = config.hidden_dropout_prob, config.attention_probs_dropout_prob
    rotary = Rotary(width // heads, config.theta)

    def block() -> PostNormBlock:
        return PostNormBlock(
            RotaryAttention(width, heads, attention_dropout, rotary),
            Dropout(dropout),
            LayerNorm(width, epsilon),
            GatedFeedForward(width, config.intermediate_size, activation(config.hidden_act)),
            Dropout(dropout),
            LayerNorm(width, epsilon),
        )

    blocks = [block() for _ in range(config.num_hidden_layers)]
    return Encoder(config.dimensions, embeddings(config), blocks)


ARCHITECTURE = Architecture(("nomic_bert",), NomicBertConfig, build, TABLE)
