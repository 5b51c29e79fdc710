"""Masked language modelling (https://arxiv.org/abs/1810.04805): which token a position has."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow as tf

from encoders.core.blocks.layers import LayerNorm, Linear
from encoders.core.declared import declare
from encoders.core.encoder import Encoded, Encoder
from encoders.core.rows import TRANSPOSE, Row, linear, norm
from encoders.core.weights import Tensors
from encoders.heads.forms import LOGITS, activation_of, options_of
from encoders.heads.head import Outputs, TaskHead

if TYPE_CHECKING:
    from encoders.core.architecture import Architecture

_WORDS = "embeddings.word.table"


@dataclasses.dataclass(frozen=True)
class Form:
    """The head of a family, by what checkpoints call its parts.

    Attributes:
        dense: the layer that brings vectors to the width of the word embedding.
        norm: the norm behind it.
        decoder: the layer that compares with the vectors of all words.
        biases: its bias, the name that counts first; none where the option `bias` says so.
        activation: what stands between layer and norm, or in braces the option that names it.
        dense_bias: the option that says whether `dense` has a bias; empty where it always has.
        bias: the option that says whether the decoder has one; empty where it always has.
        width: the option that gives the width of the words' vectors; empty where it is that of the
            word embedding. With it, the decoder is never the word embedding.
    """

    dense: str
    norm: str
    decoder: str
    biases: tuple[str, ...]
    activation: str = "{hidden_act}"
    dense_bias: str = ""
    bias: str = ""
    width: str = ""


def _transformed(norm: str = "LayerNorm") -> Form:
    """That of BERT."""
    of = "cls.predictions"
    return Form(
        f"{of}.transform.dense",
        f"{of}.transform.{norm}",
        f"{of}.decoder",
        (f"{of}.decoder.bias", f"{of}.bias"),
    )


_LM_HEAD = Form(
    "lm_head.dense",
    "lm_head.layer_norm",
    "lm_head.decoder",
    ("lm_head.decoder.bias", "lm_head.bias"),
    activation="gelu",
)
_GENERATOR = Form(
    "generator_predictions.dense",
    "generator_predictions.LayerNorm",
    "generator_lm_head",
    ("generator_lm_head.bias",),
    "gelu",
)
# Of DeBERTa's checkpoints as their authors publish them (`legacy` false); always tied.
_LM_PREDICTIONS = Form(
    "lm_predictions.lm_head.dense",
    "lm_predictions.lm_head.LayerNorm",
    "",
    ("lm_predictions.lm_head.bias",),
)


class FillMask(TaskHead):
    """Gives `logits`, float32 [B, S, V], of V words.

    The decoder is the encoder's word embedding, where the checkpoint ties the two.
    """

    task = "fill-mask"
    ending = "ForMaskedLM"
    forms: ClassVar[Mapping[str, Form]] = {
        "albert": Form(
            "predictions.dense",
            "predictions.LayerNorm",
            "predictions.decoder",
            ("predictions.decoder.bias", "predictions.bias"),
        ),
        "bert": _transformed(),
        "big_bird": _transformed(),
        "camembert": _LM_HEAD,
        "convbert": _GENERATOR,
        "data2vec-text": _LM_HEAD,
        "deberta": _transformed(),
        "deberta-v2": _transformed(),
        "distilbert": Form(
            "vocab_transform",
            "vocab_layer_norm",
            "vocab_projector",
            ("vocab_projector.bias",),
            "{activation}",
        ),
        "electra": _GENERATOR,
        "ernie": _transformed(),
        "esm": dataclasses.replace(_LM_HEAD, biases=("lm_head.bias",)),
        "fnet": _transformed(),
        "gte": dataclasses.replace(_LM_HEAD, norm="lm_head.norm"),
        "ibert": _LM_HEAD,
        "jina_bert": _transformed(),
        "jina_embeddings_v3": _LM_HEAD,
        "longformer": _LM_HEAD,
        "megatron-bert": _transformed(),
        "modernbert": Form(
            "head.dense",
            "head.norm",
            "decoder",
            ("decoder.bias",),
            "{classifier_activation}",
            dense_bias="classifier_bias",
            bias="decoder_bias",
        ),
        "mpnet": _LM_HEAD,
        "nomic_bert": _transformed("layer_norm"),
        "nomic_bert_moe": _transformed("layer_norm"),
        "nystromformer": _transformed(),
        "rembert": Form(
            "cls.predictions.dense",
            "cls.predictions.LayerNorm",
            "cls.predictions.decoder",
            ("cls.predictions.decoder.bias",),
            width="output_embedding_size",
        ),
        "roberta": _LM_HEAD,
        "roformer": _transformed(),
        "squeezebert": _transformed(),
        "xlm-roberta": _LM_HEAD,
        "xlm-roberta-xl": _LM_HEAD,
    }

    def __init__(self, config: Mapping[str, Any], encoder: Encoder) -> None:
        """Declares its variables.

        Args:
            config: the checkpoint's configuration.
            encoder: what it stands on, for its sizes.

        Raises:
            ConfigError: `transformers` has no such head for the architecture, or an option of it
                is not supported.
        """
        super().__init__()
        form: Form = self.form_of(config)
        options = options_of(config)
        if config["model_type"] in ("deberta", "deberta-v2") and not options["legacy"]:
            form = _LM_PREDICTIONS
        self.form = form
        is_tied = bool(options["tie_word_embeddings"]) and not form.width
        self.ties = is_tied or not form.decoder
        words, first = encoder.embeddings.word, encoder.embeddings.layer_norm or encoder.layer_norm
        width = options[form.width] if form.width else words.table.shape[1]
        dense_bias = not form.dense_bias or options[form.dense_bias]
        self.dense = Linear(encoder.dimensions.width, width, dense_bias)
        self.activation = activation_of(form.activation, options)
        # Every family normalises here as it does behind its embeddings, or else at its end.
        assert first is not None
        self.layer_norm = LayerNorm(width, first.epsilon, first.beta is not None)
        self.decoder = Linear(width, words.rows, bias=False) if form.decoder else None
        self.bias = declare(words.rows) if not form.bias or options[form.bias] else None

    @classmethod
    def of(
        cls, config: Mapping[str, Any], encoder: Encoder, outputs: int, form: Any = None
    ) -> "FillMask":
        """The head of a checkpoint; it has as many logits as the encoder has words."""
        del outputs, form
        return cls(config, encoder)

    def rows(self, architecture: "Architecture") -> tuple[Row, ...]:
        """Its rows of the weight table."""
        del architecture
        form = self.form
        return (
            *linear("dense", form.dense),
            *norm("layer_norm", form.norm),
            Row("decoder.kernel", (f"{form.decoder}.weight",), TRANSPOSE),
            Row("bias", form.biases),
        )

    def fill(
        self, architecture: "Architecture", tensors: Tensors, dtype: tf.DType = tf.float32
    ) -> frozenset[str]:
        """Gives its variables their values; a decoder that is the word embedding needs none.

        As in `transformers`, a decoder that the configuration ties to the embedding, but that has
        other values in the checkpoint, is one by itself.

        Raises:
            WeightsError: a tensor is missing, or of another shape.
        """
        decoder = f"{self.form.decoder}.weight"
        if self.ties and _are_equal(tensors, decoder, architecture):
            self.decoder = None
        taken = super().fill(architecture, tensors, dtype)
        return taken | ({decoder} & tensors.keys())

    def initial(
        self, architecture: "Architecture", config: Mapping[str, Any]
    ) -> Mapping[str, Callable[[], np.ndarray]]:
        """As those of any head; a decoder that is the word embedding needs none."""
        drawn = super().initial(architecture, config)
        tied = f"{self.form.decoder}.weight" if self.ties else ""
        return {name: values for name, values in drawn.items() if name != tied}

    def join(self, encoder: Encoder) -> None:
        """Takes the encoder's word embedding as its decoder, where it has none by itself."""
        if self.decoder is None:
            self.word = encoder.embeddings.word

    def logits(self, x: tf.Tensor) -> tf.Tensor:
        """float32 [..., D] -> float32 [..., V]."""
        x = self.layer_norm(self.activation(self.dense(x)))
        x = self.decoder(x) if self.decoder is not None else _compared(x, self.word.table)
        return x if self.bias is None else x + self.bias

    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> Outputs:
        """`logits`: float32 [B, S, V]."""
        del mask, training
        return {LOGITS: self.logits(encoded.sequence)}


def _compared(x: tf.Tensor, table: tf.Variable) -> tf.Tensor:
    """Products with the vectors of all words: float32 [..., E], [V, E] -> float32 [..., V]."""
    product = tf.matmul(tf.cast(x, table.dtype), table, transpose_b=True)
    return tf.cast(product, tf.float32)


def _are_equal(tensors: Tensors, decoder: str, architecture: "Architecture") -> bool:
    """Whether a decoder has the values of the word embedding, or none of its own."""
    if decoder not in tensors:
        return True
    table = architecture.table
    [row] = (each for each in table.rows if each.target == _WORDS)
    names = [f"{prefix}{name}" for prefix in (table.prefix, "") for name in row.sources]
    word = next((name for name in names if name in tensors), None)
    return word is not None and np.array_equal(tensors[decoder], tensors[word])
