"""What is not supported is refused by its name, never approximated."""

from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

import preprocess
from tests.preprocess.same import characters, words


def build(source: Tokenizer) -> preprocess.Preprocessor:
    return preprocess.build(source, "[PAD]", None, seq_length=128, type_vocabulary=2)


def sequence(*parts: Any) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([*parts])


def split(pattern: str, behavior: str, invert: bool = False) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern), behavior, invert=invert)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"normalizer": normalizers.ByteLevel()}, "normalizer of type ByteLevel"),
        ({"normalizer": normalizers.Replace(Regex(r"\bx"), "")}, r"expression .* from '\\\\bx'"),
        ({"normalizer": normalizers.Replace("", "x")}, "Replace of the empty text"),
        ({"normalizer": normalizers.Prepend("")}, "Prepend of the empty text"),
        (
            {
                "normalizer": normalizers.Sequence(
                    [normalizers.Replace(Regex(r"\A"), "_"), normalizers.Strip()]
                )
            },
            "normalizer Strip is not supported behind a Replace of where",
        ),
        ({"pre_tokenizer": split("", "removed", invert=True)}, "Split of '' .* inverted"),
        ({"pre_tokenizer": pre_tokenizers.FixedLength()}, "type FixedLength"),
        ({"pre_tokenizer": split("a", "isolated", invert=True)}, "Split of 'a' .* inverted"),
        ({"pre_tokenizer": split("a", "contiguous")}, "behavior Contiguous"),
        (
            {"pre_tokenizer": sequence(pre_tokenizers.ByteLevel(), pre_tokenizers.Digits())},
            "ByteLevel is supported at the end only",
        ),
        (
            {
                "pre_tokenizer": sequence(
                    pre_tokenizers.Digits(), pre_tokenizers.Metaspace(prepend_scheme="first")
                )
            },
            "first is supported as the first only",
        ),
        (
            {
                "normalizer": normalizers.Nmt(),
                "pre_tokenizer": pre_tokenizers.Metaspace(prepend_scheme="first"),
            },
            "first is not supported behind a normalizer",
        ),
        (
            {
                "post_processor": processors.Sequence(
                    [processors.BertProcessing(("[PAD]", 1), ("[UNK]", 0))] * 2
                )
            },
            "BertProcessing, BertProcessing are not supported together",
        ),
        (
            {
                "model": models.Unigram([("[PAD]", -1.0), ("\u0120a", -2.0)], 0),
                "pre_tokenizer": pre_tokenizers.ByteLevel(),
            },
            "ByteLevel is not supported with a model of type Unigram",
        ),
        ({"model": models.WordLevel({"[PAD]": 1}, "[UNK]")}, r"unknown token '\[UNK\]' is not"),
        ({"model": models.BPE({"[PAD]": 1, "a": 0}, [], dropout=0.1)}, "dropout of 0.1"),
        ({"model": models.Unigram([("[PAD]", -1.0), ("a", -2.0)])}, "unk_id is None"),
        ({"model": models.WordPiece({"[PAD]": 0})}, r"unknown token '\[UNK\]'"),
        ({"model": models.WordPiece({"[UNK]": 0, "[PAD]": 1, "a\0": 2})}, "pieces with NUL: "),
        (
            {
                "normalizer": normalizers.NFKC(),
                "pre_tokenizer": pre_tokenizers.Metaspace(prepend_scheme="first"),
                "added": ["\u2044"],
            },
            "first is not supported with the added token '\u2044'",
        ),
    ],
)
@pytest.mark.parametrize("make", [characters, words])
def test_is_named(make: Any, parts: dict[str, Any], message: str) -> None:
    with pytest.raises(preprocess.PreprocessError, match=message):
        build(make(**parts))
