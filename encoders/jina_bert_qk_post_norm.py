"""Jina BERT that normalises queries and keys, of Jina Embeddings 2 for code.

As Jina BERT (https://arxiv.org/abs/2310.19923), but queries and keys are normalised before they are
split into heads; what the attention gives is normalised with its input, and once more with it; and
of the gated part's dense layer, the second half is activated. Folders say `bert` as their
`model_type`, and `qk-post-norm` in the name of their code.
"""

import tensorflow as tf

from encoders import bert, gte
from encoders.core.architecture import Architecture
from encoders.core.attention.attention import Projected, SelfAttention
from encoders.core.blocks.activations import activation
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.layers import LayerNorm
from encoders.core.encoder import Encoder
from encoders.core.layout.layout import Layout
from encoders.core.rows import linear, norm
from encoders.core.weights import Table
from encoders.jina_bert import EMBEDDING_ROWS, JinaBertConfig, encoder


class NormedAttention(SelfAttention):
    """Attention with queries and keys that are normalised as a whole, not by head."""

    def __init__(self, width: int, heads: int, dropout: float, epsilon: float) -> None:
        super().__init__(width, heads, dropout)
        self.query_layer_norm = LayerNorm(width, epsilon)
        self.key_layer_norm = LayerNorm(width, epsilon)

    def project(self, x: tf.Tensor, layout: Layout) -> Projected:
        """[N, D] -> query, key and value, each [N, H, K]."""
        del layout
        query, key = self.query_layer_norm(self.query(x)), self.key_layer_norm(self.key(x))
        return self.split(query), self.split(key), self.split(self.value(x))


class NormTwice(tf.Module):
    """Joins what a part gets with what it gives, and what comes of that with the former again."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.layer_norm = LayerNorm(width, epsilon)

    def __call__(
        self, x: tf.Tensor, given: tf.Tensor, layer_norm: LayerNorm, training: bool
    ) -> tf.Tensor:
        """Float32 [N, D] twice -> float32 [N, D]."""
        del training
        return self.layer_norm(x + layer_norm(x + given))


_BLOCK, _OWN = "encoder.layer.{layer}", "encoder.layer.{layer}.attention.self"

TABLE = Table(
    rows=(
        *EMBEDDING_ROWS,
        *bert.ATTENTION_ROWS,
        *bert.ATTENTION_NORM_ROWS,
        *norm("blocks.{layer}.attention.query_layer_norm", f"{_OWN}.layer_norm_q"),
        *norm("blocks.{layer}.attention.key_layer_norm", f"{_OWN}.layer_norm_k"),
        *norm("blocks.{layer}.attention_join.layer_norm", f"{_BLOCK}.layer_norm_1"),
        *linear("blocks.{layer}.feed_forward.inner", f"{_BLOCK}.mlp.up_gated_layer"),
        *linear("blocks.{layer}.feed_forward.output", f"{_BLOCK}.mlp.down_layer"),
        *norm("blocks.{layer}.feed_forward_layer_norm", f"{_BLOCK}.layer_norm_2"),
        *bert.POOLER_ROWS,
    ),
    prefix=bert.TABLE.prefix,
    buffers=bert.TABLE.buffers,
)


def build(config: JinaBertConfig) -> Encoder:
    """The encoder, its variables declared."""
    width, heads, inner = config.hidden_size, config.num_attention_heads, config.intermediate_size
    weights_dropout, epsilon = config.attention_probs_dropout_prob, config.layer_norm_eps
    function, dropout = activation(config.hidden_act), config.hidden_dropout_prob
    blocks = bert.blocks(
        config,
        PostNormBlock,
        lambda: NormedAttention(width, heads, weights_dropout, epsilon),
        lambda: gte.FeedForward(width, inner, function, dropout),
        feed_forward_dropout=0.0,
    )
    for block in blocks:
        block.attention_join = NormTwice(width, epsilon)
    return encoder(config, blocks)


ARCHITECTURE = Architecture(("jina_bert_qk_post_norm",), JinaBertConfig, build, TABLE, reference="")
