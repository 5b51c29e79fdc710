"""ESM's tokenizer, against the Python code of `transformers`."""

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
import transformers

import preprocess
from hub_export.errors import SourceError
from hub_export.models.session import Session
from hub_export.settings import Settings
from hub_export.sources import find
from hub_export.sources.tokenizer import files
from hub_export.verify import samples
from hub_export.verify.checks import Outcome
from hub_export.verify.tokens import transformers_tokens
from tests import checkpoints

ACIDS = "L A G V S E R T I D P K Q N F Y M H W C X B U Z O . -"
ENTRIES = f"<cls> <pad> <eos> <unk> {ACIDS} AB <null_1> <mask>"
SEQUENCES = [
    "MKTVRQERLK",
    "MK TV\nRQ\x1cER",
    "mkAtvABC",
    "<mask>MK<null_1>.<cls >",
    " L  <mask> L x y",
    "日本L☃ ☃",
    "",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As they are published: a list, and the name of the class."""
    folder = tmp_path_factory.mktemp("esm")
    (folder / "vocab.txt").write_text("\n".join(ENTRIES.split()))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "EsmTokenizer"}')
    (folder / "config.json").write_text(json.dumps({"model_type": "esm"}))
    return folder


def test_tokens_are_pythons(folder: Path) -> None:
    source = files.read(files.find(folder))
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    assert not isinstance(theirs, transformers.PreTrainedTokenizerFast)
    made = preprocess.build(source, "<pad>", "<mask>", 16, 1)
    drawn = samples.fuzz(sorted(source.get_vocab()), ["<mask>", "<cls>", "\n"], 500)
    given = [*SEQUENCES, *samples.AWKWARD[:-1], *drawn, *samples.codepoints(40)]
    wanted = [theirs(text, add_special_tokens=False)["input_ids"] for text in given]
    found = made.tokenizer.tokenize(tf.constant(given)).merge_dims(1, 2).to_list()
    assert [
        text for text, *both in zip(given, found, wanted, strict=True) if both[0] != both[1]
    ] == []
    both = theirs("MK", "TV", return_token_type_ids=True)
    packed = source.encode("MK", "TV")
    assert (packed.ids, packed.type_ids) == (both["input_ids"], both["token_type_ids"])
    assert both["input_ids"] == [0, *theirs.encode("MK", add_special_tokens=False), 2, 11, 7, 2]


def test_special_tokens_that_are_text_are_refused(folder: Path, tmp_path: Path) -> None:
    """For them, that code splits at whitespace alone."""
    source = Path(shutil.copytree(folder, tmp_path / "esm"))
    checkpoints.config("esm", vocab_size=len(ENTRIES.split()), pad_token_id=1).save_pretrained(
        source
    )
    settings = Settings(source, special_tokens_in_text=False, weights="none")
    with pytest.raises(SourceError, match=r"vocab\.txt: .*splits at whitespace alone"):
        _ = Session(find.read(str(source), weights=False), settings).tokenizer
    config = {"tokenizer_class": "EsmTokenizer", "split_special_tokens": True}
    (source / "tokenizer_config.json").write_text(json.dumps(config))
    theirs = transformers.AutoTokenizer.from_pretrained(str(source))
    assert theirs("MKTV")["input_ids"] == [0, 3, 2]
    with pytest.raises(SourceError, match="say split_special_tokens: false there"):
        files.read(files.find(source))


def test_it_is_compared_with_that_code(folder: Path) -> None:
    tokenizer = files.read(files.find(folder))
    theirs = transformers_tokens.read(find.read(str(folder), weights=False), None)
    assert isinstance(theirs, transformers_tokens.InPython)
    [check] = transformers_tokens.compare(theirs, tokenizer)
    assert check.outcome == Outcome.PASSED
    vars(theirs)["_tokenizer"]._token_to_id["L"] = 5
    [check] = transformers_tokens.compare(theirs, tokenizer)
    assert check.outcome == Outcome.FAILED
