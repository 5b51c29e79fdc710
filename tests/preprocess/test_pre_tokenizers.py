"""Pre-tokenizers, by word."""

import random

import pytest
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, processors

from preprocess.source.codepoints import word_characters
from tests.preprocess.same import assert_same, characters, words
from tools.comparison import LOCATE, TOKENIZE

_TEXTS = ["a-b--c", "don't they're 'S", "x1 22,3!? ...", " a  b ▁c▁▁d", "日本ひカー ab дом 1"]
_TEXTS += ["a\u200db 👩\u200d👩 a²b"]
_GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_OF_LINES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
_LINES = [
    "a \n\n  b",
    "!\r\n \n c \t 1234567",
    "\n \n",
    "x\t y \n",
    "I'LL it'ſ 'S\u3000\u3000z \n!",
]


def sequence(*parts: pre_tokenizers.PreTokenizer) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([*parts])


_BEHAVIORS = ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous")
_CASES = {
    "none": None,
    "BertPreTokenizer": pre_tokenizers.BertPreTokenizer(),
    "Whitespace": pre_tokenizers.Whitespace(),
    "WhitespaceSplit": pre_tokenizers.WhitespaceSplit(),
    "CharDelimiterSplit, Digits": sequence(
        pre_tokenizers.CharDelimiterSplit("-"), pre_tokenizers.Digits(individual_digits=True)
    ),
    **{f"Punctuation {each}": pre_tokenizers.Punctuation(each) for each in _BEHAVIORS},
    "WhitespaceSplit, Punctuation, Digits": sequence(
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits()
    ),
    **{
        f"Split {each}": pre_tokenizers.Split(Regex(r"[aeiou]\p{L}"), each)
        for each in _BEHAVIORS[:4]
    },
    **{f"Split of nothing, {each}": pre_tokenizers.Split("", each) for each in _BEHAVIORS},
    "Whitespace, Split of nothing": sequence(
        pre_tokenizers.Whitespace(), pre_tokenizers.Split(Regex(""), "contiguous", invert=True)
    ),
    "Digits, Split removed": sequence(
        pre_tokenizers.Digits(), pre_tokenizers.Split(" ", "removed"), pre_tokenizers.Punctuation()
    ),
    "UnicodeScripts": pre_tokenizers.UnicodeScripts(),
    "Punctuation, UnicodeScripts": sequence(
        pre_tokenizers.Punctuation(), pre_tokenizers.UnicodeScripts()
    ),
    "Split of classes": pre_tokenizers.Split(Regex(r"\p{Han}+|\p{S}."), "isolated"),
    "Digits, Split at the ends of lines": sequence(
        pre_tokenizers.Digits(), pre_tokenizers.Split(Regex(r"^\s+|[a-c]$"), "merged_with_previous")
    ),
    "Split of GPT-2": pre_tokenizers.Split(Regex(_GPT_2), "isolated"),
    "Split of Qwen": pre_tokenizers.Split(Regex(r"\p{N}".join(_OF_LINES)), "isolated"),
    "Split of LLaMA 3": pre_tokenizers.Split(Regex(r"\p{N}{1,3}".join(_OF_LINES)), "isolated"),
    "Split into words with the end of their line": sequence(
        pre_tokenizers.Split(Regex("[^ \t\n\r\x1c\u2003\u3000]+\\n?"), "removed", invert=True),
        pre_tokenizers.Digits(),
    ),
    "Metaspace always": pre_tokenizers.Metaspace(),
    "Metaspace always, whole": pre_tokenizers.Metaspace(split=False),
    "Metaspace first": pre_tokenizers.Metaspace(prepend_scheme="first"),
    "Metaspace never": pre_tokenizers.Metaspace("_", prepend_scheme="never"),
    "Whitespace, Metaspace": sequence(
        pre_tokenizers.Whitespace(), pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    ),
    "Digits, Metaspace": sequence(pre_tokenizers.Digits(), pre_tokenizers.Metaspace()),
}


_IN_GRAPHS_ELSEWHERE = {
    *("none", "BertPreTokenizer", "Whitespace", "WhitespaceSplit"),  # in the conformance tests
    *("Metaspace always, whole", "Metaspace never"),
    *(
        f"{kind}{each}"
        for kind in ("Punctuation ", "Split ", "Split of nothing, ")
        for each in ("removed", "merged_with_previous", "merged_with_next")
    ),
}
"""They differ from others in what is compiled alone, such as the pattern that is looked for."""


@pytest.mark.parametrize("name", _CASES)
def test_words_equal_the_source(name: str) -> None:
    parts = {"pre_tokenizer": _CASES[name]} if _CASES[name] else {}
    source = words(normalizer=normalizers.NFC(), **parts)
    assert _CASES.keys() > _IN_GRAPHS_ELSEWHERE
    traced = (TOKENIZE if [*_CASES].index(name) % 2 else LOCATE,)
    if name in _IN_GRAPHS_ELSEWHERE:
        traced = ()
    assert_same(source, [*_TEXTS, *_LINES], fuzz=400, traced=traced)


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("use_regex", [False, True])
def test_byte_level_equals_the_source(prefix: bool, use_regex: bool) -> None:
    source = characters(pre_tokenizer=pre_tokenizers.ByteLevel(prefix, use_regex=use_regex))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: id for id, piece in enumerate(["[UNK]", "[PAD]", *alphabet, "Ġa", "Ġ'"])}
    source.model = models.BPE(vocabulary, [("Ġ", "a"), ("Ġ", "'")], unk_token="[UNK]")
    assert_same(source, _TEXTS)


@pytest.mark.parametrize("prefix", [False, True])
def test_trimmed_offsets_equal_the_source(prefix: bool) -> None:
    """With pieces of several spaces, and added tokens that take some."""
    pieces = ["[PAD]", "Ġ", "a", "ĠĠ", "ĠĠĠ", "Ġa", "ĠĠa", "ĠĠĠa", "aĠ", "aĠĠ", "Ċ"]
    merges = [("Ġ", "Ġ"), ("ĠĠ", "Ġ"), ("ĠĠĠ", "a"), ("ĠĠ", "a"), ("a", "ĠĠ"), ("Ġ", "a")]
    source = characters(
        model=models.BPE({piece: id for id, piece in enumerate(pieces)}, [*merges, ("a", "Ġ")]),
        pre_tokenizer=pre_tokenizers.ByteLevel(prefix, use_regex=False),
        post_processor=processors.ByteLevel(trim_offsets=True, add_prefix_space=prefix),
        added=[AddedToken("<l>", lstrip=True), AddedToken("<r>", rstrip=True)],
    )
    draw = random.Random(5)
    pool = ["a", " ", " ", "  ", "\n", "<l>", "<r>", "\u2003"]
    assert_same(source, ["".join(draw.choices(pool, k=draw.randint(1, 6))) for _ in range(2000)])


def test_offsets_of_unknown_text_are_trimmed_by_its_own_spaces() -> None:
    pieces = ["<unk>", "[PAD]", "a", " a", "\u2003b", "\n"]
    source = characters(
        model=models.Unigram([(piece, -1.0 - at) for at, piece in enumerate(pieces)], 0),
        post_processor=processors.RobertaProcessing(("[PAD]", 1), ("[PAD]", 1)),
    )
    draw = random.Random(6)
    pool = ["a", " ", "\n", "x", "é\u2003", "\u2003b", "\u0120", "<unk>"]
    given = ["".join(draw.choices(pool, k=draw.randint(1, 6))) for _ in range(2000)]
    assert_same(source, given, traced=(TOKENIZE, LOCATE))


def test_word_characters_are_those_of_the_library_itself() -> None:
    split = pre_tokenizers.Whitespace().pre_tokenize_str
    for each in "a_é\u200c\u200d\u0301²½ !\u200b日":
        together = [word for word, _ in split(f"a{each}")] == [f"a{each}"]
        assert (each in word_characters()) == together, ascii(each)
