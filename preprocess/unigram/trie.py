"""A double-array trie over the characters of whole strings; a walk is one gather a character.

See Aoe, "An efficient digital search algorithm by using a double-array structure" (1989). Nodes are
places in one table, the root is 0. The child of node `p` by character number `c` is at
`base(p) ^ c`, if the unit there has `p` as its parent. (`double_array.py` is a trie over the bytes
of single codepoints, in the layout that the operations of tensorflow_text read.)

Shapes: n strings, t nodes, s units.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Table = npt.NDArray[np.int32]

BASE = 0xFFFFFFFF
"""The bits of a unit that are the base of its children; the parent is above them."""

_FILL = 0.8  # of the units at most; the fuller the table, the longer the search for places


@dataclasses.dataclass(frozen=True)
class Trie:
    """A set of distinct strings.

    Attributes:
        characters: int32 [highest codepoint + 2], the number of each codepoint, from 1, or 0 if it
            is in no string; the last entry, 0, is for all higher ones.
        units: int64 [s], a power of two; the parent is -1 where there is no node.
        strings: int32 [s], the index of the string that ends at a node, or -1.
    """

    characters: Table
    units: Ints
    strings: Table


def build(strings: Sequence[str]) -> Trie:
    """Builds the trie of distinct strings, none of them empty."""
    lengths = np.array([len(each) for each in strings])
    text = np.frombuffer("".join(strings).encode("utf-32-le"), np.uint32)
    points, numbers = np.unique(text, return_inverse=True)
    characters = np.zeros(int(points[-1]) + 2, np.int32)
    characters[points] = np.arange(1, len(points) + 1)
    parents, labels, ends = _nodes(numbers + 1, lengths)
    size = 1 << int(max((len(parents) + 1) / _FILL, len(points))).bit_length()
    places, bases = _place(parents, labels, size)
    units = np.full(size, -1 << 32)
    units[places] = np.append(0, places[parents]) << 32 | bases
    indices = np.full(size, -1, np.int32)
    indices[places[ends]] = np.arange(len(strings))
    return Trie(characters, units, indices)


def _nodes(text: Ints, lengths: Ints) -> tuple[Ints, Ints, Ints]:
    """Numbers the nodes, level by level, from the root, 0.

    Args:
        text: the character numbers of all strings, one string after the other.
        lengths: int64 [n].

    Returns:
        parents: int64 [t - 1], of all nodes but the root, ascending.
        labels: int64 [t - 1], the character that leads to each.
        ends: int64 [n], the node at which each string ends.
    """
    starts = np.cumsum(lengths) - lengths
    node = np.zeros(len(lengths), np.int64)
    levels, size = [], 1
    for depth in range(lengths.max()):
        longer = np.flatnonzero(lengths > depth)
        edges = node[longer] << 32 | text[starts[longer] + depth]
        level, index = np.unique(edges, return_inverse=True)
        node[longer] = size + index
        size += len(level)
        levels.append(level)
    edges = np.concatenate(levels)
    return edges >> 32, edges & BASE, node


def _place(parents: Ints, labels: Ints, size: int) -> tuple[Ints, Ints]:
    """Finds a base for each node such that all nodes have places of their own, int64 [t] each.

    From the largest family to the smallest: all families of a size try a random base, those that
    got all their places keep them, the others try again. An only child goes wherever there is room.
    """
    places = np.zeros(len(parents) + 1, np.int64)
    bases = np.zeros(len(parents) + 1, np.int64)
    free = np.ones(size, np.bool_)
    free[0] = False
    draw = np.random.default_rng(0)
    heads, firsts, sizes = np.unique(parents, return_index=True, return_counts=True)
    for many in np.unique(sizes[sizes > 1])[::-1]:
        families = np.flatnonzero(sizes == many)
        while len(families):
            edges = firsts[families][:, np.newaxis] + np.arange(many)
            base = draw.integers(size, size=len(families))
            wanted = base[:, np.newaxis] ^ labels[edges]
            got = _claim(wanted, free)
            places[1 + edges[got]] = wanted[got]
            bases[heads[families[got]]] = base[got]
            families = families[~got]
    only = firsts[sizes == 1]
    places[1 + only] = np.flatnonzero(free)[: len(only)]
    bases[heads[sizes == 1]] = places[1 + only] ^ labels[only]
    return places, bases


def _claim(wanted: Ints, free: Mask) -> Mask:
    """Which rows [families, many] get all that they want; it is free no longer."""
    flat = wanted.ravel()
    _, first = np.unique(flat, return_index=True)
    available = np.zeros(len(flat), np.bool_)
    available[first] = free[flat[first]]
    got: Mask = np.all(available.reshape(wanted.shape), axis=1)
    free[wanted[got]] = False
    return got
