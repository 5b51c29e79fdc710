"""Extractive question answering (https://arxiv.org/abs/1606.05250): where an answer may stand."""

from collections.abc import Mapping
from typing import ClassVar

import tensorflow as tf

from encoders.core.encoder import Encoded
from encoders.heads.forms import Form, FormedHead
from encoders.heads.head import Outputs
from encoders.heads.token_classification import PREDICTION

START, END = "start_logits", "end_logits"
_PLAIN = Form("qa_outputs", dropouts=())
_FAMILIES = """albert bert camembert convbert data2vec-text deberta deberta-v2 electra ernie fnet
ibert jina_embeddings_v3 megatron-bert mobilebert mpnet nystromformer rembert roberta roformer
squeezebert xlm-roberta xlm-roberta-xl""".split()


class QuestionAnswering(FormedHead):
    """Gives `start_logits` and `end_logits`, float32 [B, S]: of the first and the last token."""

    task = "question-answering"
    ending = "ForQuestionAnswering"
    forms: ClassVar[Mapping[str, Form]] = {
        **dict.fromkeys(_FAMILIES, _PLAIN),
        "distilbert": Form("qa_outputs", dropouts=("qa_dropout",)),
        "modernbert": PREDICTION,
    }

    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> Outputs:
        """`start_logits`, `end_logits`: float32 [B, S]."""
        del mask
        logits = self.logits(encoded.sequence, training)
        return {START: logits[..., 0], END: logits[..., 1]}
