"""Where characters of a text stand in its bytes."""

import numpy as np
import numpy.typing as npt


def bytes_before(text: str) -> npt.NDArray[np.int64]:
    """How many bytes of UTF-8 stand before each character, and before the end: int64 [n + 1].

    >>> bytes_before("aé")
    array([0, 1, 3])
    """
    characters = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    sizes = 1 + sum((characters > most).astype(np.int64) for most in (0x7F, 0x7FF, 0xFFFF))
    return np.append(0, np.cumsum(sizes))
