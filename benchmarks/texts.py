"""Texts to tokenise: real ones where `HUB_EXPORT_TEST_ASSETS` says, else made-up sentences."""

import csv
import itertools
import os
import random
from collections.abc import Mapping
from pathlib import Path

ASSETS = "HUB_EXPORT_TEST_ASSETS"

_WORDS = {
    "made-up English": (
        "the a small council of Geneva, reported yesterday unbelievably strong growth in 1997 "
        "and everybody's shareholders asked for more (and better) news. Why not? antidisestablished"
    ),
    "made-up Korean": "한 소녀가 머리를 스타일링하고 있다. 그는 결국 다시 이야기하게 되었다",
    "made-up Japanese": "吾輩は 猫である。 名前は まだ無い。 どこで 生れたか とんと 見当がつかぬ",
}


def corpora() -> Mapping[str, list[str]]:
    """Name -> texts, none of them blank."""
    if ASSETS in os.environ:
        found = _real(Path(os.environ[ASSETS], "corpora"))
    else:
        print(f"{ASSETS} is not set: made-up sentences instead of real text")
        found = {name: _sentences(words.split()) for name, words in _WORDS.items()}
    return {name: [text for text in texts if text.strip()] for name, texts in found.items()}


def long_word(texts: list[str], characters: int) -> str:
    """So many characters of the texts without a space."""
    joined = "".join("".join(texts[:characters]).split())
    return joined[:characters]


def take(texts: list[str], count: int) -> list[str]:
    """The first so many texts, from the start again where they run out."""
    return list(itertools.islice(itertools.cycle(texts), count))


def _real(folder: Path) -> dict[str, list[str]]:
    news = _table(folder / "ag-news" / "ag_news_norm_test.csv", csv.excel)
    similar = _table(folder / "ko-nli" / "korsts-test.tsv", csv.excel_tab)
    entailed = _table(folder / "ko-nli" / "xnli.test.ko.tsv", csv.excel_tab)
    return {
        "ag-news (en)": [text for _, *texts in news for text in texts],
        "botchan (en)": _lines(folder / "en" / "botchan.txt"),
        "xnli, sts (ko)": [text for *_, a, b, _ in entailed[1:] for text in (a, b)]
        + [text for *_, a, b in similar[1:] for text in (a, b)],
        "wagahai (ja)": _lines(folder / "ja" / "wagahaiwa_nekodearu.txt"),
    }


def _table(path: Path, dialect: type[csv.Dialect]) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        if dialect is csv.excel:
            return list(csv.reader(file, dialect))
        return list(csv.reader(file, dialect, quoting=csv.QUOTE_NONE))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _sentences(words: list[str]) -> list[str]:
    generator = random.Random(0)
    return [" ".join(generator.choices(words, k=generator.randint(4, 40))) for _ in range(4000)]
