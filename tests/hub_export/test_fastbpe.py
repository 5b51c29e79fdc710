"""PhoBERT's and BERTweet's tokenizers, against the Python code of `transformers`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import hub_export
import preprocess
from hub_export.errors import SourceError
from hub_export.litert import TextModel
from hub_export.litert.description import Reading
from hub_export.litert.reader import Reader
from hub_export.litert.renumbered import Renumbered
from hub_export.models import litert
from hub_export.sources import find
from hub_export.sources.tokenizer import files
from hub_export.verify import samples
from hub_export.verify.checks import Outcome
from hub_export.verify.loaded import Preprocessor
from hub_export.verify.tokens import transformers_tokens
from tests import checkpoints
from tools import texts

LINES = [
    "ka\nlo",
    "ka \nlo\n\n",
    "\n",
    "\nka",
    "ka\x1clo\x1f mi\x85su\u2028tre",
    "ka@@ lo@ @@ @@@",
    "ka</w> lo</w>mi",
    "<mask>ka <s>lo</s>\nmi <unk> < mask>",
    "☃ ☃☃ ka☃lo ☃ka",
]
"""What is rare in texts: line ends, whitespace of Python's own, marks of pieces, unknown ones."""


def save(folder: Path, lines: Iterable[str], kind: str, **options: Any) -> int:
    """Writes bpe.codes and vocab.txt, learned from lines; returns the size of the vocabulary.

    A part of what is learned is not in the vocabulary, as where a corpus had few of it.
    """
    learned = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learned.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=900, limit_alphabet=400, end_of_word_suffix="</w>", show_progress=False
    )
    learned.train_from_iterator(lines, trainer)
    model = json.loads(learned.to_str())["model"]
    pieces = [
        piece.removesuffix("</w>") if piece.endswith("</w>") else f"{piece}@@"
        for at, piece in enumerate(sorted(model["vocab"]))
        if at % 4
    ]
    folder.mkdir(parents=True, exist_ok=True)
    merges = "".join(f"{left} {right} 7\n" for left, right in model["merges"])
    (folder / "bpe.codes").write_text(merges, encoding="utf-8")
    listed = "".join(f"{each} 7\n" for each in [*pieces, "never@@", "@@"])
    (folder / "vocab.txt").write_text(listed, encoding="utf-8")
    config = {"tokenizer_class": kind, **options}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return len(getattr(transformers, kind).from_pretrained(str(folder)))


def learnable() -> list[str]:
    words = checkpoints.words()
    return [" ".join(words[at : at + 10]) for at in range(0, len(words), 10)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa with such a tokenizer."""
    folder = tmp_path_factory.mktemp("fastbpe") / "tiny-phobert"
    size = save(folder, learnable(), "PhobertTokenizer")
    sizes = {"vocab_size": size, "pad_token_id": 1, "type_vocab_size": 1}
    checkpoints.save_model(folder, "roberta", num_hidden_layers=1, **sizes)
    return folder


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> hub_export.Export:
    out = tmp_path_factory.mktemp("fastbpe")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litert, "LENGTHS", (16, 128))
        options: dict[str, Any] = {"pooling": ["mean"], "litert": ["float32"], "verify": "quick"}
        return hub_export.export(
            checkpoint, out, parts=["preprocessor", "text_embedding"], **options
        )


def test_an_export_is_verified(exported: hub_export.Export) -> None:
    checks = {each.subject: each for each in exported.report.checks}
    check = checks[transformers_tokens.SUBJECT]
    assert (check.outcome.value, check.figures["differences"]) == ("passed", 0)
    assert exported.report.source["sha256"].keys() >= {"bpe.codes", "vocab.txt"}


@pytest.mark.parametrize("file", ["tokenizer_config.json", "config.json"])
def test_what_others_have_made_of_it_is_not_read(tmp_path: Path, file: str) -> None:
    for name in ("tokenizer.json", "vocab.txt", "bpe.codes"):
        (tmp_path / name).touch()
    assert files.find(tmp_path).name == "tokenizer.json"
    for kind, read in (("PhobertTokenizer", "bpe.codes"), ("BertTokenizer", "tokenizer.json")):
        (tmp_path / file).write_text(json.dumps({"tokenizer_class": kind, "model_type": "roberta"}))
        assert files.find(tmp_path).name == read


def test_the_class_may_stand_in_the_configuration_of_the_model(tmp_path: Path) -> None:
    """As in published folders; a pair that is listed twice has the rank of the second one."""
    save(tmp_path, learnable()[:20], "PhobertTokenizer")
    codes = tmp_path / "bpe.codes"
    first, _, rest = codes.read_text(encoding="utf-8").partition("\n")
    codes.write_text(f"{first}\n{rest}{first}\n", encoding="utf-8")
    (tmp_path / "tokenizer_config.json").unlink()
    config = {"tokenizer_class": "PhobertTokenizer", "model_type": "roberta"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    source = files.read(files.find(tmp_path))
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    assert type(theirs).__name__ == "PhobertTokenizer"
    assert next(iter(theirs.bpe_ranks)) == max(theirs.bpe_ranks, key=theirs.bpe_ranks.get)
    for text in learnable():
        assert source.encode(text).ids == theirs(text)["input_ids"]


def test_some_of_what_is_left_is_unknown(checkpoint: Path) -> None:
    """Else the numbers of symbols would not be put to the test."""
    tokenizer = files.read(files.find(checkpoint))
    assert isinstance(tokenizer, Renumbered)
    unknown = tokenizer.token_to_id("<unk>")
    [encoding] = tokenizer.encode_batch([" ".join(checkpoints.words(500))])
    symbols = vars(encoding)["_inner"].ids
    hidden = [inner for inner, id in zip(symbols, encoding.ids, strict=True) if inner != id]
    assert len({*hidden}) > 10
    assert {encoding.ids[symbols.index(each)] for each in hidden} == {unknown}
    assert max(tokenizer.get_vocab().values()) < min(hidden)


def differences(preprocessor: Any, folder: Path, given: list[str]) -> list[str]:
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    wanted = [theirs(text, add_special_tokens=False)["input_ids"] for text in given]
    found = preprocessor.tokenize(tf.constant(given)).to_list()
    return [text for text, ours, others in zip(given, found, wanted, strict=True) if ours != others]


def test_tokens_are_pythons(exported: hub_export.Export, checkpoint: Path) -> None:
    preprocessor = Preprocessor(tf.saved_model.load(str(exported.paths["preprocessor"])))
    pieces = sorted(files.read(files.find(checkpoint)).get_vocab())
    drawn = samples.fuzz(pieces, ["<s>", "</s>", "<mask>", "\n"], 1500)
    given = [*LINES, *samples.AWKWARD, *drawn, *samples.codepoints(40), *learnable()]
    assert differences(preprocessor, checkpoint, given) == []


def test_tokens_of_real_texts(assets: Path, tmp_path: Path) -> None:
    """Of English, Korean and Japanese, by what BERTweet's tokenizer learns from a part of them."""
    lines = [line for each in texts.corpora(assets).values() for line in each[:400]]
    save(tmp_path, lines[::2], "BertweetTokenizer")
    source = files.read(files.find(tmp_path))
    assert isinstance(source, Renumbered)
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    made = preprocess.build(source, "<pad>", "<mask>", 16, 1, numbers=source.numbers)
    found = made.tokenizer.tokenize(tf.constant(lines)).to_list()
    wanted = [theirs(line)["input_ids"] for line in lines]
    assert len(lines) >= 2000
    assert [[0, *ids, 2] for ids in found] == wanted
    file = tmp_path / "copy.json"
    source.save(str(file))
    reading = Reading("", 10_000, "right", False, True, False, numbers=litert.numbers_of(source))
    assert [row.word_ids for row in Reader(file, reading, 1).rows(lines)] == wanted


def test_a_litert_copy_reads_texts(exported: hub_export.Export, checkpoint: Path) -> None:
    """Its tokenizer.json has ids of its own for what the vocabulary lacks."""
    copy = TextModel(exported.paths["text_embedding_litert"])
    assert copy.reading.numbers
    theirs = transformers.AutoTokenizer.from_pretrained(str(checkpoint))
    given = [*LINES, *learnable()]
    rows = copy.reader.rows(given)
    assert [row.word_ids for row in rows] == [theirs(text)["input_ids"] for text in given]
    model = tf.saved_model.load(str(exported.paths["text_embedding"]))
    np.testing.assert_allclose(copy(given), model(tf.constant(given)), rtol=0, atol=1e-5)


def test_what_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "tweets", learnable()[:20], "BertweetTokenizer", normalization=True)
    with pytest.raises(SourceError, match="normalization: true is not supported: it rewrites"):
        files.read(files.find(tmp_path / "tweets"))
    save(tmp_path / "unnamed", learnable()[:20], "BertweetTokenizer")
    (tmp_path / "unnamed" / "tokenizer_config.json").unlink()
    with pytest.raises(SourceError, match=r'"tokenizer_class": "BertweetTokenizer"'):
        files.read(files.find(tmp_path / "unnamed"))
    far = {str(10**10): {"content": "<far>", "special": True}}
    save(tmp_path / "far", learnable()[:20], "PhobertTokenizer")
    config = {"tokenizer_class": "PhobertTokenizer", "added_tokens_decoder": far}
    (tmp_path / "far" / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match="'<far>' has the id 10000000000, beyond a vocabulary"):
        files.read(files.find(tmp_path / "far"))


def test_a_difference_is_a_failure(checkpoint: Path) -> None:
    source = find.read(str(checkpoint))
    theirs = transformers_tokens.read(source, None)
    assert isinstance(theirs, transformers_tokens.InPython)
    tokenizer = source.tokenizer()
    [check] = transformers_tokens.compare(theirs, tokenizer)
    assert check.outcome == Outcome.PASSED
    vars(theirs)["_tokenizer"].cache.clear()
    vars(theirs)["_tokenizer"].bpe_ranks.clear()
    [check] = transformers_tokens.compare(theirs, tokenizer)
    assert check.outcome == Outcome.FAILED
    assert ", the first: " in check.found
