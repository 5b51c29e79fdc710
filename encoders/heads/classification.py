"""Classification of texts: logits of a text, or of a pair of texts in one row."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from encoders.core.encoder import Encoded
from encoders.core.errors import ConfigError
from encoders.heads.forms import LOGITS, Form, FormedHead
from encoders.heads.head import Outputs
from encoders.heads.pooling import Pooling, last_chosen

_POOLED = Form("classifier", is_pooled=True)
_TWO_LAYERS = Form("classifier.out_proj", "classifier.dense", input_dropouts=Form.dropouts)
_CONTEXT = Form(
    "classifier",
    "pooler.dense",
    "{pooler_hidden_act}",
    dropouts=("cls_dropout", "hidden_dropout_prob"),
    input_dropouts=("pooler_dropout",),
)
_ACTIVATED = dataclasses.replace(_TWO_LAYERS, activation="{hidden_act}")
_DECODER = Form("score", dropouts=(), is_last=True, skips=True, output_bias=False)
_HIDDEN = ("hidden_dropout_prob",)
_HIDDEN_TWICE = dataclasses.replace(_TWO_LAYERS, dropouts=_HIDDEN, input_dropouts=_HIDDEN)

_FORMS: Mapping[str, Form] = {
    "albert": dataclasses.replace(_POOLED, dropouts=("classifier_dropout_prob",)),
    "bert": _POOLED,
    "big_bird": _ACTIVATED,
    "camembert": _TWO_LAYERS,
    "convbert": _ACTIVATED,
    "data2vec-text": _TWO_LAYERS,
    "deberta": _CONTEXT,
    "deberta-v2": _CONTEXT,
    "distilbert": Form("classifier", "pre_classifier", "relu", dropouts=("seq_classif_dropout",)),
    "electra": dataclasses.replace(_TWO_LAYERS, activation="gelu"),
    "ernie": _POOLED,
    "esm": _HIDDEN_TWICE,
    "fnet": dataclasses.replace(_POOLED, dropouts=_HIDDEN),
    "gemma3_text": _DECODER,
    "gpt2": _DECODER,
    "gte": Form("classifier", "gte.pooler.dense"),
    "ibert": _HIDDEN_TWICE,
    "jina_bert": _POOLED,
    "jina_embeddings_v3": _TWO_LAYERS,
    "llama": _DECODER,
    "megatron-bert": dataclasses.replace(_POOLED, dropouts=_HIDDEN),
    "mistral": _DECODER,
    "mobilebert": _POOLED,
    "modernbert": Form(
        "classifier",
        "head.dense",
        "{classifier_activation}",
        norm="head.norm",
        dropouts=("classifier_dropout",),
        bias="classifier_bias",
        pooling="classifier_pooling",
    ),
    "mpnet": _HIDDEN_TWICE,
    # Its pooler is no part of the encoder, as embedders do not have it.
    "nomic_bert": Form("classifier", "nomic_bert.pooler.dense"),
    "nomic_bert_moe": Form("classifier", "nomic_bert.pooler.dense"),
    "nystromformer": dataclasses.replace(_HIDDEN_TWICE, activation="{hidden_act}"),
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "rembert": dataclasses.replace(_POOLED, dropouts=("classifier_dropout_prob",)),
    "roberta": _TWO_LAYERS,
    "roformer": dataclasses.replace(_HIDDEN_TWICE, activation="{hidden_act}"),
    "squeezebert": dataclasses.replace(_POOLED, dropouts=_HIDDEN),
    "xlm-roberta": _TWO_LAYERS,
    "xlm-roberta-xl": _TWO_LAYERS,
    "xlnet": Form(
        "logits_proj",
        "sequence_summary.summary",
        "{summary_activation}",
        dropouts=("summary_last_dropout",),
        is_last=True,
        fixed={"summary_type": "last", "summary_use_proj": True},
    ),
}
"""By `model_type`."""

_POOLINGS = ("cls", "mean")


class Classification(FormedHead):
    """Gives `logits`, float32 [B, C], of C labels."""

    task = "text-classification"
    ending = "ForSequenceClassification"
    forms = _FORMS

    def __init__(
        self, config: Mapping[str, Any], width: int, outputs: int, form: Form | None = None
    ) -> None:
        super().__init__(config, width, outputs, form)
        self.pooling = _pooling(self.form, self.options)
        self.needs_pooler = self.form.is_pooled
        usual = self.options.get("pad_token_id")  # where the configuration does not say null
        self.padding = config.get("pad_token_id", usual) if self.form.skips else None

    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> Outputs:
        """`logits`: float32 [B, C]."""
        x = encoded.pooled if self.needs_pooler else self.pooling(encoded.sequence, mask)
        return {LOGITS: self.logits(x, training)}


class _FirstPosition(tf.Module):
    """The vector of the first position, be it padding or not."""

    def __call__(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """float32 [B, S, D], int32 [B, S] -> float32 [B, D]."""
        del mask
        return sequence[:, 0]


class _LastPosition(tf.Module):
    """The vector of the last position that is no padding; of the first one where all are."""

    def __call__(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """float32 [B, S, D], int32 [B, S] -> float32 [B, D]."""
        return last_chosen(sequence, tf.not_equal(mask, 0))


def _pooling(form: Form, options: Mapping[str, Any]) -> tf.Module:
    if form.skips:
        return _LastPosition()
    if form.is_last:
        return Pooling(["lasttoken"])
    option = form.pooling
    mode = options[option] if option else "cls"
    if mode not in _POOLINGS:
        raise ConfigError(f"{option}: expected {' or '.join(_POOLINGS)}, found {mode!r}")
    return _FirstPosition() if mode == "cls" else Pooling([mode])
