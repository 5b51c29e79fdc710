"""The numbers of vectors, as they are written."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hub_export.settings import INT8

Floats = npt.NDArray[np.float32]
VECTOR, SCALE = "vector", "scale"
_LARGEST = 127


def stored(vectors: Floats, dtype: str) -> dict[str, npt.NDArray[Any]]:
    """Vectors as a type has them.

    As int8 each has a scale of its own, its largest number over 127, and is `vector * scale` to
    half a scale; a cosine does not need it.

    Args:
        vectors: float32 [n, D].
        dtype: FLOAT32, FLOAT16 or INT8.

    Returns:
        `vector` [n, D] of that type, and of int8 also `scale`, float32 [n].

    >>> stored(np.array([[0.5, -1.27], [0, 0]], np.float32), "int8")["vector"].tolist()
    [[50, -127], [0, 0]]
    """
    if dtype != INT8:
        return {VECTOR: vectors.astype(dtype)}
    scales = np.abs(vectors).max(axis=1, initial=0).astype(np.float32) / _LARGEST
    parted = vectors / np.where(scales, scales, 1)[:, None]
    return {VECTOR: np.rint(parted).astype(np.int8), SCALE: scales}
