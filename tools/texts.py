"""The texts that tokenizers are compared on."""

import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tokenizers import Tokenizer

from hub_export.verify import samples

ASPECTS = ("ids", "offsets", "decoded", "packed")
_SUFFIXES = (".csv", ".tsv", ".txt")
_BYTES = [*range(0x80, 0x100), 0, *b"a \xc3\xe3\xf0"]


def corpora(assets: Path | None) -> Mapping[str, list[str]]:
    """Name -> every line of a corpus."""
    files = sorted((assets / "corpora").glob("*/*")) if assets else []
    return {
        file.stem: file.read_text(encoding="utf-8").splitlines()
        for file in files
        if file.suffix in _SUFFIXES and file.stem.islower()
    }


def fuzz(source: Tokenizer, count: int, seed: int) -> Iterator[str]:
    """Random strings; pieces of the vocabulary, added tokens and parts of them are among them."""
    pieces = [
        source.decode([id], skip_special_tokens=False) for id in sorted(source.get_vocab().values())
    ]
    added = [token.content for token in source.get_added_tokens_decoder().values()][:50]
    parts = [each for token in added for each in (token[:-1], token[1:], f"{token} ", f" {token}")]
    return samples.fuzz(pieces, [*added, *added, *parts], count, samples.SEED + seed)


def broken(texts: Iterable[str], draw: random.Random) -> Iterator[bytes | str]:
    """Texts with bytes that are not UTF-8, and with NUL; one in four stays as it is."""
    for text in texts:
        row = bytearray(text.encode())
        for _ in range(draw.randint(0, 3)):
            at = draw.randint(0, len(row))
            row[at : at + draw.randint(0, 2)] = bytes(draw.choices(_BYTES, k=draw.randint(1, 3)))
        yield bytes(row)


def id_rows(source: Tokenizer, count: int, draw: random.Random) -> Iterator[list[int]]:
    """Rows of random ids; the last ones, which may be added tokens, are drawn as often.

    Some rows have ids that stand for nothing: between those of the vocabulary, or beyond.
    """
    ids = sorted(source.get_vocab().values())
    gaps = sorted({*range(ids[-1])} - {*ids})
    others = [*ids[-3:], *gaps[:20], ids[-1] + 1, 2**31 - 1]
    for _ in range(count):
        pool = draw.choice([ids, ids, ids[-40:], ids[:300], others])
        yield draw.choices(pool, k=draw.randint(0, 12))
