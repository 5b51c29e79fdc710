"""What is known of a comparison beside its outcome: what a page of figures shows."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hub_export.verify.closeness import Floats

_SMALLEST, _EXPONENTS = -148, 128 + 149  # of what float32 has, with a place for zero


class Spread(NamedTuple):
    """How many differences there are of each size.

    Attributes:
        counts: of exponent e, how many are in [2^(e-1), 2^e); of None, how many are zero.
    """

    counts: Mapping[int | None, int]

    @classmethod
    def of(cls, differences: Floats) -> "Spread":
        """That of finite differences, float [...].

        >>> Spread.of(np.array([0.0, 0.5, 0.75, 1.0], np.float32)).counts
        {None: 1, 0: 2, 1: 1}
        """
        values = np.asarray(differences, np.float32)
        exponents = np.where(values == 0, _SMALLEST - 1, np.frexp(values)[1])
        found = np.bincount(exponents.ravel() - _SMALLEST + 1, minlength=_EXPONENTS)
        places = np.flatnonzero(found).tolist()
        return cls({at + _SMALLEST - 1 if at else None: int(found[at]) for at in places})

    def __add__(self, other: "Spread") -> "Spread":  # type: ignore[override]
        """That of the differences of both."""
        keys = dict.fromkeys(itertools.chain(self.counts, other.counts))
        return Spread({each: self.counts.get(each, 0) + other.counts.get(each, 0) for each in keys})


class Script(NamedTuple):
    """How much was compared of a script.

    Attributes:
        tokens: that begin with a character of the script.
        texts: with a character of it.
        differ: of these texts, those whose tokens are not the source's.
    """

    tokens: int
    texts: int
    differ: int


class Scripts(NamedTuple):
    """How much was compared of each script of Unicode.

    Attributes:
        found: name -> how much.
    """

    found: Mapping[str, Script]


class Similarities(NamedTuple):
    """Cosines of the vectors of each two of n texts.

    Attributes:
        texts: the texts.
        source: cosines of the source's vectors, [n, n].
        export: those of the export's.
    """

    texts: Sequence[str]
    source: Floats
    export: Floats

    @classmethod
    def of(cls, texts: Sequence[str], source: Floats, export: Floats) -> "Similarities":
        """Those of vectors [n, D] of the texts."""
        return cls(texts, *_cosines(source, export))


def _cosines(*vectors: Floats) -> Iterator[Floats]:
    for each in vectors:
        lengths = np.linalg.norm(each, axis=1, keepdims=True)
        unit: Floats = np.divide(each, np.where(lengths == 0, 1, lengths), dtype=np.float32)
        yield unit @ unit.T


Details = Spread | Scripts | Similarities
