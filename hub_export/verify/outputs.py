"""Comparing named outputs of an exported model with those of its source, by every road to them."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hub_export.sources.formats import torch_files
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.details import Spread

Named = Mapping[str, Floats]


class Sample(NamedTuple):
    """Something that a model is asked.

    Attributes:
        inputs: what it gets.
        wanted: name -> what the source computes, [B, ..., D].
    """

    inputs: Any
    wanted: Named


class Road(NamedTuple):
    """A way to call a model, such as a signature.

    Attributes:
        compute: inputs -> the outputs by name.
        wanted: what is right on this road, where that is not simply what the source computes.
    """

    compute: Callable[[Any], Mapping[str, Any]]
    wanted: Callable[[Sample], Named] = lambda sample: sample.wanted


class Distance(NamedTuple):
    """How far an output is off.

    Attributes:
        distance: the largest distance over all samples and roads.
        scale: of the source's values; one where they are smaller.
        spread: how many distances there are of each size.
    """

    distance: float = 0.0
    scale: float = 1.0
    spread: Spread = Spread({})


def distances(
    samples: Iterable[Sample],
    roads: Sequence[Road],
    closeness: Closeness,
) -> dict[str, Distance]:
    """Output name -> how far it is off.

    Args:
        samples: what to ask.
        roads: the ways to ask; each may give some of the outputs.
        closeness: how to compare.
    """
    worst: dict[str, Distance] = {}
    for sample in samples:
        for road in roads:
            wanted = road.wanted(sample)
            for name, values in road.compute(sample.inputs).items():
                before, expected = worst.get(name, Distance()), wanted[name]
                each = closeness.each(np.asarray(values), expected)
                worst[name] = Distance(
                    # It keeps a NaN, where max() may lose it.
                    float(np.max(each, initial=before.distance)),
                    max(before.scale, closeness.scale(expected)),
                    before.spread + Spread.of(each),
                )
    return worst


def check(subject: str, found: Distance, closeness: Closeness, compared: int = 0) -> Check:
    """Whether an output is close enough: within the tolerance times its scale."""
    allowed = closeness.tolerance * found.scale
    counted = f"{compared} compared, " if compared else ""
    figures = {"distance": found.distance, "scale": found.scale, "allowed": allowed}
    return Check(
        subject,
        Outcome.PASSED if found.distance <= allowed else Outcome.FAILED,
        counted + closeness.words(found.distance, allowed),
        {"compared": compared, **figures} if compared else figures,
        found.spread,
    )


def differences(subject: str, found: Sequence[Any], compared: int) -> Check:
    """Whether all of what was compared is the source's.

    Args:
        subject: what was compared.
        found: the inputs of which it is not.
        compared: how many there were.
    """
    words = f"{len(found)} differences in {compared}"
    words += f", the first: {found[0]!a:.200}" if found else ""
    outcome = Outcome.FAILED if found else Outcome.PASSED
    return Check(subject, outcome, words, {"compared": compared, "differences": len(found)})


def with_left_out(check: Check, count: int, what: str = "numbers") -> Check:
    """The check, with how many texts were not compared, if any, as what is of them is not sure."""
    if not count:
        return check
    words = f"{check.found}; {count} left out, whose {what} hang on a rounding"
    return dataclasses.replace(check, found=words, figures={**check.figures, "left_out": count})


def not_compared(subject: str, needs: str) -> Check:
    """What stands in the report where a library of the source is not installed."""
    return Check(subject, Outcome.NOT_COMPARED, f"needs {needs} ({torch_files.INSTALL})")
