import pytest
import tensorflow as tf
from tokenizers import Regex, normalizers

from hub_export.verify import samples
from preprocess import UnsupportedTokenizerError
from preprocess.source import regex


@pytest.mark.parametrize(
    "pattern",
    [
        " {2,}",
        r"\s+",
        r"\S",
        r"\w+\s*",
        r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
        r"'s|'t|'re",
        r"(?:ab|a)b?",
        r"\d{1,3}",
        r"[^a-z\s]",
        r"\.\(\n",
        "é+|日",
        r"\p{P}|\p{M}",
        r"\p{S}|\p{Han}+|\P{L}b",
        r"[^\p{Hiragana}\p{^N}]+",
        r"[[:upper:]a-c&&[^b]]+|\h{2}",
        r"\x{e9}|\u65e5",
        "a.",
        r"^a|b$",
        r"^\s+|.$",
    ],
)
def test_matches_what_the_source_matches(pattern: str) -> None:
    texts = [
        *samples.AWKWARD[:-1],
        *samples.fuzz(["abb", "ab"], ["'s", ".(\n", "éé"], 400),
        *(text for at, text in enumerate(samples.codepoints()) if at % 50 == 0),
    ]
    replace = normalizers.Replace(Regex(pattern), "<>").normalize_str
    found = tf.strings.regex_replace(texts, regex.translate(pattern), "<>").numpy()
    assert [row.decode() for row in found] == list(map(replace, texts))


@pytest.mark.parametrize(
    "pattern",
    [
        "a*",
        "(?=a)",
        "(?i)a",
        r"\bword",
        "(?:^a)",
        "a^",
        "$a",
        "a+?",
        "a++",
        "a$|b*",
        "[]a]",
        "^",
        "",
        "a{1001}",
        "[" + r"\p{L}[^a][:alpha:]" * 40 + "[[a]b]]",
    ],
)
def test_others_are_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedTokenizerError, match="regular expression"):
        regex.translate(pattern)
