"""Calls that a model cannot answer: the error names the argument and what it expects."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

import hub_export

IDS = tf.ones([2, 4], tf.int32)
INPUTS = {"input_word_ids": IDS, "input_mask": IDS, "input_type_ids": IDS}
WIDE = {"input_word_ids": tf.ones([2, 4], tf.int64), "input_mask": IDS, "input_type_ids": IDS}
LONG = dict.fromkeys(INPUTS, tf.ones([2, 41], tf.int32))
SQUARE = tf.constant([["a", "b"], ["c", "d"]])
Call = Callable[[Any], object]


@pytest.fixture(scope="module")
def models(tiny_export: hub_export.Export) -> dict[str, Any]:
    return {part: tf.saved_model.load(str(path)) for part, path in tiny_export.paths.items()}


ENCODER: dict[str, tuple[Call, str]] = {
    "int64": (lambda m: m(WIDE), r"'input_word_ids': TensorSpec.*dtype=tf.int32"),
    # TensorFlow's own words, which know the place of an input only.
    "int64, signature": (
        lambda m: serve(m)(**WIDE),
        "expected to be a int32 tensor but is a int64",
    ),
    "a missing key": (lambda m: m({"input_word_ids": IDS}), "'input_mask': TensorSpec"),
    "a missing key, signature": (
        lambda m: serve(m)(input_word_ids=IDS),
        "missing a required argument: 'input_mask'",
    ),
    "too long": (lambda m: m(LONG), r"word_ids: the sequence length\W+41\W.*positions\W+40\W"),
    "too long, signature": (lambda m: serve(m)(**LONG), r"word_ids: the sequence length\W+41\W"),
    "rank 1, signature": (
        lambda m: serve(m)(**dict.fromkeys(INPUTS, IDS[0])),
        r"input_.*\[4\].*expected shape \[\?,\?\]",
    ),
    "a mask of fewer rows, signature": (
        lambda m: serve(m)(**{**INPUTS, "input_mask": IDS[:1]}),
        r"input_mask: the shape\W+1 4\W.*not that of input_word_ids\W+2 4\W",
    ),
    "a shorter mask, layers": (
        lambda m: m.signatures["encoder_outputs"](**{**INPUTS, "input_mask": IDS[:, :3]}),
        r"input_mask: the shape\W+2 3\W.*not that of input_word_ids\W+2 4\W",
    ),
    "types of more rows, signature": (
        lambda m: serve(m)(**{**INPUTS, "input_type_ids": tf.ones([3, 4], tf.int32)}),
        r"input_type_ids: the shape\W+3 4\W.*not that of input_word_ids\W+2 4\W",
    ),
    "too long, layers": (
        lambda m: m.signatures["encoder_outputs"](**LONG),
        r"word_ids: the sequence length\W+41\W.*positions\W+40\W",
    ),
}
PREPROCESSOR: dict[str, tuple[Call, str]] = {
    "numbers": (lambda m: m(IDS[0]), r"TensorSpec\(.*dtype=tf.string, name='sentences'"),
    "numbers, signature": (lambda m: serve(m)(text=IDS[0]), "expected to be a string tensor"),
    "rank 2": (lambda m: m(SQUARE), r"shape=\(None,\), dtype=tf.string"),
    "rank 2, tokenize": (lambda m: m.tokenize(SQUARE), r"shape=\(None,\), dtype=tf.string"),
    "rank 2, signature": (lambda m: serve(m)(text=SQUARE), r"text.*\[2,2\].*expected shape \[\?\]"),
    "rank 2, pair": (
        lambda m: m.signatures["serving_pair"](text=SQUARE[0], text_pair=SQUARE),
        r"text_pair.*\[2,2\].*expected shape \[\?\]",
    ),
    "rank 2, signature tokenize": (
        lambda m: m.signatures["tokenize"](text=SQUARE),
        r"text.*\[2,2\].*expected shape \[\?\]",
    ),
    # docs/use.md says where to look in a long list of options.
    "int64 ids": (
        lambda m: m.bert_pack_inputs([tf.cast(m.tokenize(SQUARE[0]), tf.int64)]),
        r"(?s)Could not find matching concrete function.{20,80}Got:.*dtype=int64.*\d\d option",
    ),
    "no room": (
        lambda m: m.bert_pack_inputs(m.tokenize(SQUARE[0]), seq_length=1),
        "seq_length has no room for the special tokens, which are 2",
    ),
    "no room, pair": (
        lambda m: m.bert_pack_inputs([m.tokenize(SQUARE[0])] * 2, seq_length=tf.constant(2)),
        "seq_length has no room for the special tokens, which are 3",
    ),
}
TEXT_EMBEDDING: dict[str, tuple[Call, str]] = {
    "rank 2": (lambda m: m(SQUARE), r"shape=\(None,\), dtype=tf.string, name='sentences'"),
    "rank 2, signature": (lambda m: serve(m)(text=SQUARE), r"text.*\[2,2\].*expected shape \[\?\]"),
}
CASES = {"encoder": ENCODER, "preprocessor": PREPROCESSOR, "text_embedding": TEXT_EMBEDDING}


def serve(model: Any) -> Any:
    return model.signatures["serving_default"]


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize(("part", "case"), [(part, case) for part in CASES for case in CASES[part]])
def test_the_error_says_what_is_wrong(models: dict[str, Any], part: str, case: str) -> None:
    call, words = CASES[part][case]
    with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError)) as error:
        call(models[part])
    assert re.search(words, str(error.value)), str(error.value)
