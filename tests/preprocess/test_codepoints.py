import random

import pytest
import tensorflow as tf
from tokenizers import normalizers, pre_tokenizers

from preprocess.graph.utf8 import encode
from preprocess.source import codepoints
from preprocess.text.codepoint_step import CodepointStep
from preprocess.text.marks import combining_classes


def test_blocks_are_all_scalar_values() -> None:
    text = "".join(codepoints.codepoint_blocks())
    assert len(text) == len(set(text)) == 0x110000 - 0x800
    assert list(text) == sorted(text)


def test_a_random_map_acts_on_every_codepoint() -> None:
    draw = random.Random(1)
    text = "".join(codepoints.codepoint_blocks())
    forms = ["", "x", " y ", "é", "\U0001f600\U0001f600", "a" * 63, "\0"]
    changes = {character: draw.choice(forms) for character in draw.sample(text, 150_000)}
    changes["\0"] = "nul"
    step = CodepointStep(changes)
    rows = [text[begin : begin + 997] for begin in range(0, len(text), 997)]
    expected = ["".join(changes.get(character, character) for character in row) for row in rows]
    assert [row.decode() for row in step(tf.constant(rows)).numpy()] == expected


def test_probes_find_what_the_components_do() -> None:
    changed = codepoints.probe_normalizer(normalizers.Lowercase().normalize_str)
    assert changed["A"] == "a"
    assert changed["İ"] == "i̇"
    assert "|" not in changed
    splits = codepoints.probe_splits(pre_tokenizers.BertPreTokenizer().pre_tokenize_str)
    assert splits["\u3000"] == codepoints.MARK
    assert splits["|"] == f"{codepoints.MARK}|{codepoints.MARK}"
    assert "é" not in splits


def test_combining_classes_are_ordered() -> None:
    classes = combining_classes()
    assert classes["\u0334"] == 1
    assert classes["\u0327"] < classes["\u0316"] < classes["\u0301"] < classes["\u0345"]
    assert classes["\u0301"] == classes["\u0300"]
    assert "a" not in classes


def test_noncharacters_are_encoded_in_older_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose own operation does as this one: U+FFFD stands for each of the 66."""
    theirs = tf.strings.unicode_encode
    noncharacters = [chr(at) for at in range(0x110000) if at & 0xFFFE == 0xFFFE]
    noncharacters += map(chr, range(0xFDD0, 0xFDF0))

    def older(points: tf.Tensor, encoding: str) -> tf.Tensor:
        return tf.strings.regex_replace(
            theirs(points, encoding), f"[{''.join(noncharacters)}]", "\ufffd"
        )

    monkeypatch.setattr(tf.strings, "unicode_encode", older)
    texts = ["".join(noncharacters), "", "a\0\ufffd好", "\ufdcf\ufdd0b\ufdf0\U0010fffd\U0010ffff"]
    for chosen in (texts, texts[1:3]):
        points = tf.strings.unicode_decode(tf.constant(chosen), "UTF-8")
        assert [each.decode() for each in encode(points).numpy()] == chosen
    assert older([[0xFFFE]], "UTF-8").numpy() == [b"\xef\xbf\xbd"]
