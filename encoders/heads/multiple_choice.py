"""Multiple choice (https://arxiv.org/abs/1808.05326): how well a choice goes with a text."""

from collections.abc import Mapping
from typing import ClassVar

from encoders.heads.classification import Classification
from encoders.heads.forms import Form

_POOLED = Form("classifier", dropouts=("hidden_dropout_prob",), is_pooled=True)
_CLASSIFYING = """albert bert deberta-v2 distilbert ernie fnet megatron-bert mobilebert modernbert
rembert squeezebert xlnet""".split()
_POOLING = """big_bird camembert data2vec-text ibert mpnet roberta xlm-roberta
xlm-roberta-xl""".split()
# The only summary of ELECTRA that is supported: it has others, which no checkpoint is known of.
_SUMMARY = Form(
    "classifier",
    "sequence_summary.summary",
    "{summary_activation}",
    dropouts=("summary_last_dropout",),
    fixed={"summary_type": "first", "summary_use_proj": True},
)


class MultipleChoice(Classification):
    """Gives `logits`, float32 [B, 1], of a text and one of its choices in a row.

    Of some families it has the form of their classification, with one logit.
    """

    task = "multiple-choice"
    ending = "ForMultipleChoice"
    forms: ClassVar[Mapping[str, Form]] = {
        **{name: Classification.forms[name] for name in _CLASSIFYING},
        **dict.fromkeys(_POOLING, _POOLED),
        "convbert": Form(
            "classifier",
            dropouts=(),
            is_last=True,
            fixed={"summary_type": "last", "summary_use_proj": False},
        ),
        "electra": _SUMMARY,
        "nystromformer": Form("classifier", "pre_classifier", "relu", dropouts=()),
    }
