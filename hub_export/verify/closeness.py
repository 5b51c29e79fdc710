"""How close numbers of an export are to the source's."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Closeness(NamedTuple):
    """A way to compare.

    Attributes:
        tolerance: the distance that is allowed by default, for values of unit scale.
        each: how far each number, or vector, that was found is from what was wanted, of [..., D].
        scale: of what was wanted; the distance may be as many times the tolerance.
        words: tells of a distance, and of what is allowed.
    """

    tolerance: float
    each: Callable[[Floats, Floats], Floats]
    scale: Callable[[Floats], float]
    words: Callable[[float, float], str]

    def distance(self, found: Floats, wanted: Floats) -> float:
        """The largest distance of what was found from what was wanted, [..., D] each."""
        return float(np.max(self.each(found, wanted), initial=0))


def apart(found: Floats, wanted: Floats) -> Floats:
    """How far vectors on the last axis are apart: for vectors of one length, one less the cosine.

    It is |f - w|^2 / (2 |f| |w|), so that a length that is off counts, too. Vectors of one number
    have no angle, and near zero no length to measure by: together they are one vector.

    >>> apart(np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]]))
    array([0.04])
    >>> apart(np.array([[3.0], [4.0]]), np.array([[4.0], [3.0]]))
    array([0.04])
    """
    if found.ndim and found.shape[-1] == 1:
        found, wanted = found.reshape(1, -1), wanted.reshape(1, -1)
    lengths = np.linalg.norm(found, axis=-1) * np.linalg.norm(wanted, axis=-1)
    squares = np.sum(np.square(found - wanted), axis=-1)
    one_is_zero = (lengths == 0) & (squares > 0)
    each = np.where(one_is_zero, 1, squares / (2 * np.where(lengths == 0, 1, lengths)))
    return np.asarray(each)


def _by_cosine(tolerance: float) -> Closeness:
    return Closeness(
        tolerance,
        apart,
        lambda wanted: 1.0,
        lambda distance, allowed: f"lowest cosine {1 - distance:.6f}, allowed {1 - allowed:.6f}",
    )


CLOSENESS = {
    "float32": Closeness(
        1e-5,
        lambda found, wanted: np.abs(found - wanted),
        lambda wanted: float(np.abs(wanted).max(initial=0)),
        lambda distance, allowed: f"largest difference {distance:.1e}, allowed {allowed:.1e}",
    ),
    "bfloat16": _by_cosine(2e-3),
    "float16": _by_cosine(1e-4),
    "int8": _by_cosine(2e-2),
}
"""By the dtype that matrix products are computed in, or that weights are stored as.

Bfloat16 has 8 significant bits. With all-MiniLM-L6-v2, random ids in rows with holes were off by up
to 1.1e-3, real sentences by up to 3.4e-5; random encoders of all architectures lose as much as in
torch's bfloat16 (the tests compare them). Of all-MiniLM-L6-v2 with weights as int8, the worst of 96
texts, most of them senseless, was off by 9e-3; as float16, by 1e-6. Float16 has 11 significant
bits, so that a distance computed in it is a sixty-fourth of bfloat16's.
"""
OF_TOKENS = {"int8": 5e-2}
"""How far the vector of a single token may be off, where that is further than a vector of a text.

Of all-MiniLM-L6-v2 in torch, linear layers whose weights (by channel) and inputs (by token) were
rounded to 8 bits cost the worst of thousands of tokens in random rows 2.8e-2, and the mean 1.5e-3.
"""


def closeness(dtype: str, tolerance: float | None = None, of_tokens: bool = False) -> Closeness:
    """How to compare what is computed in a dtype, with the tolerance that is asked for."""
    found = CLOSENESS[dtype]
    if of_tokens and dtype in OF_TOKENS:
        found = found._replace(tolerance=OF_TOKENS[dtype])
    return found if tolerance is None else found._replace(tolerance=tolerance)
