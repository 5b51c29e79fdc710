"""What is made of logits, in numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def softmax(logits: Floats) -> Floats:
    """float32 [..., C] -> float32 [..., C]; C may be zero.

    >>> softmax(np.array([[0.0, 0.0], [-1000.0, 0.0]]))
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    raised: Floats = np.exp(logits - logits.max(-1, keepdims=True, initial=-np.inf))
    return raised / raised.sum(-1, keepdims=True)


def split(values: npt.NDArray[Any], counts: Sequence[int]) -> list[npt.NDArray[Any]]:
    """[m, ...] -> as many arrays as counts, which sum up to m.

    >>> split(np.array([1, 2, 3]), [2, 0, 1])
    [array([1, 2]), array([], dtype=int64), array([3])]
    """
    return np.split(values, np.cumsum(counts)[:-1])[: len(counts)]


def padded(values: Sequence[npt.NDArray[Any]], length: int, behind: float = 0) -> npt.NDArray[Any]:
    """n arrays [S, ...] as one, [n, length, ...]; of none, [0, length].

    >>> padded([np.array([1]), np.array([2, 3])], 3)
    array([[1, 0, 0],
           [2, 3, 0]])
    """
    if not values:
        return np.zeros((0, length))
    found = np.full((len(values), length, *values[0].shape[1:]), behind, values[0].dtype)
    for row, each in zip(found, values, strict=True):
        row[: len(each)] = each
    return found


def largest(values: Floats, count: int) -> npt.NDArray[np.int64]:
    """Places of the largest of float32 [n, V], falling; of equals, the first: int64 [n, count].

    >>> largest(np.array([[0.5, 2.0, 1.0, 2.0]]), 3)
    array([[1, 3, 2]])
    """
    some = np.sort(np.argpartition(-values, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(values, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)
