"""Comparing an exported encoder with the source model in torch.

In float32, the largest difference of an output must stay within the tolerance times the largest
absolute value that the source gives there, or times one where that is smaller. The pooled output is
made of the sequence output, whose differences a pooler passes on: it may differ as much as that. (A
random XLM-R of 12 layers, one token, against float64: TensorFlow's pooled output was off by 1.4e-5,
torch's by 3.2e-6; both hold 5e-6 where there are more tokens.)
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from encoders import Dimensions
from hub_export import contract
from hub_export.terminal import Progress
from hub_export.verify import outputs, samples
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Distance, Named, Road, Sample
from hub_export.verify.references.encoder import Reference

_BY_OPTION = (contract.EMBEDDED, contract.ATTENTIONS)  # see `verify.inside`


def ask(reference: Reference, size: Dimensions) -> list[Sample]:
    """Batches, and what the source gives for them; the source itself is not needed any longer.

    Args:
        reference: computes the source's outputs.
        size: the encoder's sizes.
    """
    return [
        Sample(contract.inputs(*batch), _flat(contract.outputs(*reference(*batch))))
        for batch in itertools.starmap(reference.certain, samples.batches(size))
    ]


def compare(
    model: Any, answers: Sequence[Sample], closeness: Closeness, progress: Progress
) -> list[Check]:
    """Compares every output of a loaded encoder, by call and by signature, with the source's.

    Args:
        model: the loaded SavedModel.
        answers: what `ask` gave.
        closeness: what is compared, and what is allowed.
        progress: told of every batch.
    """
    roads = [
        Road(lambda inputs: _flat(model(inputs, training=False))),
        *(Road(_signature(model, name), real) for name in (contract.SERVING, contract.LAYERS)),
    ]
    worst = outputs.distances(progress.over("verifying numbers", answers), roads, closeness)
    names = [name for name in answers[0].wanted if name != contract.DEFAULT]
    return checks(worst, names, closeness)


def checks(
    worst: Mapping[str, Distance], names: Sequence[str], closeness: Closeness
) -> list[Check]:
    """Whether outputs of an encoder are close enough.

    Args:
        worst: how far each is off.
        names: of those that are told of.
        closeness: what was compared, and what is allowed.
    """
    pooled, scale = worst[contract.POOLED], worst[contract.SEQUENCE].scale
    found = {**worst, contract.POOLED: pooled._replace(scale=max(pooled.scale, scale))}
    return [outputs.check(f"numbers, {name}", found[name], closeness) for name in names]


def _signature(model: Any, name: str) -> Callable[[Any], Named]:
    return lambda inputs: _flat(model.signatures[name](**inputs))


def real(sample: Sample) -> Named:
    """What a signature gives: zeros at padding, where a [B, S, D] has any."""
    mask = sample.inputs[contract.MASK]

    def zeroed(wanted: Floats) -> Floats:
        same = wanted.ndim != mask.ndim + 1
        return wanted if same else wanted * (mask[..., np.newaxis] != 0)

    return {name: zeroed(each) for name, each in sample.wanted.items()}


def _flat(found: contract.Tensors) -> dict[str, Floats]:
    usual = {name: each for name, each in found.items() if not name.startswith(_BY_OPTION)}
    return {name: np.asarray(each) for name, each in contract.flat(usual).items()}
