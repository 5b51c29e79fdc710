"""Comparing LiteRT copies with the source, by what it has answered about the product copied.

What is asked is `hub_export.litert`, as a user asks it: tokens by the copy's tokenizer.json. In
float32 a copy must be as close as an export, with other weights as close as their rounding is, by
the cosine; of a text embedding the report states, too, how well similarities keep their order.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from hub_export import contract
from hub_export.contract import MASK, POOLED, SEQUENCE, TYPE_IDS, WORD_IDS
from hub_export.litert import Model, TextModel, description
from hub_export.litert.interpreters import Interpreters
from hub_export.litert.model import Row
from hub_export.litert.text_model import Signature
from hub_export.models.litert import LiteRtCopy
from hub_export.models.served_litert import ServedCopy
from hub_export.settings import (
    ENCODER,
    FILL_MASK,
    FLOAT32,
    LATE_INTERACTION,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    SPARSE_EMBEDDING,
    TEXT_CLASSIFICATION,
    TEXT_EMBEDDING,
    TOKEN_CLASSIFICATION,
    product_of,
)
from hub_export.terminal import Progress
from hub_export.verify import numbers, outputs, vectors
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.closeness import Closeness, Floats, closeness
from hub_export.verify.outputs import Named, Road, Sample
from hub_export.verify.tasks import (
    classification,
    fill_mask,
    late_interaction,
    multiple_choice,
    question_answering,
    sparse_embedding,
    token_classification,
)


def compare(folder: Path, copy: LiteRtCopy, answers: Any, progress: Progress) -> Iterator[Check]:
    """Compares every precision of a copy.

    Args:
        folder: of the copy.
        copy: what it is.
        answers: of the source about the product copied.
        progress: told of every sample.
    """
    name = copy.of.name
    for precision in copy.precisions:
        close = _closeness(copy, precision)
        if name == ENCODER:
            found = _encoder(Model(folder, precision), answers, _of_rows(copy, precision), progress)
        else:
            model = TextModel(folder, precision)
            fitting = _fitting(model, answers)
            compare, served = _OF_TEXTS[name]
            found = compare(served(model), fitting, close, progress)
            if name == TEXT_EMBEDDING and fitting[0].texts:
                found.append(_order(model, fitting[0]))
        for each in found:
            yield dataclasses.replace(each, subject=f"{copy.kind} {precision}, {each.subject}")


def compare_served(
    place: Path, copy: ServedCopy, answers: Sequence[Sample], progress: Progress
) -> Iterator[Check]:
    """Compares the file beside an encoder, asked by its signature, a row at a time.

    Args:
        place: the folder of the encoder's SavedModel.
        copy: what it is.
        answers: of the source about the encoder.
        progress: told of every sample.
    """
    [precision], length = copy.precisions, copy.longest
    padding = {WORD_IDS: copy.session.size.padding, MASK: 0, TYPE_IDS: 0}
    with Interpreters(place / description.SERVED, threads=1).lent(contract.SERVING) as run:

        def compute(inputs: Mapping[str, Any]) -> Named:
            rows, tokens = inputs[MASK].shape
            full = {name: np.full((rows, length), id, np.int32) for name, id in padding.items()}
            for name, values in full.items():
                values[:, :tokens] = inputs[name]
            found = [
                run(contract.SERVING, {name: each[[row]] for name, each in full.items()})
                for row in range(rows)
            ]
            return {
                POOLED: np.concatenate([each[POOLED] for each in found]),
                SEQUENCE: np.concatenate([each[SEQUENCE][:, :tokens] for each in found]),
            }

        checks = _rows(compute, length, answers, _of_rows(copy, precision), progress)
    for each in checks:
        yield dataclasses.replace(each, subject=f"{copy.kind} {precision}, {each.subject}")


def _closeness(copy: LiteRtCopy | ServedCopy, precision: str, of_tokens: bool = False) -> Closeness:
    settings = copy.session.settings
    asked = settings.tolerance if precision == FLOAT32 else settings.litert_tolerance
    return closeness(precision, asked, of_tokens)


def _of_rows(copy: LiteRtCopy | ServedCopy, precision: str) -> Mapping[str, Closeness]:
    """How to compare each output of an encoder."""
    return {
        POOLED: _closeness(copy, precision),
        SEQUENCE: _closeness(copy, precision, of_tokens=True),
    }


def _encoder(
    model: Model, answers: Sequence[Sample], close: Mapping[str, Closeness], progress: Progress
) -> list[Check]:
    def compute(inputs: Mapping[str, Any]) -> Named:
        columns = (inputs[name] for name in (WORD_IDS, MASK, TYPE_IDS))
        found = model([Row(*row) for row in zip(*columns, strict=True)])
        return {name: np.asarray(each) for name, each in found.items()}

    return _rows(compute, model.description.longest, answers, close, progress)


def _rows(
    compute: Callable[[Mapping[str, Any]], Named],
    longest: int,
    answers: Sequence[Sample],
    close: Mapping[str, Closeness],
    progress: Progress,
) -> list[Check]:
    """Compares what is computed of rows of tokens, of those that are not too long."""
    fitting = [each for each in answers if each.inputs[MASK].shape[1] <= longest]

    def at_tokens(inputs: Mapping[str, Any]) -> Named:
        # What stands at padding depends on how far a row is padded, in some architectures.
        return numbers.real(Sample(inputs, compute(inputs)))

    asked = progress.over("verifying a LiteRT copy", fitting)
    worst = outputs.distances(asked, [Road(at_tokens, numbers.real)], close[POOLED])
    return [check for name, each in close.items() for check in numbers.checks(worst, [name], each)]


class _Served:
    """A copy that is asked as a loaded SavedModel is, by signatures."""

    def __init__(self, model: TextModel) -> None:
        self.signatures = {
            name: functools.partial(_answers, each) for name, each in model.signatures.items()
        }


class _Called(_Served):
    """The same by its call and its methods, too."""

    def __init__(self, model: TextModel) -> None:
        super().__init__(model)
        self._model: Any = model

    def __call__(self, inputs: Any) -> Any:
        columns = inputs if isinstance(inputs, list) else [inputs]
        return _tensors(self._model(*map(_column, columns)))

    def entities(self, texts: tf.Tensor, aggregation: str) -> Any:
        return _tensors(self._model.entities(_column(texts), aggregation))

    def query(self, texts: tf.Tensor) -> Any:
        return _tensors(self._model.query(_column(texts)))

    def document(self, texts: tf.Tensor) -> Any:
        return _tensors(self._model.document(_column(texts)))


_OF_TEXTS: Mapping[str, tuple[Any, type[_Served]]] = {
    TEXT_EMBEDDING: (vectors.compare, _Served),
    product_of(TEXT_CLASSIFICATION): (classification.compare, _Served),
    product_of(TOKEN_CLASSIFICATION): (token_classification.compare, _Called),
    product_of(MULTIPLE_CHOICE): (multiple_choice.compare, _Called),
    product_of(FILL_MASK): (fill_mask.compare, _Called),
    product_of(SPARSE_EMBEDDING): (sparse_embedding.compare, _Called),
    product_of(LATE_INTERACTION): (late_interaction.compare, _Called),
    product_of(QUESTION_ANSWERING): (question_answering.compare, _Called),
}
"""Who compares, and how the copy is asked, by the name of the product copied.

Only where a call gives what no signature does is it asked as well.
"""


def _answers(signature: Signature, **columns: tf.Tensor) -> Any:
    return _tensors(signature.ask(*(_column(columns[name]) for name in signature.inputs)))


def _column(texts: tf.Tensor | tf.RaggedTensor) -> list[Any]:
    """Texts, or lists of them, as a user has them."""
    found = texts.to_list() if isinstance(texts, tf.RaggedTensor) else texts.numpy().tolist()
    return [*found]


def _tensors(found: Any) -> Any:
    """What a copy gives as a SavedModel gives it; lists of arrays are ragged tensors there."""
    if isinstance(found, Mapping):
        return {name: _tensors(each) for name, each in found.items()}
    if isinstance(found, list):
        values = _tensors(np.concatenate(found))
        return tf.RaggedTensor.from_row_lengths(values, [*map(len, found)])
    if found.dtype != object:
        return tf.constant(found)
    encoded = np.array([each.encode() for each in found.flat], object)
    return tf.constant(encoded.reshape(found.shape), tf.string)


def _fitting(model: TextModel, answers: Any) -> Any:
    """The answers about texts that a copy of shorter rows does not cut."""
    longest = model.description.longest
    if not model.reading.cuts or isinstance(answers, str):
        return answers

    def fits(*texts: str) -> bool:
        return all(len(row.word_ids) < longest for row in model.rows(*([each] for each in texts)))

    if not isinstance(answers, list):
        return answers.where(fits)
    # Of sentences that are all too long, nothing is left.
    return [found for each in answers if (found := each.where(fits)).texts]


def _order(model: TextModel, answers: vectors.Answers) -> Check:
    """How well the similarities of all pairs of texts keep their order, as a rank correlation.

    It is told, not judged: what a loss of order costs depends on what similarities are used for.
    """
    found = np.asarray(model([text for (text,) in answers.texts]))
    ranks = np.stack([_ranks(_cosines(each)) for each in (found, answers.vectors)])
    correlation, count = float(np.asarray(np.corrcoef(ranks))[0, 1]), ranks.shape[1]
    return Check(
        "order of similarities",
        Outcome.PASSED,
        f"rank correlation {correlation:.6f} over {count} pairs of texts",
        {"compared": count, "correlation": correlation},
    )


def _cosines(vectors: Floats) -> Floats:
    """Of each two of float32 [n, D]: [n (n - 1) / 2]."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    unit = vectors / lengths
    found: Floats = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    return found


def _ranks(values: Floats) -> npt.NDArray[np.float64]:
    """Spearman's: of equal values, the mean of their places."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(np.cumsum(counts) - (counts - 1) / 2)[places]
