"""The forms of heads: what stands between an encoder's vectors and the logits of a task.

It is each family's own, as `transformers` has it in its classes for the task: a line of a table.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import tensorflow as tf

from encoders.core.blocks.activations import Activation, activation
from encoders.core.blocks.layers import Dropout, LayerNorm, Linear
from encoders.core.encoder import Encoder
from encoders.core.errors import ConfigError
from encoders.core.rows import Row, linear, norm
from encoders.heads.head import TaskHead

if TYPE_CHECKING:
    from encoders.core.architecture import Architecture

LOGITS = "logits"


@dataclasses.dataclass(frozen=True)
class Form:
    """The head of a family for a task.

    Attributes:
        output: the name of the last dense layer in checkpoints.
        dense: the name of the one before it; empty where there is none.
        activation: what follows `dense`, or in braces the option that names it.
        norm: the name of the norm behind that; empty where there is none.
        dropouts: options that give the dropout's rate; the first one that does counts.
        input_dropouts: the same for the dropout before `dense`; empty where there is none.
        bias: the option that says whether `dense` has a bias; empty where it always has.
        pooling: the option that says what a vector of the row is made of; empty where it is the
            first position, and in heads of single positions.
        is_pooled: whether a vector of the row is the pooler's.
        is_last: whether it is the last token's.
        skips: whether that is looked for before any padding tokens that a text ends with.
        output_bias: whether `output` has a bias.
        dropout: the rate of all its dropouts; None where options give it.
        fixed: options that have other values, of which one is supported.
    """

    output: str
    dense: str = ""
    activation: str = "tanh"
    norm: str = ""
    dropouts: tuple[str, ...] = ("classifier_dropout", "hidden_dropout_prob")
    input_dropouts: tuple[str, ...] = ()
    bias: str = ""
    pooling: str = ""
    is_pooled: bool = False
    is_last: bool = False
    skips: bool = False
    output_bias: bool = True
    dropout: float | None = None
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def check(self, options: Mapping[str, Any]) -> None:
        """Raises ConfigError where an option has another value than the one that is supported."""
        for key, value in self.fixed.items():
            if options[key] != value:
                raise ConfigError(f"{key}: expected {value!r}, found {options[key]!r}")

    def rate(self, names: tuple[str, ...], options: Mapping[str, Any]) -> float:
        """The rate of a dropout: of the options, the first one that is there counts."""
        if self.dropout is not None and names:
            return self.dropout
        return float(next((options[name] for name in names if name in options), 0.0))


# Defaults of `transformers`, where a configuration leaves out what it says of a head.
_DEFAULTS: Mapping[str, Any] = {
    "activation": "gelu",
    "classifier_activation": "gelu",
    "classifier_bias": False,
    "classifier_dropout_prob": 0.1,
    "classifier_pooling": "cls",
    "decoder_bias": True,
    "dropout": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "legacy": True,
    "norm_bias": False,
    "norm_eps": 1e-5,
    "output_embedding_size": 1664,
    "pooler_dropout": 0.0,
    "pooler_hidden_act": "gelu",
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "summary_activation": "gelu",
    "summary_last_dropout": 0.1,
    "summary_type": "first",
    "summary_use_proj": True,
    "tie_word_embeddings": True,
}
_OWN_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "albert": {"hidden_act": "gelu_new"},
    "big_bird": {"hidden_act": "gelu_new"},
    "convbert": {"summary_type": "last", "summary_use_proj": False},
    "fnet": {"hidden_act": "gelu_new"},
    "gemma3_text": {"pad_token_id": 0},
    "mobilebert": {"hidden_dropout_prob": 0.0},
    "nomic_bert": {"hidden_act": "silu", "hidden_dropout_prob": 0.0},
    "nomic_bert_moe": {"hidden_dropout_prob": 0.0},
    "nystromformer": {"hidden_act": "gelu_new"},
    "xlnet": {"summary_activation": "tanh", "summary_type": "last"},
}
"""By `model_type`, where they differ from those."""


def options_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A checkpoint's configuration, with the defaults of `transformers` for heads."""
    own = _OWN_DEFAULTS.get(str(config.get("model_type")), {})
    return {**_DEFAULTS, **own, **{k: v for k, v in config.items() if v is not None}}


def activation_of(name: str, options: Mapping[str, Any]) -> Activation:
    """The activation of a form: its name, or in braces the option that names it.

    Raises:
        ConfigError: it is not supported.
    """
    return activation(options[name[1:-1]] if name.startswith("{") else name)


class FormedHead(TaskHead):
    """A head of one of the forms of its class.

    Attributes:
        options: the checkpoint's configuration, with the defaults of `transformers`.
    """

    forms: ClassVar[Mapping[str, Form]]

    def __init__(
        self, config: Mapping[str, Any], width: int, outputs: int, form: Form | None = None
    ) -> None:
        """Declares its variables.

        Args:
            config: the checkpoint's configuration.
            width: D of the encoder.
            outputs: the width of its logits, such as the number of labels.
            form: what stands in this checkpoint; by default that of its family.

        Raises:
            ConfigError: `transformers` has no such head for the architecture, or an option of it
                is not supported.
        """
        super().__init__()
        form = self.form_of(config) if form is None else form
        self.form: Form = form
        self.options = options = options_of(config)
        form.check(options)
        bias = not form.bias or options[form.bias]
        self.dense = Linear(width, width, bias) if form.dense else None
        self.activation = activation_of(form.activation, options)
        epsilon, shifts = options["norm_eps"], options["norm_bias"]
        self.layer_norm = LayerNorm(width, epsilon, shifts) if form.norm else None
        self.input_dropout, self.dropout = (
            Dropout(form.rate(names, options)) for names in (form.input_dropouts, form.dropouts)
        )
        self.output = Linear(width, outputs, form.output_bias)

    @classmethod
    def of(
        cls, config: Mapping[str, Any], encoder: Encoder, outputs: int, form: Any = None
    ) -> "FormedHead":
        """The head of a checkpoint; see the constructor."""
        return cls(config, encoder.dimensions.width, outputs, form)

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

    def logits(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """float32 [..., D] -> float32 [..., outputs]."""
        if self.dense is not None:
            x = self.activation(self.dense(self.input_dropout(x, training)))
            x = x if self.layer_norm is None else self.layer_norm(x)
        return self.output(self.dropout(x, training))
