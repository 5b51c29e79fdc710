"""Classification of tokens (entities, parts of speech): logits of every position."""

from collections.abc import Mapping
from typing import ClassVar

import tensorflow as tf

from encoders.core.encoder import Encoded
from encoders.heads.forms import LOGITS, Form, FormedHead
from encoders.heads.head import Outputs

_PLAIN = Form("classifier")
_OWN = Form("classifier", dropouts=("classifier_dropout_prob",))
_HIDDEN = Form("classifier", dropouts=("hidden_dropout_prob",))
# ModernBERT's has a layer more, like all of its heads.
PREDICTION = Form(
    "classifier",
    "head.dense",
    "{classifier_activation}",
    norm="head.norm",
    dropouts=("classifier_dropout",),
    bias="classifier_bias",
)


class TokenClassification(FormedHead):
    """Gives `logits`, float32 [B, S, C], of C labels."""

    task = "token-classification"
    ending = "ForTokenClassification"
    forms: ClassVar[Mapping[str, Form]] = {
        "albert": _OWN,
        "bert": _PLAIN,
        "big_bird": _PLAIN,
        "camembert": _PLAIN,
        "convbert": _PLAIN,
        "data2vec-text": _PLAIN,
        "deberta": _HIDDEN,
        "deberta-v2": _HIDDEN,
        "distilbert": Form("classifier", dropouts=("dropout",)),
        "electra": _PLAIN,
        "ernie": _PLAIN,
        "esm": _HIDDEN,
        "fnet": _HIDDEN,
        "gte": _PLAIN,
        "ibert": _HIDDEN,
        "jina_bert": _PLAIN,
        "jina_embeddings_v3": _PLAIN,
        "longformer": _HIDDEN,
        "megatron-bert": _HIDDEN,
        "mobilebert": _PLAIN,
        "modernbert": PREDICTION,
        "mpnet": _HIDDEN,
        "nomic_bert": _PLAIN,
        "nystromformer": _HIDDEN,
        "rembert": _OWN,
        "roberta": _PLAIN,
        "roformer": _HIDDEN,
        "squeezebert": _HIDDEN,
        "xlm-roberta": _PLAIN,
        "xlm-roberta-xl": _PLAIN,
        "xlnet": Form("classifier", dropouts=()),
    }

    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> Outputs:
        """`logits`: float32 [B, S, C]."""
        del mask
        return {LOGITS: self.logits(encoded.sequence, training)}
