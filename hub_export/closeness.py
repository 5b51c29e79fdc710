"""How close numbers of an export are to the source's."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Closeness(NamedTuple):
    """A way to compare.

    Attributes:
        tolerance: the distance that is allowed by itself, for values of unit scale.
        distance: of what was found from what was wanted, [..., D] each.
        scale: of what was wanted; the distance may be as many times the tolerance.
        words: tells of a distance, and of what is allowed.
    """

    tolerance: float
    distance: Callable[[Floats, Floats], float]
    scale: Callable[[Floats], float]
    words: Callable[[float, float], str]


def lowest_cosine(found: Floats, wanted: Floats) -> float:
    """Of the vectors on the last axis; of two vectors of zeros 1, of one and another 0.

    >>> lowest_cosine(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[4.0, 3.0], [0.0, 0.0]]))
    0.96
    """
    lengths = np.linalg.norm(found, axis=-1) * np.linalg.norm(wanted, axis=-1)
    cosines = np.sum(found * wanted, axis=-1) / np.where(lengths == 0, 1, lengths)
    equal = np.all(found == wanted, axis=-1)
    return float(np.min(np.where(equal, 1, cosines), initial=1))


CLOSENESS = {
    "float32": Closeness(
        1e-5,
        lambda found, wanted: float(np.abs(found - wanted).max()),
        lambda wanted: float(np.abs(wanted).max()),
        lambda distance, allowed: f"largest difference {distance:.1e}, allowed {allowed:.1e}",
    ),
    "bfloat16": Closeness(
        2e-3,
        lambda found, wanted: 1 - lowest_cosine(found, wanted),
        lambda wanted: 1.0,
        lambda distance, allowed: f"lowest cosine {1 - distance:.6f}, allowed {1 - allowed:.6f}",
    ),
}
"""By the dtype that matrix products are computed in."""
