"""A double-array trie over the UTF-8 bytes of single codepoints, in the layout of darts-clone.

See Aoe, "An efficient digital search algorithm by using a double-array structure" (1989), and
https://github.com/s-yata/darts-clone for the units:

    node   bits 0-7 label, bit 8 set if it has a value, bits 10-30 offset to its children
    value  bit 31 set, bits 0-30 the value

The child of the node at `p` by byte `b` is at `p ^ offset ^ b`, its value at `p ^ offset`.
"""

import numpy as np
import numpy.typing as npt

Units = npt.NDArray[np.uint32]
Points = npt.NDArray[np.int64]

_EMPTY = 0x80000000
_ROOT_CHILDREN = 256
_CLASSES = ((0, 0x80, 0x00), (0x80, 0x800, 0xC0), (0x800, 0x10000, 0xE0), (0x10000, 0x110000, 0xF0))
"""First codepoint, first one beyond, and lead-byte mark of the codepoints of 1, 2, 3, 4 bytes."""


def build(points: Points, values: Points) -> Units:
    """Builds the trie.

    Args:
        points: int64 [n], ascending codepoints, without 0.
        values: int64 [n], below 2**31.

    Returns:
        uint32 units; the root is unit 0.
    """
    # The 64 continuation bytes below a node fill one aligned block, and a value's slot serves
    # every codepoint that has it: a look-up never goes beyond a whole codepoint.
    distinct, slot = np.unique(values, return_inverse=True)
    inner, leaves, size = [], [], 2 * _ROOT_CHILDREN
    for extra, (first, beyond, lead) in enumerate(_CLASSES):
        chosen = (points >= first) & (points < beyond)
        prefixes = [np.unique(points[chosen] >> 6 * (extra - depth)) for depth in range(extra)]
        place = _ROOT_CHILDREN ^ (lead | [*prefixes, points[chosen]][0])
        for depth, prefix in enumerate(prefixes):
            block = size + 64 * np.arange(len(prefix))
            size += 64 * len(prefix)
            label = lead | prefix if depth == 0 else 0x80 | prefix & 63
            inner.append((place, block ^ 0x80, label))
            children = [*prefixes, points[chosen]][depth + 1]
            place = block[np.searchsorted(prefix, children >> 6)] + (children & 63)
        label = 0x80 | points[chosen] & 63 if extra else points[chosen]
        leaves.append((place, slot[chosen], label))
    units = np.full((size + len(distinct) | 0xFF) + 1, _EMPTY, np.uint32)
    units[0] = _ROOT_CHILDREN << 10
    for place, base, label in inner:
        units[place] = (place ^ base) << 10 | label
    for place, index, label in leaves:
        units[place] = (place ^ (size + index)) << 10 | 1 << 8 | label
    units[size : size + len(distinct)] = distinct | _EMPTY
    return units
