import json
from collections.abc import Mapping
from typing import Any

import pytest
from tokenizers import Tokenizer

import preprocess
from tests import checkpoints


def altered(part: str, value: Mapping[str, Any] | None) -> Tokenizer:
    """A sound tokenizer with one part replaced."""
    content = json.loads(checkpoints.wordpiece(checkpoints.PIECES).to_str())
    return Tokenizer.from_str(json.dumps({**content, part: value}))


def build(source: Tokenizer) -> preprocess.Preprocessor:
    return preprocess.build(source, "[PAD]", "[MASK]", seq_length=128, type_vocabulary=2)


def test_bert_processing_is_the_bert_template() -> None:
    source = altered(
        "post_processor", {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    )
    expected = build(checkpoints.wordpiece(checkpoints.PIECES)).packer._template
    assert build(source).packer._template == expected


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        (
            "post_processor",
            {"type": "BertProcessing", "sep": ["[SEP]", 9], "cls": ["[CLS]", 2]},
            "id 9",
        ),
        ("normalizer", {"type": "ByteLevel"}, "normalizer of type ByteLevel"),
        ("pre_tokenizer", {"type": "FixedLength", "length": 5}, "pre-tokenizer of type FixedLen"),
        (
            "decoder",
            {"type": "CTC", "pad_token": "[PAD]", "word_delimiter_token": "|", "cleanup": True},
            "decoder of type CTC",
        ),
    ],
)
def test_other_components_are_refused_by_name(
    part: str, value: Mapping[str, Any] | None, message: str
) -> None:
    with pytest.raises(preprocess.PreprocessError, match=message):
        build(altered(part, value))


def test_a_template_without_the_entry_of_a_token_is_refused() -> None:
    content = json.loads(checkpoints.wordpiece(checkpoints.PIECES).to_str())["post_processor"]
    del content["special_tokens"]["[SEP]"]
    words = r"single names the token '\[SEP\]', but special_tokens has '\[CLS\]'; add an entry"
    with pytest.raises(preprocess.VocabularyError, match=words):
        build(altered("post_processor", content))


def test_segments_out_of_order_are_refused() -> None:
    content = json.loads(checkpoints.wordpiece(checkpoints.PIECES).to_str())["post_processor"]
    content["pair"] = content["pair"][::-1]
    with pytest.raises(preprocess.UnsupportedTokenizerError, match="order"):
        build(altered("post_processor", content))
