import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import preprocess
from preprocess.bpe.merges import Merges
from preprocess.source.byte_alphabet import ALPHABET

Model = dict[str, Any]
Row = tuple[list[int], list[tuple[int, int]]]

LETTERS = "abcdé€😀"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def bpe(pieces: Sequence[str], merges: Sequence[Sequence[str]], **options: Any) -> Model:
    ids = {piece: id for id, piece in enumerate(dict.fromkeys(pieces))}
    return {"type": "BPE", "vocab": ids, "merges": [list(merge) for merge in merges], **options}


def source(model: Mapping[str, Any], byte_level: bool) -> Tokenizer:
    """The source, which takes each string as one word."""
    whole = Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    if byte_level:
        whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return whole


def expected(model: Mapping[str, Any], byte_level: bool, words: Sequence[str]) -> list[Row]:
    whole = source(model, byte_level)
    if byte_level:
        return [(each.ids, each.offsets) for each in whole.encode_batch([*words])]
    rows = (whole.model.tokenize(word) for word in words)
    return [([piece.id for piece in row], [piece.offsets for piece in row]) for row in rows]


def found(model: Mapping[str, Any], byte_level: bool, words: Sequence[str]) -> list[Row]:
    """Ids and offsets; those of a byte-level model in characters, as its source has them."""
    merges = Merges(model, byte_level)
    tokenize = tf.function(merges.tokenize_with_offsets, autograph=False)
    rows = tokenize(tf.constant(words, tf.string))

    def place(word: str, byte: int) -> int:
        return len(word.encode()[:byte].decode(errors="ignore")) if byte_level else byte

    def beyond(word: str, byte: int) -> int:
        return place(word, byte - 1) + 1 if byte_level else byte

    return [
        (ids, [(place(word, a), beyond(word, b)) for a, b in zip(starts, limits, strict=True)])
        for word, ids, starts, limits in zip(words, *(row.to_list() for row in rows), strict=True)
    ]


def random_words(draw: random.Random, count: int = 300, letters: str = LETTERS) -> list[str]:
    stems = ("".join(draw.choices(letters, k=draw.choice([0, 1, 2, 3, 9]))) for _ in range(count))
    return [stem * draw.choice([1, 1, 1, 2, 5, 14]) for stem in stems]


def random_rules(draw: random.Random, letters: Sequence[str]) -> list[tuple[str, str]]:
    """A table that is monotone, with one rule a product."""
    pieces = [*letters]
    rules = []
    for _ in range(draw.choice([5, 20, 60])):
        left, right = draw.choice(pieces), draw.choice(pieces)
        if left + right not in pieces:
            pieces.append(left + right)
            rules.append((left, right))
    return rules


def all_splits(rules: Sequence[tuple[str, str]], letters: Sequence[str]) -> list[tuple[str, str]]:
    """Every rule that makes one of their products: several a product, by rank of the product."""
    pieces = [*letters, *(left + right for left, right in rules)]
    splits = ((piece[:at], piece[at:]) for piece in pieces for at in range(1, len(piece)))
    return [split for split in splits if {*split} <= {*pieces}]


@pytest.mark.parametrize("byte_level", [False, True])
@pytest.mark.parametrize("table", ["monotone", "splits", "shuffled"])
def test_random_tables(table: str, byte_level: bool) -> None:
    draw = random.Random(f"{table} {byte_level}")
    alphabet = ALPHABET
    letters = [alphabet[byte] for byte in sorted({*LETTERS.encode()})] if byte_level else [*LETTERS]
    for _ in range(2):
        rules = random_rules(draw, letters)
        if table != "monotone":
            rules = all_splits(rules, letters)
        if table == "shuffled":
            draw.shuffle(rules)
        pieces = [*letters, *(left + right for left, right in rules)]
        model = bpe(pieces, rules, ignore_merges=draw.random() < 0.5)
        words = random_words(draw)
        assert found(model, byte_level, words) == expected(model, byte_level, words)


@pytest.mark.parametrize("byte_level", [False, True])
@pytest.mark.parametrize(("prefix", "suffix"), [("", ""), ("##", ""), ("", "</w>"), ("#", "é")])
def test_trained_tables(prefix: str, suffix: str, byte_level: bool) -> None:
    draw = random.Random(1)
    affixes = {"continuing_subword_prefix": prefix, "end_of_word_suffix": suffix}
    affixes = {name: affix for name, affix in affixes.items() if affix}
    whole = Tokenizer(models.BPE(unk_token="[U]", **affixes))
    if byte_level:
        whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=["[U]"], **affixes)
    whole.train_from_iterator(random_words(draw), trainer)
    words = random_words(draw, letters=LETTERS + "x")
    for ignore_merges in (False, True):
        model = json.loads(whole.to_str())["model"] | {"ignore_merges": ignore_merges}
        assert found(model, byte_level, words) == expected(model, byte_level, words)


@pytest.mark.parametrize("byte_level", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unk_token": "[U]"},
        {"unk_token": "[U]", "fuse_unk": True},
        {"unk_token": "a", "fuse_unk": True},
        {"dropout": 0.0},
    ],
)
def test_what_has_no_symbol(options: Mapping[str, Any], byte_level: bool) -> None:
    merges = [("a", "b"), ("[U]", "a"), ("ab", "ab")]
    model = bpe(["b", "[U]", "ab", "a", "[U]a", "abab"], merges, **options)
    words = random_words(random.Random(2), letters="abx€")
    assert found(model, byte_level, words) == expected(model, byte_level, words)


@pytest.mark.parametrize("unk_token", [None, "[U]"])
def test_byte_pieces(unk_token: str | None) -> None:
    merges = [("a", "b"), ("<0xE2>", "<0x82>"), ("<0xAC>", "a")]
    pieces = ["[U]", "a", "b", "ab", *BYTES, "<0xE2><0x82>", "<0xAC>a"]
    model = bpe(pieces, merges, byte_fallback=True, fuse_unk=True, unk_token=unk_token)
    words = random_words(random.Random(3))
    assert found(model, False, words) == expected(model, False, words)


def test_of_two_rules_on_a_pair_the_last_one_holds() -> None:
    merges = [("a", "b"), ("b", "c"), ("a", "b")]
    model = bpe("a b c ab bc".split(), merges)
    assert found(model, False, ["abc"]) == expected(model, False, ["abc"]) != []
    assert found(model, False, ["abc"])[0][0] == [0, 4]


def test_a_run_waits_until_its_start_is_certain() -> None:
    merges = [("k", "l"), ("kl", "a"), ("a", "a"), ("kl", "l")]
    model = bpe([*"kla", *(left + right for left, right in merges)], merges)
    words = [start + "a" * count for start in ("", "l", "kl", "kll") for count in range(9)]
    assert found(model, False, words) == expected(model, False, words)


def test_long_words() -> None:
    draw = random.Random(4)
    letters = [*"abcdefgh"]
    rules = random_rules(draw, letters) + [("a" * 2**k, "a" * 2**k) for k in range(3)]
    model = bpe([*letters, *(left + right for left, right in rules)], dict.fromkeys(rules))
    words = ["".join(draw.choices(letters, k=20_000)), "a" * 20_001, "ab" * 10_000, "aab" * 7_001]
    assert found(model, True, words) == expected(model, True, words)


def test_batches_without_words_and_with_repeated_ones() -> None:
    merges = Merges(bpe("a b ab".split(), [("a", "b")]), byte_level=False)
    ids, starts, limits = merges.tokenize_with_offsets(tf.zeros([0], tf.string))
    assert ids.shape == starts.shape == limits.shape == [0, None]
    ids, starts, limits = merges.tokenize_with_offsets(tf.constant(["", "aab", "", "ab", "aab"]))
    assert (ids.dtype, starts.dtype, limits.dtype) == (tf.int32, tf.int64, tf.int64)
    assert ids.to_list() == [[], [0, 2], [], [2], [0, 2]]
    assert starts.to_list() == [[], [0, 1], [], [0], [0, 1]]
    assert limits.to_list() == [[], [1, 3], [], [2], [1, 3]]


def test_a_saved_copy_and_a_dataset_give_the_same(tmp_path: Path) -> None:
    merges = Merges(bpe("a b ab".split(), [("a", "b")]), byte_level=False)
    spec = tf.TensorSpec([None], tf.string)
    merges.served = tf.function(merges.tokenize, input_signature=[spec], autograph=False)
    tf.saved_model.save(merges, str(tmp_path / "saved"))
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    assert saved.served(tf.constant(["aab", ""])).to_list() == [[0, 2], []]
    rows = tf.data.Dataset.from_tensors(["aab", ""]).map(merges.served)
    assert next(iter(rows)).to_list() == [[0, 2], []]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dropout": 0.1}, "dropout"),
        ({"byte_fallback": True, "vocab": {"a": 0, "<0x00>": 1}}, "some of the byte pieces"),
        ({"byte_fallback": True, "end_of_word_suffix": "</w>"}, "end_of_word_suffix"),
        ({"byte_fallback": True, "continuing_subword_prefix": "#"}, "continuing_subword_prefix"),
        ({"vocab": {"a": 0, "": 1}, "merges": [["a", ""]]}, "merge"),
        ({"vocab": {"a": 0, "b": 1, "ab": 2, "ba": 2}, "merges": ["a b", "b a"]}, "id used twice"),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(changes: Model, message: str) -> None:
    model = {**bpe(["a", *BYTES], []), **changes}
    with pytest.raises(preprocess.UnsupportedTokenizerError, match=message):
        Merges(model, byte_level=False)


def test_an_unknown_token_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(preprocess.VocabularyError, match="Z"):
        Merges(bpe(["a"], [], unk_token="Z"), byte_level=False)
