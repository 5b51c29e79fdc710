"""Comparing an exported encoder with the source model in torch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from encoders import Dimensions, Encoded
from hub_export import contract
from hub_export.publish.report import Check, Outcome
from hub_export.terminal import Progress
from hub_export.verify import samples
from hub_export.verify.closeness import Closeness, Floats

Batch: TypeAlias = tuple[samples.Ids, samples.Ids, samples.Ids]
Reference = Callable[[samples.Ids, samples.Ids, samples.Ids], Encoded]


def expected(reference: Reference, size: Dimensions) -> list[tuple[Batch, Encoded]]:
    """Batches, and what the source gives for them; the source itself is not needed any longer.

    Args:
        reference: computes the source's outputs.
        size: the encoder's sizes.
    """
    return [(batch, reference(*batch)) for batch in samples.batches(size)]


def verify(
    model: Any,
    answers: Sequence[tuple[Batch, Encoded]],
    closeness: Closeness,
    progress: Progress,
) -> list[Check]:
    """Compares every output of a loaded encoder, by call and by signature, with the source's.

    In float32, the largest difference of an output must stay within the tolerance times the
    largest absolute value that the source gives there, or times one where that is smaller. The
    pooled output is made of the sequence output, whose differences a pooler passes on: it may
    differ as much as that. (A random XLM-R of 12 layers, one token, against float64: TensorFlow's
    pooled output was off by 1.4e-5, torch's by 3.2e-6; both hold 5e-6 where there are more tokens.)

    Args:
        model: the loaded SavedModel.
        answers: what `expected` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    worst: dict[str, tuple[float, float]] = {}
    with progress.bar("verifying numbers", len(answers)) as advance:
        for batch, encoded in answers:
            wanted = _flat(contract.outputs(encoded))
            called, served = _computed(model, batch)
            for name, values in called.items():
                _note(worst, closeness, name, values, wanted[name])
            for name, values in served.items():
                _note(worst, closeness, name, values, _real(wanted[name], batch[1]))
            advance(1)
    difference, scale = worst[contract.POOLED]
    worst[contract.POOLED] = difference, max(scale, worst[contract.SEQUENCE][1])
    order = [name for name in wanted if name != contract.DEFAULT]
    return [_check(name, *worst[name], closeness) for name in order]


def _real(wanted: Floats, mask: samples.Ids) -> Floats:
    """What a signature gives: zeros at padding, where a [B, S, D] has any."""
    return wanted * (mask[..., np.newaxis] != 0) if wanted.ndim == mask.ndim + 1 else wanted


def _computed(model: Any, batch: Batch) -> list[Mapping[str, Floats]]:
    """The encoder's outputs, once by call and once by signature."""
    inputs = dict(zip((contract.WORD_IDS, contract.MASK, contract.TYPE_IDS), batch, strict=True))
    served: dict[str, Any] = {}
    for name in (contract.SERVING, contract.LAYERS):
        served.update(model.signatures[name](**inputs))
    return [_flat(model(inputs, training=False)), _flat(served)]


def _flat(outputs: contract.Tensors) -> dict[str, Floats]:
    layers = contract.layer_outputs(outputs.get(contract.LAYERS, []))
    single = {name: each for name, each in outputs.items() if name != contract.LAYERS}
    return {name: np.asarray(each) for name, each in {**single, **layers}.items()}


def _note(
    worst: dict[str, tuple[float, float]],
    closeness: Closeness,
    name: str,
    values: Floats,
    expected: Floats,
) -> None:
    distance, scale = worst.get(name, (0.0, 1.0))
    # np.maximum keeps a NaN, where max() may lose it.
    largest = float(np.maximum(distance, closeness.distance(values, expected)))
    worst[name] = largest, max(scale, closeness.scale(expected))


def _check(name: str, distance: float, scale: float, closeness: Closeness) -> Check:
    allowed = closeness.tolerance * scale
    return Check(
        f"numbers, {name}",
        Outcome.PASSED if distance <= allowed else Outcome.FAILED,
        closeness.words(distance, allowed),
        {"distance": distance, "scale": scale, "allowed": allowed},
    )
