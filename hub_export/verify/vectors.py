"""Comparing an exported text embedding with its source.

Where sentence-transformers is installed and the checkpoint has its modules, its `encode` says what
is right. Else it is the source tokenizer, the model in torch, and a pooling in numpy. Either takes
one text at a time, so that no padding plays a part. A distance counts in lengths of the source's
vector: in float32, no column may be off by more than the tolerance times the length.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hub_export import contract
from hub_export.terminal import Progress
from hub_export.verify import outputs, samples
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.composed import Composed
from hub_export.verify.details import Similarities
from hub_export.verify.outputs import Named, Road, Sample
from hub_export.verify.source import Source
from hub_export.verify.texts import (
    OfTexts,
    Texts,
    batches,
    by_signature,
    sample_pairs,
    sample_texts,
)
from hub_export.verify.tokens import transformers_tokens


@dataclasses.dataclass(frozen=True)
class Answers(OfTexts):
    """What the source gives.

    Attributes:
        source: what was asked.
        texts: one a row; two where a pair is.
        vectors: float32 [B, D].
        pairs: whether these are pairs of texts.
        sentences: whether these are sentences, whose similarities are compared, too.
        left_out: how many more there were, whose vectors hang on a rounding.
    """

    source: str
    texts: Texts
    vectors: Floats
    pairs: bool = False
    sentences: bool = False
    left_out: int = 0


def ask(source: Source, progress: Progress) -> list[Answers]:
    """Sample texts, and what the source makes of them, told to `progress` text by text.

    Texts that `transformers`, and with it sentence-transformers, tokenizes otherwise than
    tokenizer.json says are left out: the preprocessor reports them. Where these are the most, the
    model in torch answers on the source tokenizer's ids.
    """
    session = source.session
    plan, tokenizer = session.plan, session.tokenizer
    with plan.applied(tokenizer):
        texts = sample_texts(tokenizer, plan)
    alike = texts
    if source.sentences is not None:
        alike = transformers_tokens.alike(source.tokenizer, tokenizer, texts)
    texts = alike or texts
    with plan.applied(tokenizer):
        name, model = source.vectors if alike else source.composed
        sets: list[Texts] = [[(text,) for text in texts]]
        if plan.pairs:
            sets.append(sample_pairs(tokenizer, texts))
        sentences: Texts = [(text,) for text in samples.SENTENCES]
        if session.settings.report:
            sets.append(sentences)
        found = []
        for wanted in sets:
            rows = _certain(model, wanted)
            vectors = [model(*row) for row in progress.over(f"asking {name}", rows)]
            answers = Answers(
                name,
                rows,
                np.array(vectors, np.float32),
                pairs=len(wanted[0]) == 2,
                sentences=wanted is sentences,
                left_out=len(wanted) - len(rows),
            )
            found.append(answers)
    return found


def _certain(model: Any, rows: Texts) -> Texts:
    """The rows without those whose vectors hang on a rounding; see `Reference.doubtful`."""
    if not isinstance(model, Composed):
        return rows
    return [each for each in rows if not model.is_doubtful(*each)]


def compare(
    model: Any, answers: Sequence[Answers], closeness: Closeness, progress: Progress
) -> list[Check]:
    """Compares the vectors of a loaded text embedding, by call and by signature, in mixed batches.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    checks = []
    alike = closeness._replace(scale=lambda wanted: 1.0)
    for each in answers:
        subject = "vectors of pairs" if each.pairs else "vectors"
        subject = f"{subject}, against {each.source}"
        if not each.texts:
            words = f"the vectors of all {each.left_out} hang on a rounding"
            checks.append(Check(subject, Outcome.NOT_COMPARED, words))
            continue
        asked = progress.over("verifying vectors", _batches(each))
        worst = outputs.distances(asked, _roads(model, each), alike)
        check = outputs.check(subject, worst[contract.DEFAULT], alike, len(each.texts))
        check = _of_sentences(model, check, each) if each.sentences else check
        checks.append(outputs.with_left_out(check, each.left_out, "vectors"))
    return checks


def _of_sentences(model: Any, check: Check, answers: Answers) -> Check:
    """The check, with the similarities of the sentences."""
    [texts] = zip(*answers.texts, strict=True)
    found = by_signature(model, contract.SERVING)([tf.constant(texts)])[contract.DEFAULT]
    similar = Similarities.of(texts, answers.vectors, np.asarray(found))
    return dataclasses.replace(
        check, subject=check.subject.replace("vectors", "vectors of sentences"), details=similar
    )


def _batches(answers: Answers) -> list[Sample]:
    """Samples of a few texts each; a sample's inputs are their columns, and the rows' lengths."""
    lengths: Floats = np.linalg.norm(answers.vectors, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    found = []
    for rows, columns in batches(answers.texts):
        wanted: Floats = answers.vectors[rows] / lengths[rows]
        found.append(Sample((columns, lengths[rows]), {contract.DEFAULT: wanted}))
    return found


def _roads(model: Any, answers: Answers) -> list[Road]:
    """Of texts call and signature, of pairs the signature; each in lengths of what is wanted."""

    def served(name: str) -> Callable[[Any], Named]:
        ask = by_signature(model, name)
        return lambda inputs: _scaled(ask(inputs[0])[contract.DEFAULT], inputs[1])

    if answers.pairs:
        return [Road(served(contract.PAIR))]
    by_call = Road(lambda inputs: _scaled(model(inputs[0][0]), inputs[1]))
    return [Road(served(contract.SERVING)), *([by_call] if callable(model) else [])]


def _scaled(found: tf.Tensor, lengths: Floats) -> Named:
    scaled: Floats = np.divide(found, lengths)
    return {contract.DEFAULT: scaled}
