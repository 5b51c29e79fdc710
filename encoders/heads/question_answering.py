"""Extractive question answering (https://arxiv.org/abs/1606.05250): where an answer may stand."""

from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf

from encoders.core.encoder import Encoded
from encoders.core.errors import ConfigError
from encoders.heads.forms import Form, FormedHead
from encoders.heads.head import Outputs
from encoders.heads.token_classification import PREDICTION

START, END = "start_logits", "end_logits"
_PLAIN = Form("qa_outputs", dropouts=())
_FAMILIES = """albert bert camembert convbert data2vec-text deberta deberta-v2 electra ernie fnet
ibert jina_bert jina_embeddings_v3 megatron-bert mobilebert mpnet nystromformer rembert roberta
roformer squeezebert xlm-roberta xlm-roberta-xl""".split()
# `transformers` has two classes for each: one with a beam, and one like that of other families.
_SIMPLE = "Simple"
_TWOFOLD = ("flaubert", "xlm", "xlnet")


class QuestionAnswering(FormedHead):
    """Gives `start_logits` and `end_logits`, float32 [B, S]: of the first and the last token."""

    task = "question-answering"
    ending = "ForQuestionAnswering"
    forms: ClassVar[Mapping[str, Form]] = {
        **dict.fromkeys((*_FAMILIES, *_TWOFOLD), _PLAIN),
        "distilbert": Form("qa_outputs", dropouts=("qa_dropout",)),
        "modernbert": PREDICTION,
    }

    @classmethod
    def is_of(cls, name: str) -> bool:
        """Whether a class of `transformers` is for the task, with a beam or without."""
        return name.removesuffix(_SIMPLE).endswith(cls.ending)

    @classmethod
    def form_of(cls, config: Mapping[str, Any]) -> Any:
        """What is special to the family of a configuration.

        Raises:
            ConfigError: `transformers` has no such head for it, or it is one with a beam.
        """
        if config.get("model_type") in _TWOFOLD:
            for name in map(str, config.get("architectures") or ()):
                if name.endswith(cls.ending):
                    raise ConfigError(
                        f"architectures: {name} searches with a beam: what it says of an answer's "
                        f"end depends on each place where one may begin; expected {name}{_SIMPLE}, "
                        "whose logits depend on their own token alone. To leave the head out, say "
                        "task=feature-extraction"
                    )
        return super().form_of(config)

    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> Outputs:
        """`start_logits`, `end_logits`: float32 [B, S]."""
        del mask
        logits = self.logits(encoded.sequence, training)
        return {START: logits[..., 0], END: logits[..., 1]}
