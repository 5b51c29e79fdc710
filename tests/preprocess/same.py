"""Whether a compiled tokenizer does what its source does."""

import random
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, models

from hub_export.verify import samples
from tools import texts
from tools.comparison import LOCATE, Comparison

_RANGES = (range(0x20, 0x250), range(0x300, 0x600), range(0x3041, 0x30A0), range(0xAC00, 0xAC20))


def characters(**parts: Any) -> Tokenizer:
    """A tokenizer whose pieces are characters, known ones and others."""
    known = [chr(point) for points in _RANGES for point in points]
    vocabulary = {piece: id for id, piece in enumerate(["[UNK]", "[PAD]", *known])}
    return _with(Tokenizer(models.BPE(vocabulary, [], unk_token="[UNK]")), parts)


def words(**parts: Any) -> Tokenizer:
    """A tokenizer whose pieces are words, all of them unknown: offsets show where they are."""
    return _with(Tokenizer(models.WordPiece({"[UNK]": 0, "[PAD]": 1}, unk_token="[UNK]")), parts)


def assert_same(
    source: Tokenizer,
    given: Sequence[str | bytes] = (),
    fuzz: int = 600,
    traced: Sequence[str] = (LOCATE,),
) -> None:
    """Ids, offsets and decoding of texts of every sort equal the source's.

    What is not traced is called as it is. Of the kinds and settings that they have, the conformance
    tests and those of published tokenizers trace all of it.
    """
    comparison, draw = Comparison(source, traced=traced), random.Random(8)
    drawn = [*texts.fuzz(source, fuzz, seed=3)]
    broken = texts.broken(drawn[: fuzz // 5], draw)
    comparison.texts([*given, *samples.AWKWARD[:-2], *drawn, *broken])
    for edges in samples.EDGES:
        comparison.texts(edges)
    comparison.decoding(texts.id_rows(source, fuzz // 3, draw))
    assert comparison.compared > fuzz
    assert comparison.examples == []


def _with(tokenizer: Tokenizer, parts: dict[str, Any]) -> Tokenizer:
    added = parts.pop("added", ())
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.add_tokens(list(added))
    return tokenizer
