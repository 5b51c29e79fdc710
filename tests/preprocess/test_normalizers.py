"""Normalizers, by character: what comes out, and where it came from."""

import pytest
from tokenizers import Regex, normalizers

from tests.preprocess.same import assert_same, characters

_MARKS = [
    "a\u0327\u0301\u0323b",
    "\u0301a \u0344\u0345",
    "\u1fce\u1cd8",
    "\U0001d160\U0001d169",
    "\u1100\u1161\u11a8 각\u11a8",
    "ﬁ ½ ﷺ ㍿ ½\u0301",
    "  a  b   ",
    "``a'' ▁b",
]

_CASES = {
    "BertNormalizer": normalizers.BertNormalizer(),
    "BertNormalizer, cased, accents": normalizers.BertNormalizer(lowercase=False),
    "Lowercase": normalizers.Lowercase(),
    "NFC": normalizers.NFC(),
    "NFD": normalizers.NFD(),
    "NFKC": normalizers.NFKC(),
    "NFKD, StripAccents": normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()]),
    "Nmt, Strip": normalizers.Sequence([normalizers.Nmt(), normalizers.Strip()]),
    "Prefix from nothing": normalizers.Sequence(
        [normalizers.Replace(Regex(r"(?<!\n)^"), "▁"), normalizers.Replace(" ", "▁")]
    ),
    "Lowercase, prefix from nothing": normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(Regex(r"\A"), "▁ ")]
    ),
    "Strip, prefix from nothing": normalizers.Sequence(
        [
            normalizers.Strip(),
            normalizers.Replace(Regex(r"(?<!\n)^"), "_"),
            normalizers.Replace(" ", "__"),
        ]
    ),
    "Strip left, Prepend": normalizers.Sequence(
        [normalizers.Strip(right=False), normalizers.Prepend("▁ ")]
    ),
    "Replace": normalizers.Sequence(
        [
            normalizers.Replace("``", '"'),
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Replace(Regex(r"\p{N}+"), "0"),
            normalizers.Replace("a", "aba"),
            normalizers.Replace(" ", ""),
        ]
    ),
    "Lowercase, NFKC, Replace": normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.NFKC(), normalizers.Replace("ß", "ss")]
    ),
}


@pytest.mark.parametrize("normalizer", _CASES.values(), ids=_CASES.keys())
def test_text_and_places_equal_the_source(normalizer: normalizers.Normalizer) -> None:
    assert_same(characters(normalizer=normalizer), _MARKS)
