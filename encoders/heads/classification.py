"""Classification of texts: logits of a text, or of a pair of texts in one row.

What stands before the last dense layer is each family's own, as `transformers` has it in its
`...ForSequenceClassification`: a line of `FORMS`.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from encoders.core.activations import activation
from encoders.core.encoder import Encoded
from encoders.core.errors import ConfigError
from encoders.core.layers import Dropout, LayerNorm, Linear
from encoders.core.rows import Row, linear, norm
from encoders.heads.head import Head, Outputs
from encoders.heads.pooling import Pooling

if TYPE_CHECKING:
    from encoders.core.architecture import Architecture

LOGITS = "logits"


@dataclasses.dataclass(frozen=True)
class Form:
    """The classifier of a family.

    Attributes:
        output: the name of the last dense layer in checkpoints.
        dense: the name of the one before it; empty where the encoder's pooler is that.
        activation: what follows `dense`, or in braces the option that names it.
        norm: the name of the norm behind that; empty where there is none.
        dropouts: options that give the dropout's rate; the first one that does counts.
        input_dropouts: the same for the dropout before `dense`; empty where there is none.
        bias: the option that says whether `dense` has a bias; empty where it always has.
        pooling: the option that says what `dense` takes; empty where it is the first position.
    """

    output: str
    dense: str = ""
    activation: str = "tanh"
    norm: str = ""
    dropouts: tuple[str, ...] = ("classifier_dropout", "hidden_dropout_prob")
    input_dropouts: tuple[str, ...] = ()
    bias: str = ""
    pooling: str = ""


_POOLED = Form("classifier")
_TWO_LAYERS = Form("classifier.out_proj", "classifier.dense", input_dropouts=Form.dropouts)
_CONTEXT = Form(
    "classifier",
    "pooler.dense",
    "{pooler_hidden_act}",
    dropouts=("cls_dropout", "hidden_dropout_prob"),
    input_dropouts=("pooler_dropout",),
)
_HIDDEN = ("hidden_dropout_prob",)

FORMS: Mapping[str, Form] = {
    "albert": Form("classifier", dropouts=("classifier_dropout_prob",)),
    "bert": _POOLED,
    "camembert": _TWO_LAYERS,
    "deberta": _CONTEXT,
    "deberta-v2": _CONTEXT,
    "distilbert": Form("classifier", "pre_classifier", "relu", dropouts=("seq_classif_dropout",)),
    "electra": dataclasses.replace(_TWO_LAYERS, activation="gelu"),
    "modernbert": Form(
        "classifier",
        "head.dense",
        "{classifier_activation}",
        norm="head.norm",
        dropouts=("classifier_dropout",),
        bias="classifier_bias",
        pooling="classifier_pooling",
    ),
    "mpnet": dataclasses.replace(_TWO_LAYERS, dropouts=_HIDDEN, input_dropouts=_HIDDEN),
    # Its pooler is no part of the encoder, as embedders do not have it.
    "nomic_bert": Form("classifier", "nomic_bert.pooler.dense"),
    "roberta": _TWO_LAYERS,
    "xlm-roberta": _TWO_LAYERS,
}
"""By `model_type`."""

# Defaults of `transformers`, where a configuration leaves out what it says of a head.
_DEFAULTS: Mapping[str, Any] = {
    "classifier_activation": "gelu",
    "classifier_bias": False,
    "classifier_dropout_prob": 0.1,
    "classifier_pooling": "cls",
    "hidden_dropout_prob": 0.1,
    "norm_bias": False,
    "norm_eps": 1e-5,
    "pooler_dropout": 0.0,
    "pooler_hidden_act": "gelu",
    "seq_classif_dropout": 0.2,
}
_POOLINGS = ("cls", "mean")


class Classification(Head):
    """Gives `logits`, float32 [B, C], of C labels."""

    def __init__(self, config: Mapping[str, Any], width: int, labels: int) -> None:
        """Declares its variables.

        Args:
            config: the checkpoint's configuration.
            width: D of the encoder.
            labels: C.

        Raises:
            ConfigError: `transformers` has no such head for the architecture, or an option of it
                is not supported.
        """
        super().__init__()
        model_type = str(config.get("model_type"))
        if model_type not in FORMS:
            raise ConfigError(
                f"no classification of texts for model_type {model_type}; supported: "
                + ", ".join(sorted(FORMS))
            )
        self.form = form = FORMS[model_type]
        options = {**_DEFAULTS, **{k: v for k, v in config.items() if v is not None}}
        self.pooling = _pooling(form.pooling, options)
        bias = not form.bias or options[form.bias]
        self.dense = Linear(width, width, bias) if form.dense else None
        name = form.activation
        self.activation = activation(options[name[1:-1]] if name.startswith("{") else name)
        epsilon, shifts = options["norm_eps"], options["norm_bias"]
        self.layer_norm = LayerNorm(width, epsilon, shifts) if form.norm else None
        self.input_dropout, self.dropout = (
            Dropout(next((options[name] for name in names if name in options), 0.0))
            for names in (form.input_dropouts, form.dropouts)
        )
        self.output = Linear(width, labels)

    def rows(self, architecture: "Architecture") -> tuple[Row, ...]:
        """Its rows of the weight table."""
        del architecture
        form = self.form
        rows = [*linear("output", form.output)]
        if form.dense:
            rows += linear("dense", form.dense)
        if form.norm:
            rows += norm("layer_norm", form.norm)
        return tuple(rows)

    @property
    def needs_pooler(self) -> bool:
        """Whether it stands on the encoder's pooler."""
        return self.dense is None

    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> Outputs:
        """`logits`: float32 [B, C]."""
        if self.dense is None:
            x = encoded.pooled
        else:
            x = self.input_dropout(self.pooling(encoded.sequence, mask), training)
            x = self.activation(self.dense(x))
            x = x if self.layer_norm is None else self.layer_norm(x)
        return {LOGITS: self.output(self.dropout(x, training))}


class _FirstPosition(tf.Module):
    """The vector of the first position, be it padding or not."""

    def __call__(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """float32 [B, S, D], int32 [B, S] -> float32 [B, D]."""
        del mask
        return sequence[:, 0]


def _pooling(option: str, options: Mapping[str, Any]) -> tf.Module:
    mode = options[option] if option else "cls"
    if mode not in _POOLINGS:
        raise ConfigError(f"{option}: expected {' or '.join(_POOLINGS)}, found {mode!r}")
    return _FirstPosition() if mode == "cls" else Pooling([mode])
