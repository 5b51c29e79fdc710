"""Comparing an exported text embedding with its source.

Where sentence-transformers is installed and the checkpoint has its modules, its `encode` says what
is right. Else it is the source tokenizer, the model in torch, and a pooling in numpy. Either takes
one text at a time, so that no padding plays a part.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer

from hub_export import contract
from hub_export.publish.report import Check, Outcome
from hub_export.sources.modules import Normalize, Truncate
from hub_export.terminal import Progress
from hub_export.verify import reference, samples, transformers_tokens
from hub_export.verify.closeness import Closeness
from hub_export.verify.composed import Composed, Floats, Source

_BATCH = 8
# Longer rows take minutes, and gigabytes for the attention of one text.
_LONGEST = 1024
_PARTS = 3
_SENTENCE_TRANSFORMERS = "sentence-transformers"


@dataclasses.dataclass(frozen=True)
class Answers:
    """What the source gives.

    Attributes:
        source: what was asked.
        texts: one a row; two where a pair is.
        vectors: float32 [B, D].
    """

    source: str
    texts: Sequence[tuple[str, ...]]
    vectors: Floats


def expected(source: Source, progress: Progress) -> list[Answers]:
    """Sample texts, and what the source makes of them, told to `progress` text by text.

    Texts that `transformers`, and with it sentence-transformers, tokenizes otherwise than
    tokenizer.json says are left out: the preprocessor reports them.
    """
    texts = _texts(source)
    name, model = _asked(source)
    if name == _SENTENCE_TRANSFORMERS:
        texts = transformers_tokens.alike(source.checkpoint, texts)
    found = []
    sets: list[list[tuple[str, ...]]] = [[(text,) for text in texts]]
    if source.plan.pairs:
        sets.append(_pairs(source.tokenizer, texts))
    for rows in sets:
        with progress.bar(f"asking {name}", len(rows)) as advance:
            vectors = [_noted(model(*row), advance) for row in rows]
        found.append(Answers(name, rows, np.stack(vectors)))
    return found


def verify(
    model: Any, answers: Sequence[Answers], closeness: Closeness, progress: Progress
) -> list[Check]:
    """Compares the vectors of a loaded text embedding, by call and by signature, in mixed batches.

    A distance counts in lengths of the source's vector: in float32, no column may be off by more
    than the tolerance times the length.

    Args:
        model: the loaded SavedModel.
        answers: what `expected` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    checks = []
    for each in answers:
        worst = 0.0
        with progress.bar("verifying vectors", len(each.texts)) as advance:
            for begin in range(0, len(each.texts), _BATCH):
                rows = slice(begin, begin + _BATCH)
                for found in _computed(model, each.texts[rows]):
                    distance = closeness.distance(*_scaled(found, each.vectors[rows]))
                    worst = float(np.maximum(worst, distance))
                advance(len(each.texts[rows]))
        pairs = len(each.texts[0]) == 2
        checks.append(_check("vectors of pairs" if pairs else "vectors", each, worst, closeness))
    return checks


def _asked(source: Source) -> tuple[str, Callable[..., Floats]]:
    """Who says what is right, and a function that gives the vector of a text, or of a pair."""
    checkpoint, plan = source.checkpoint, source.plan
    modules = checkpoint.folder is not None and checkpoint.pipeline().pooling is not None
    if not (modules and reference.has_sentence_transformers()):
        own = ", the modules behind by the export's own code" if plan.modules else ""
        return f"torch, pooled in numpy{own}", Composed(source)
    cut = next((each.width for each in plan.modules if isinstance(each, Truncate)), None)
    return _SENTENCE_TRANSFORMERS, reference.SentenceReference(
        checkpoint,
        prompt=plan.prompt,
        modes=plan.pooling.modes if plan.pooling else (),
        dimensions=cut,
        normalize=cut is not None and isinstance(plan.modules[-1], Normalize),
        special_tokens=not source.tokenizer.encode_special_tokens,
    )


def _computed(model: Any, rows: Sequence[tuple[str, ...]]) -> list[tf.Tensor]:
    """The vectors of texts by call and by signature, those of pairs by signature."""
    texts, *others = (tf.constant(column) for column in zip(*rows, strict=True))
    if others:
        return [model.signatures[contract.PAIR](text=texts, text_pair=others[0])[contract.DEFAULT]]
    return [model.signatures[contract.SERVING](text=texts)[contract.DEFAULT], model(texts)]


def _scaled(found: tf.Tensor, wanted: Floats) -> tuple[Floats, Floats]:
    """Both, such that the wanted vectors are of length one."""
    lengths = np.linalg.norm(wanted, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    return np.asarray(found) / lengths, wanted / lengths


def _check(subject: str, answers: Answers, distance: float, closeness: Closeness) -> Check:
    return Check(
        f"{subject}, against {answers.source}",
        Outcome.PASSED if distance <= closeness.tolerance else Outcome.FAILED,
        f"{len(answers.texts)} compared, {closeness.words(distance, closeness.tolerance)}",
        {
            "compared": len(answers.texts),
            "distance": distance,
            "allowed": closeness.tolerance,
        },
    )


def _texts(source: Source) -> list[str]:
    """Awkward texts, random ones, and real words in rows of all lengths up to beyond the longest.

    Texts of too many tokens are left out where rows may be very long.
    """
    tokenizer, plan = source.tokenizer, source.plan
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    pieces = sorted(tokenizer.get_vocab())
    texts = [
        *samples.AWKWARD,
        *samples.fuzz(pieces, special, 40),
        *samples.lengths(pieces, 24, 2 * plan.max_length),
    ]
    return [text for text in texts if len(tokenizer.encode(plan.prompt + text)) <= _LONGEST]


def _pairs(tokenizer: Tokenizer, texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Pairs of the texts that are not much longer than a row.

    For each two parts of a pair that are cut off, the `tokenizers` library makes a row of its own,
    and rows of these again: gigabytes for long texts and short rows.
    """
    short = [text for text in texts if len(tokenizer.encode(text).overflowing) <= _PARTS]
    return [*itertools.pairwise(short)]


def _noted(vector: Floats, advance: Callable[[int], object]) -> Floats:
    advance(1)
    return vector
