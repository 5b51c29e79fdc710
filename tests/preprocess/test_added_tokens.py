"""Added tokens of every flag, where they touch and overlap, as tokens and as text."""

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from preprocess import UnsupportedTokenizerError
from tests.preprocess.same import assert_same, characters
from tools.comparison import Comparison

_SETS = {
    "strips": [
        AddedToken("<l>", lstrip=True),
        AddedToken("<r>", rstrip=True, special=True),
        AddedToken("<b>", lstrip=True, rstrip=True, normalized=False),
    ],
    "single words": [
        AddedToken("neo", single_word=True),
        AddedToken("neon", single_word=True, normalized=False, special=True),
        AddedToken("o n", single_word=True, lstrip=True),
    ],
    "overlapping": [
        AddedToken("[x", normalized=False),
        AddedToken("[x]"),
        AddedToken("x]]", special=True),
        AddedToken("]]"),
        AddedToken("日本", normalized=False),
        AddedToken("本", special=True),
    ],
    "normalized": [
        AddedToken("NÉO Café", normalized=True),
        AddedToken("Éa", normalized=False),
        AddedToken("FOO", normalized=True, special=True),
    ],
    "whitespace": [
        AddedToken("  ", normalized=False),
        AddedToken("   ", normalized=False),
        AddedToken(" \t"),
        AddedToken("x", lstrip=True),
    ],
}
_GLUE = ["", " ", "  ", "a", "_", "\u200d", "²", "́", "\n", "日"]


def mixtures(tokens: list[AddedToken]) -> list[str]:
    """Every token beside every token and between all sorts of characters."""
    contents = [token.content for token in tokens]
    beside = [f"{a}{glue}{b}" for a in contents for b in contents for glue in _GLUE]
    cases = [f"{glue}{each.upper()}{glue}{each.lower()}" for each in contents for glue in _GLUE]
    return [*beside, *cases]


@pytest.mark.parametrize("name", _SETS)
@pytest.mark.parametrize("as_text", [False, True])
def test_flags_equal_the_source(name: str, as_text: bool) -> None:
    source = characters(
        normalizer=normalizers.BertNormalizer(),
        pre_tokenizer=pre_tokenizers.WhitespaceSplit(),
        added=_SETS[name],
    )
    source.encode_special_tokens = as_text
    assert_same(source, mixtures(_SETS[name]), traced=())


def test_without_a_normalizer() -> None:
    tokens = [
        token for name in ("single words", "overlapping", "normalized") for token in _SETS[name]
    ]
    assert_same(characters(added=tokens), mixtures(tokens), traced=())


def test_an_id_beyond_the_vocabulary() -> None:
    source = Tokenizer(models.WordPiece({"[UNK]": 7, "a": 40}, unk_token="[UNK]"))
    source.pre_tokenizer = pre_tokenizers.Whitespace()
    source.add_tokens(["<one>", "<two>"])
    assert source.token_to_id("<two>") > source.token_to_id("a") or source.token_to_id("<two>") < 7
    assert_same(source, ["a<two>a", "<one><two>"], traced=())


def test_stripping_what_another_token_begins_with_is_refused() -> None:
    tokens = [AddedToken("<r>", rstrip=True), AddedToken("  ")]
    with pytest.raises(UnsupportedTokenizerError, match="'<r>': rstrip"):
        Comparison(characters(added=tokens))


def test_a_token_of_which_the_normalizer_leaves_nothing_is_refused() -> None:
    tokens = [AddedToken("\x1c", normalized=False), AddedToken("\x1d")]
    source = characters(normalizer=normalizers.BertNormalizer(), added=tokens)
    with pytest.raises(UnsupportedTokenizerError, match=r"leaves nothing .*: \['\\x1d'\]"):
        Comparison(source)


def test_tokens_that_begin_with_each_other_too_often_are_refused() -> None:
    tokens = [AddedToken("a" * length, normalized=False) for length in range(1, 1500)]
    with pytest.raises(UnsupportedTokenizerError, match="1499 that RE2 cannot look for"):
        Comparison(characters(added=tokens))
