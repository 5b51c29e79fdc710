"""Comparing zero-shot classification with the pipeline of `transformers`, of which this is a copy
in numpy: texts and claims are packed by the source's tokenizer, and judged by the model in torch.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hub_export import contract
from hub_export.contract import LOGITS, SCORES, ZERO_SHOT, ZERO_SHOT_MULTI_LABEL
from hub_export.litert.numbers import softmax
from hub_export.terminal import Progress
from hub_export.verify import outputs
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Named, Road, Sample
from hub_export.verify.source import Source
from hub_export.verify.texts import row, sample_texts

LABELS = (("travel", "", "日本 politics", "über-[SEP]"), ("sports",))
_TEXTS = 24


def ask(source: Source, progress: Progress) -> list[Sample]:
    """Some texts with several labels, and with one; what is right for each."""
    session, model = source.session, source.task_model
    tokenizer, plan = session.tokenizer, session.plan
    assert session.task is not None and session.task.zero_shot is not None
    task, found = session.task.zero_shot, []
    with plan.applied(tokenizer):
        side = (tokenizer.truncation or {}).get("direction", "right")
        tokenizer.enable_truncation(plan.max_length, strategy="only_first", direction=side)
        texts = sample_texts(tokenizer, plan)
        texts = texts[:: max(len(texts) // _TEXTS, 1)]
        for labels in LABELS:
            claims, logits = [task.template.replace("{}", label) for label in labels], []
            for text in progress.over("asking torch for zero-shot", texts):
                pairs = [row(tokenizer, session.size.types, text, each) for each in claims]
                logits.append([model(*pair)[LOGITS][0] for pair in pairs])
            chosen = np.array(logits)[..., [task.contradiction, task.entailment]]
            inputs = {contract.TEXT: texts, contract.LABELS: [*labels]}
            found.append(Sample(inputs, _scores(chosen)))
    return found


def compare(
    model: Any, answers: Sequence[Sample], closeness: Closeness, progress: Progress
) -> list[Check]:
    """Compares the scores of both signatures of a loaded classification."""
    road = Road(functools.partial(_asked, model))
    worst = outputs.distances(progress.over("verifying zero-shot", answers), [road], closeness)
    count = sum(each.wanted[ZERO_SHOT].size for each in answers)
    return [outputs.check(f"scores of {name}", worst[name], closeness, count) for name in worst]


def _asked(model: Any, inputs: Mapping[str, Sequence[str]]) -> Mapping[str, tf.Tensor]:
    columns = {name: tf.constant(each) for name, each in inputs.items()}
    return {
        name: model.signatures[name](**columns)[SCORES]
        for name in (ZERO_SHOT, ZERO_SHOT_MULTI_LABEL)
    }


def _scores(logits: Floats) -> Named:
    """Signature -> float32 [B, C], of the logits of contradiction and entailment [B, C, 2]."""
    alone = softmax(logits)[..., 1]
    several = logits.shape[1] > 1
    among = softmax(logits[..., 1]) if several else alone
    return {ZERO_SHOT: among, ZERO_SHOT_MULTI_LABEL: alone}
