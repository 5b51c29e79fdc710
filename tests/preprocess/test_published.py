"""The tokenizers of published checkpoints, on real text and on everything else."""

import random
from pathlib import Path

import pytest

from hub_export.terminal import Progress
from hub_export.verify import samples
from tools import texts, token_parity

_NAMES = (
    "albert-privately",
    "bert-base-cased",
    "bert-base-uncased",
    "bert-multi-cased",
    "gpt2",
    "roberta",
    "t5",
    "xlm-roberta",
)


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("name", _NAMES)
def test_equals_the_source(assets: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_parity, "PAIRS", 50)  # which are packed alike whatever the tokenizer
    source = token_parity.published(assets)[name]()
    draw = random.Random(name)
    corpora = {
        name: draw.sample(lines, min(len(lines), 200))
        for name, lines in texts.corpora(assets).items()
    }
    seed, quiet = draw.randrange(1 << 30), Progress(quiet=True)
    done = token_parity.compare(name, source, corpora, 60, 800, seed, quiet)
    assert done.compared > 3500
    assert done.examples == []


def test_all_are_tested(assets: Path) -> None:
    assert {*_NAMES} == {*token_parity.published(assets)}


def test_a_difference_is_found(assets: Path) -> None:
    """Between two vocabularies; the smaller one is the source, so that decoding knows its ids."""
    comparison = token_parity.Comparison(token_parity.published(assets)["bert-base-uncased"]())
    comparison._plain = token_parity.published(assets)["bert-base-cased"]()
    comparison.texts(samples.AWKWARD)
    assert comparison.differences["ids"] > 10
