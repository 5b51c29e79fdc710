"""Inputs to compare an export with its source on: drawn by a seed, never chosen to fit."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from encoders import Dimensions
from hub_export.settings import FULL, QUICK

SEED = 20180131
_IN_A_ROW = 16
_BEGINNINGS = 26

Ids = npt.NDArray[np.int32]


class Amount(NamedTuple):
    """How much is compared.

    Attributes:
        step: of the codepoints' texts, every so-manieth is taken.
        fuzz: how many random texts are tokenized.
        pairs: how many pairs of them are packed, at each length.
    """

    step: int
    fuzz: int
    pairs: int


WHOLE = Amount(step=1, fuzz=20_000, pairs=2_000)
AMOUNTS = {"auto": WHOLE, FULL: WHOLE, QUICK: Amount(step=50, fuzz=1_000, pairs=200)}
"""By the setting `verify`."""

EDGES = (("", "a b", ""), ("", ""), ("\t", "a\n", " "))
"""Batches that begin and end with texts of nothing, or of spaces alone, or consist of them."""

AWKWARD = [
    "",
    " ",
    "\t\r\n",
    "\0",
    "a\0b",
    "\ufeffmark",
    "\ufffd",
    "\ufffe\uffff",
    "Hello, world!",
    "don't can't l'été",
    "[CLS] [SEP] [PAD] [UNK] [MASK]",
    "x[MASK]y[mask]z[MASK",
    "[[MASK]]",
    "<s></s><pad><mask>",
    "##ing ##",
    "naïve café ﬁne ½ ² ™ … ß İ ı Σας",
    "e\u0301 \u0301e \u0344 \u0f73\u0f71 \u1100\u1161\u11a8 한국어",
    "日本語とEnglish混ぜ、テスト。中文",
    "नमस्ते สวัสดี مَرْحَبًا שָׁלוֹם",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 1️⃣ 🇫🇷",
    "\u200b\u200d\u2060\u00ad soft\u00adhyphen",
    "\u00a0\u3000\u2003\u2028\u2029\u0085\x1c\x1f",
    "\x01\x02\x03\x7f\x80\x9f\ue000\uf8ff\U000f0000",
    "https://example.com/a_b?c=d&e=%20#f user@example.org",
    "3.14159 1,000,000 -40°C 10€ $5 №7",
    "a" * 99,
    "a" * 100,
    "a" * 101,
    "б" * 60,
    "好" * 120,
    "word " * 600,
    "x" * 20000,
]

SENTENCES = (
    "The train to Vienna leaves at half past nine.",
    "Our carriage departs for Austria this morning.",
    "She planted tomatoes and beans behind the house.",
    "The vegetable garden needs water twice a day.",
    "The court rejected the company's appeal.",
    "Judges ruled against the firm on Tuesday.",
    "Antibiotics do not help against a virus.",
    "A cold is not cured by penicillin.",
    "The program stops when the file is empty.",
    "An empty input makes the software crash.",
)
"""Every two are about the same."""


def codepoints(step: int = 1) -> Iterator[str]:
    """Every Unicode scalar value, within a word and by itself, sixteen of them a text.

    Args:
        step: which texts to give: every so-manieth.
    """
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    for begin in range(0, len(points), _IN_A_ROW * step):
        characters = map(chr, points[begin : begin + _IN_A_ROW])
        yield " ".join(f"a{character}b {character}" for character in characters)


def vocabulary(source: Tokenizer) -> tuple[list[str], int]:
    """Texts that give every entry of a vocabulary, as far as any was found.

    Each entry is tried as a word, and within words behind one beginning after the other, until a
    text gives it.

    Args:
        source: the tokenizer, which neither cuts nor pads.

    Returns:
        The texts, and how many entries none of them gives.
    """
    ids = sorted(source.get_vocab().values())
    missing, texts, draw = set(ids), list[str](), random.Random(SEED)
    words = [source.decode([id], skip_special_tokens=False) for id in ids]
    inner = {id: _inner(source, id, word) for id, word in zip(ids, words, strict=True)}
    alphabetic = [word for word in words if word.isalpha()] or ["a"]
    tried = [f"{word} a{inner[id]}" for id, word in zip(ids, words, strict=True)]
    for beginning in [*"aes10x", *draw.choices(alphabetic, k=_BEGINNINGS)]:
        rows = source.encode_batch(tried, add_special_tokens=False)
        for text, row in zip(tried, rows, strict=True):
            if not missing.isdisjoint(row.ids):
                missing.difference_update(row.ids)
                texts.append(text)
        tried = [f"{beginning}{inner[id]}" for id in sorted(missing)]
    return texts, len(missing)


def _inner(source: Tokenizer, id: int, word: str) -> str:
    """What an entry adds to a word that it stands in."""
    before = source.decode([id], skip_special_tokens=False)
    twice = source.decode([id, id], skip_special_tokens=False)
    return twice[len(before) :] if twice.startswith(before) else word


def fuzz(
    pieces: Sequence[str], special: Sequence[str], count: int, seed: int = SEED
) -> Iterator[str]:
    """Texts of random stretches: characters of one script, pieces, special tokens, spaces."""
    draw = random.Random(seed)
    pools: list[Sequence[str]] = [
        pieces,
        special or ["[MASK]"],
        [*" \t\n\r\v\f\u00a0\u2009\u3000\u200b\u200d\ufeff"],
        [chr(point) for point in range(0x20, 0x7F)],
        [*"[]<>()#'\"_-.,!?@&", "##", "MASK", "mask"],
        [chr(point) for point in range(0x300, 0x370)],
        ["👩", "👍", "🏽", "\u200d", "\ufe0f", "🇫", "🇷"],
        *([chr(point) for point in range(*script)] for script in _SCRIPTS),
    ]
    for _ in range(count):
        stretches = []
        for _ in range(draw.randint(1, 6)):
            pool = draw.choice(pools)
            stretches += draw.choices(pool, k=draw.randint(1, 12))
        if draw.random() < 0.3:
            stretches += [chr(_any_point(draw)) for _ in range(draw.randint(1, 8))]
        if draw.random() < 0.02:
            stretches.append(draw.choice("aбс好") * draw.randint(80, 220))
        yield "".join(stretches)


def lengths(pieces: Sequence[str], count: int, longest: int) -> Iterator[str]:
    """Texts of pieces with spaces between them: a few pieces first, at last `longest` of them."""
    draw = random.Random(SEED)
    for at in range(1, count + 1):
        yield " ".join(draw.choices(pieces, k=max(1, round(longest ** (at / count)))))


_SCRIPTS = (
    (0xA0, 0x250),
    (0x370, 0x590),
    (0x590, 0x780),
    (0x900, 0xE80),
    (0xF00, 0x1200),
    (0x1AB0, 0x2000),
    (0x2000, 0x2C00),
    (0x3040, 0x3400),
    (0x4E00, 0xA000),
    (0xA640, 0xAC00),
    (0xAC00, 0xD7A4),
    (0xF900, 0x10000),
    (0x1D100, 0x1D200),
    (0x1E000, 0x1E960),
    (0x20000, 0x20200),
)


def _any_point(draw: random.Random) -> int:
    point = draw.randrange(1, 0x110000 - 0x800)
    return point if point < 0xD800 else point + 0x800


def batches(size: Dimensions) -> Iterator[tuple[Ids, Ids, Ids]]:
    """Padded batches with random masks: word ids, mask, type ids, int32 [B, S] each.

    Rows are padded at their ends, with the padding id; the last row's mask has holes, with any id
    under them. The last batch is as long as the encoder allows, up to 512.
    """
    draw = np.random.default_rng(SEED)
    for rows, length in ((1, 1), (3, 7), (4, 33), (8, 64), (1, 512)):
        shape = rows, min(length, size.positions)
        lengths = draw.integers(1, shape[1] + 1, (rows, 1))
        mask = np.arange(shape[1]) < lengths
        mask[-1] |= draw.random(shape[1]) < 0.5
        ids = draw.integers(0, size.vocabulary, shape)
        ids[:-1][~mask[:-1]] = size.padding
        type_ids = draw.integers(0, max(size.types, 1), shape)
        yield ids.astype(np.int32), mask.astype(np.int32), type_ids.astype(np.int32)
