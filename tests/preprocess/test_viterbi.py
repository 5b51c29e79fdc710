import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import Tokenizer, models

from preprocess import UnsupportedTokenizerError
from preprocess.unigram import best_path, borders, word_blocks
from preprocess.unigram.viterbi import Viterbi

Vocabulary = list[tuple[str, float]]
Found = list[tuple[list[int], list[int], list[int]]]

BYTES = [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]
SPEC = [tf.TensorSpec([None], tf.string)]

# Sums of these are often equal, or equal but for the rounding.
TIED = ([-1.0], [-1.0, -2.0, -3.0], [-0.1 * tenths for tenths in range(1, 30)], [0.1, 0.2, 0.3])


def expected(source: Tokenizer, words: list[str]) -> Found:
    found = []
    for word in words:
        encoding = source.encode(word)
        at = np.cumsum([0, *(len(character.encode()) for character in word)])
        starts, limits = ([int(at[each[side]]) for each in encoding.offsets] for side in (0, 1))
        found.append((encoding.ids, starts, limits))
    return found


def actual(engine: Viterbi, words: list[str]) -> Found:
    tokenize = tf.function(engine.tokenize_with_offsets, SPEC, autograph=False)
    found = tokenize(tf.constant(words, tf.string))
    return list(zip(*(each.to_list() for each in found), strict=True))


def compare(vocabulary: Vocabulary, byte_fallback: bool, words: list[str]) -> None:
    unknown = [piece for piece, _ in vocabulary].index("<unk>")
    source = Tokenizer(models.Unigram(vocabulary, unknown, byte_fallback))
    engine = Viterbi(vocabulary, unknown, byte_fallback)
    assert actual(engine, words) == expected(source, words)


def random_vocabulary(draw: random.Random, alphabet: str) -> Vocabulary:
    scores = draw.choice(TIED)
    lengths = [draw.choice([1, 2, 2, 3, 4, 6, 20]) for _ in range(40)]
    pieces = {"".join(draw.choices(alphabet, k=length)) for length in lengths}
    return [("<unk>", 0.0), *((piece, draw.choice(scores)) for piece in sorted(pieces))]


def random_words(draw: random.Random, alphabet: str) -> list[str]:
    parts = [*(alphabet * 9), "x", "ÿ", "🚀", "<unk>", "<0x41>"]
    return ["".join(draw.choices(parts, k=draw.choice([0, 1, 3, 9, 30, 90]))) for _ in range(500)]


@pytest.mark.parametrize("seed", range(8))
def test_random_vocabularies(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    alphabet = draw.choice(["ab", "abcé", "a▁漢😀", "ab\0"])
    vocabulary = random_vocabulary(draw, alphabet) + BYTES * (seed % 2)
    monkeypatch.setattr(best_path, "_LONG", draw.choice([2, 64]))
    monkeypatch.setattr(best_path, "_ROUNDS", draw.choice([1, 2, 10]))
    monkeypatch.setattr(borders, "_UNCUT", draw.choice([3, 20]))
    monkeypatch.setattr(word_blocks, "_LENGTH", draw.choice([2, 7, 64]))
    compare(vocabulary, draw.random() < 0.5, random_words(draw, alphabet))


def test_a_long_word_is_settled_where_only_the_rounding_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vocabulary = [("<unk>", 0.0), ("a", -0.1), ("ab", -0.3), ("b", -0.2), ("c", -0.7)]
    words = ["".join(each) for each in itertools.product(["abc", "c", "x"], repeat=6)]
    monkeypatch.setattr(best_path, "_LONG", 2)
    compare(vocabulary, False, words)
    engine = Viterbi(vocabulary, 0, False)
    monkeypatch.setattr(engine._best_path, "_sums", lambda pieces, words, path: path.scores)
    monkeypatch.setattr(best_path, "_ROUNDS", 2)
    compare(vocabulary, False, words)


def test_very_long_words() -> None:
    vocabulary = [("<unk>", 0.0), ("a", -1.1), ("aa", -2.1), ("ab", -2.3), ("b", -1.2), ("c", -3.0)]
    parts = ["a", "ab", "🦖", "abc", "xay"]
    compare(vocabulary, False, ["ab", *(part * 1000 for part in parts), "ba"])


@pytest.mark.parametrize("scores", TIED)
def test_long_words_that_nothing_cuts(scores: list[float]) -> None:
    draw = random.Random(len(scores))
    pieces = ["a", "aa", "aaa", "aaaaa", "ab", "ba", "bab", "abbaab", "b"]
    vocabulary = [("<unk>", 0.0), *((piece, draw.choice(scores)) for piece in pieces)]
    words = ["a" * 3000, "ab" * 1500, "aab" * 700, "".join(draw.choices("aab", k=4000)), "aba"]
    compare(vocabulary, False, words)


PUBLISHED = [
    ("<unk>", 0.0),
    *{"a": -5.54771, "aa": -13.2199, "aaa": -13.2303, "aaaa": -13.5014, "aaab": -12.7723}.items(),
    *{"b": -6.21137, "bb": -10.9031, "ab": -8.13214, "ba": -9.38912, "baa": -11.7755}.items(),
]
"""Scores as XLM-R's vocabulary has them: not one of them is a multiple of a power of two."""


@pytest.mark.parametrize("word", ["a" * 20_000, "ab" * 5000, "aabbaab" * 1000, "b" + "a" * 3000])
def test_blocks_settle_what_nothing_cuts(word: str) -> None:
    engine = Viterbi(PUBLISHED, 0, False)

    @tf.function(autograph=False)
    def solved(points: tf.Tensor) -> tf.Tensor:
        pieces, scores = engine._matcher(points), engine._best_path._scores
        return word_blocks.solve_blocks(pieces, scores, tf.constant([0]), tf.shape(points) - 1)[2]

    assert solved(tf.constant([*map(ord, engine._matcher.stranger + word)]))
    compare(PUBLISHED, False, [word])


def test_blocks_that_do_not_settle_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(gains: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return gains * 1.5, tf.zeros_like(gains[:, :1, 0], tf.bool)

    monkeypatch.setattr(word_blocks, "rounded", careless)
    compare(PUBLISHED, False, ["a" * 3000, "aab" * 700, "ab"])


def test_the_last_of_equal_pieces_counts() -> None:
    compare([("a", -1.0), ("<unk>", 0.0), ("ab", -5.0), ("b", -1.0), ("ab", -1.5)], False, ["ab"])


def test_an_unknown_piece_in_the_text_is_unknown() -> None:
    words = ["<unk>", "<unk>é<unk>é a", "é", "aé<unk>a", "<unk><unk>"]
    compare([("<unk>", 0.0), ("a", -1.0)], False, words)
    compare([("<unk>", 0.0), ("a", -1.0), *BYTES], True, words)
    compare([("<unk>", 0.0), ("a", -1.0), *BYTES[:-60]], True, words)


def test_no_words() -> None:
    engine = Viterbi([("<unk>", 0.0), ("a", -1.0), *BYTES], 0, True)
    assert actual(engine, []) == []
    assert actual(engine, ["", ""]) == [([], [], [])] * 2


def test_in_a_dataset_and_a_saved_model(tmp_path: Path) -> None:
    engine = Viterbi([("<unk>", 0.0), ("a", -1.0), ("aa", -1.5)], 0, False)
    words = tf.constant(["aaa", "b", "aa"])
    tokenize = tf.function(engine.tokenize, SPEC, autograph=False)
    rows = next(iter(tf.data.Dataset.from_tensors(words).map(tokenize)))
    assert rows.to_list() == [[1, 2], [0], [2]]
    root = tf.Module()
    root.tokenize = tokenize
    root.engine = engine
    tf.saved_model.save(root, tmp_path)
    assert tf.saved_model.load(tmp_path).tokenize(words).to_list() == rows.to_list()


@pytest.mark.parametrize(
    ("vocabulary", "unknown", "message"),
    [
        ([("a", -1.0)], None, "unk_id is None"),
        ([("a", -1.0)], 1, "unk_id is 1"),
        ([("<unk>", 0.0), ("a", float("nan"))], 0, "'a'"),
        ([("<unk>", 50.0), ("a", 60.0)], 0, "all scores are above"),
        ([("<unk>", 0.0), ("<unk><unk>", -1.0)], 0, "'<unk><unk>'"),
        ([("<unk>", 0.0), ("x<unk>", -1.0)], 0, "'x<unk>'"),
    ],
)
def test_vocabularies_that_it_is_not_exact_for_are_refused(
    vocabulary: Vocabulary, unknown: int | None, message: str
) -> None:
    with pytest.raises(UnsupportedTokenizerError, match=message):
        Viterbi(vocabulary, unknown, False)


def test_words_of_real_text(assets: Path) -> None:
    folder = assets / "tokenizers" / "xlm-roberta"
    source = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model: dict[str, Any] = json.loads(source.to_str())["model"]
    vocabulary = [(piece, score) for piece, score in model["vocab"]]
    names = ["en/botchan.txt", "ja/wagahaiwa_nekodearu.txt", "ko-nli/xnli.test.ko.tsv"]
    texts = [(assets / "corpora" / name).read_text("utf-8")[:50_000] for name in names]
    splits = source.pre_tokenizer.pre_tokenize_str(source.normalizer.normalize_str(" ".join(texts)))
    words = sorted({word for word, _ in splits})
    source = Tokenizer(models.Unigram(vocabulary, model["unk_id"], False))
    engine = Viterbi(vocabulary, model["unk_id"], False)
    assert actual(engine, words) == expected(source, words)
