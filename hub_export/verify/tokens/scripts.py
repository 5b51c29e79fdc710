"""Counting what is compared of each script of Unicode, by the table of scripts in fontTools."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding

from hub_export.verify.details import Script, Scripts

_CODEPOINTS = 0x110000


class _Table(NamedTuple):
    """Attributes: names of scripts; place: of each codepoint, the place of its script there."""

    names: Sequence[str]
    place: npt.NDArray[np.uint8]


class Tally:
    """What has been compared so far."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._counts = np.zeros([len(Script._fields), len(_table().names)], np.int64)

    def add(
        self, texts: Sequence[str], encodings: Sequence[Encoding], differ: Sequence[bool]
    ) -> None:
        """Counts texts.

        Args:
            texts: what was compared.
            encodings: the source's, of each text.
            differ: whether the tokens of each are not the source's.
        """
        scripts, kinds = _scripts("".join(texts)), len(self._counts[0])
        lengths = [*map(len, texts)]
        begins = np.cumsum([0, *lengths[:-1]]).tolist()
        starts = [
            begin + start
            for begin, encoding in zip(begins, encodings, strict=True)
            for start, limit in encoding.offsets
            if start < limit
        ]
        owners = np.repeat(np.arange(len(texts)), lengths)
        text, script = np.divmod(np.unique(owners * kinds + scripts), kinds)
        self._counts[0] += np.bincount(scripts[starts], minlength=kinds)
        self._counts[1] += np.bincount(script, minlength=kinds)
        self._counts[2] += np.bincount(script[np.asarray(differ)[text]], minlength=kinds)

    @property
    def found(self) -> Scripts:
        """The scripts of which there was something, those with the most tokens first."""
        counts = [Script(*column) for column in self._counts.T.tolist()]
        named = sorted(zip(counts, _table().names, strict=True), reverse=True)
        return Scripts({name: each for each, name in named if each.texts})


def _scripts(text: str) -> npt.NDArray[np.uint8]:
    """The place of each character's script."""
    return _table().place[np.frombuffer(text.encode("utf-32-le"), np.uint32)]


@functools.cache
def _table() -> _Table:
    # Only with the extra `report` is it installed.
    from fontTools.unicodedata import Scripts as data  # noqa: N813, PLC0415
    from fontTools.unicodedata import script_name  # noqa: PLC0415

    codes = sorted(data.NAMES)
    of_ranges = np.array([codes.index(code) for code in data.VALUES], np.uint8)
    place = np.repeat(of_ranges, np.diff([*data.RANGES, _CODEPOINTS]))
    return _Table([script_name(code).replace("_", " ") for code in codes], place)
