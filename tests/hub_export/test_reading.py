"""What `transformers` makes of a tokenizer.json, and what the configuration adds to it."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import AddedToken, Tokenizer

import hub_export
from hub_export.errors import SourceError
from hub_export.sources import find
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.tokenizer import files as tokenizer_files
from hub_export.verify import transformers_tokens
from hub_export.verify.checks import Check, Outcome
from tests import checkpoints

TEXT = "a [ent] bad [cab] cab"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = checkpoints.wordpiece([*checkpoints.PIECES, "[cab]"])
    checkpoints.save_tokenizer(tmp_path, tokenizer)
    checkpoints.save_model(tmp_path, "bert", vocab_size=tokenizer.get_vocab_size() + 1)
    return tmp_path


def configure(folder: Path, **options: Any) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **options}))


def compared(source: Checkpoint, tokenizer: Tokenizer) -> list[Check]:
    return transformers_tokens.compare(transformers_tokens.read(source, tokenizer), tokenizer)


def token(content: str, **flags: bool) -> dict[str, Any]:
    read = AddedToken(content, **flags)
    names = ("content", "lstrip", "rstrip", "single_word", "normalized", "special")
    return {name: getattr(read, name) for name in names}


@pytest.mark.parametrize(
    "options",
    [
        {"added_tokens_decoder": {"57": token("[cab]", special=True)}},
        {"added_tokens_decoder": {"58": token("[ent]", rstrip=True)}},
        {"additional_special_tokens": ["[ent]"]},
        {"additional_special_tokens": ["[cab]"]},
    ],
    ids=str,
)
def test_tokens_that_only_the_configuration_has(folder: Path, options: dict[str, Any]) -> None:
    before = tokenizer_files.read(folder / "tokenizer.json").encode(TEXT).ids
    configure(folder, **options)
    found = tokenizer_files.read(folder / "tokenizer.json")
    wanted = transformers.AutoTokenizer.from_pretrained(folder)(TEXT)["input_ids"]
    found.no_padding()
    assert found.encode(TEXT).ids == wanted != before
    [check] = compared(find.read(str(folder)), found)
    assert check.outcome == Outcome.PASSED


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"added_tokens_decoder": {"59": token("[ent]")}}, r"'\[ent\]' the id 59.* gives it 58"),
        ({"added_tokens_decoder": {"x": 3}}, "damaged list of tokens"),
        ({"additional_special_tokens": [3]}, "damaged list of tokens .expected a token, found 3"),
    ],
)
def test_lists_of_tokens_that_are_wrong(folder: Path, options: dict[str, Any], words: str) -> None:
    configure(folder, **options)
    with pytest.raises(SourceError, match=rf"tokenizer_config\.json: .*{words}"):
        tokenizer_files.read(folder / "tokenizer.json")


def test_a_class_that_is_built_anew(tmp_path: Path) -> None:
    """The export follows tokenizer.json, says where that matters, and is not refused."""
    checkpoints.save_byte_pairs(tmp_path)
    transformers.RobertaTokenizer.from_pretrained(tmp_path).save_pretrained(tmp_path)
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).unlink(missing_ok=True)
    rows = tokenizer_files.read(tmp_path / "tokenizer.json").get_vocab_size()
    checkpoints.save_model(tmp_path, "roberta", vocab_size=rows, type_vocab_size=1)
    configure(tmp_path, add_prefix_space=True)
    source = find.read(str(tmp_path))
    [check] = compared(source, source.tokenizer())
    assert check.outcome == Outcome.DIFFERS
    assert check.figures["differences"] > check.figures["compared"] / 2
    assert "the export follows tokenizer.json" in check.found
    texts = ["a", " a", " b"]
    tokenizer = source.tokenizer()
    theirs = transformers_tokens.read(source, tokenizer)
    assert transformers_tokens.alike(theirs, tokenizer, texts) == [" a", " b"]
    assert transformers_tokens.alike(theirs, tokenizer, texts[:1]) == texts[:1]
    configure(tmp_path, tokenizer_class="PreTrainedTokenizerFast")
    [check] = compared(source, source.tokenizer())
    assert check.outcome == Outcome.PASSED


@pytest.mark.usefixtures("brief")
def test_a_class_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    configure(folder, tokenizer_class="BertJapaneseTokenizer")
    parts = ["preprocessor"]
    done = hub_export.export(folder, tmp_path / "out", parts=parts, padded_embedding=True)
    [check] = [each for each in done.report.checks if each.subject == transformers_tokens.SUBJECT]
    assert check.outcome == Outcome.NOT_COMPARED
    assert "transformers cannot read it" in check.found
