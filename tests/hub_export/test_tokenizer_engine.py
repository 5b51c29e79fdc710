"""The fast engine of Unigram tokenizers, from end to end."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import hub_export
from hub_export import VerificationError
from hub_export.publish import manifest
from hub_export.verify import samples
from hub_export.verify.tokens import transformers_tokens
from preprocess.unigram import sentencepiece_op
from tests import checkpoints

MANY = [chr(point) for point in range(0x4E00, 0x4E00 + 6000)]
"""So many pieces that a text seldom has the one that ties."""

# Cut into "a" and "b" by the sums in float64; equal to them on SentencePiece's grid of scores.
TIED = [("ab", -0.300001), ("a", -0.1), ("b", -0.2)]


def unigram(pieces: list[tuple[str, float]]) -> Tokenizer:
    special = [(token, 0.0) for token in checkpoints.SPECIAL]
    vocabulary = [*special, *pieces, ("▁", -1.0), ("cd", -1.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, checkpoints.SPECIAL.index("[UNK]")))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(checkpoints.SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(each, tokenizer.token_to_id(each)) for each in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def checkpoint(folder: Path, pieces: list[tuple[str, float]]) -> Path:
    tokenizer = unigram(pieces)
    size = tokenizer.get_vocab_size()
    checkpoints.save_model(folder, "bert", vocab_size=size, num_hidden_layers=1)
    checkpoints.save_tokenizer(folder, tokenizer)
    return folder


def export(source: Path, out: Path, **options: str) -> hub_export.Export:
    return hub_export.export(source, out, name="tiny", parts=["preprocessor"], **options)


@pytest.fixture
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole comparison takes half a minute; it is the same with fewer texts."""
    few = samples.Amount(step=10**6, fuzz=4000, pairs=100)
    monkeypatch.setitem(samples.AMOUNTS, "auto", few)


@pytest.mark.usefixtures("few_texts")
def test_texts_that_differ_are_counted(tmp_path: Path) -> None:
    pieces = [*TIED, *((each, -2.0) for each in MANY)]
    done = export(
        checkpoint(tmp_path / "source", pieces), tmp_path / "out", tokenizer_engine="fast"
    )
    path = done.paths["preprocessor"]
    report = json.loads((path / "assets.extra" / "verification.json").read_text())
    checks = [each for each in report["checks"] if each["subject"] != transformers_tokens.SUBJECT]
    differ = sum(check["figures"]["differences"] for check in checks)
    assert differ > 0
    assert {check["outcome"] for check in checks} == {"passed"}
    note = report["notes"]["preprocessor"]["tokenizer_engine"]
    assert note.startswith(f"fast engine: {differ} of ")
    assert note in (path / "assets.extra" / "README.md").read_text()
    assert "SentencepieceTokenizeWithOffsetsOp" in manifest.custom_ops(path)


@pytest.mark.usefixtures("few_texts")
def test_a_difference_that_is_no_tie_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentencepiece_op, "_GRID", 1.0)
    # In whole numbers all three are 0, and "ab" wins.
    pieces = [("ab", -0.4), ("a", -0.1), ("b", -0.2), *((each, -2.0) for each in MANY)]
    with pytest.raises(VerificationError, match=r"fuzz strings +FAILED"):
        export(checkpoint(tmp_path / "source", pieces), tmp_path / "out", tokenizer_engine="fast")


@pytest.mark.usefixtures("few_texts")
def test_more_than_a_few_ties_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = checkpoint(tmp_path / "source", [*TIED, ("é", -2.0)])
    with pytest.raises(VerificationError, match=r"fuzz strings +FAILED"):
        export(source, tmp_path / "out", tokenizer_engine="fast")
    fewer = samples.Amount(step=10**6, fuzz=400, pairs=50)
    monkeypatch.setitem(samples.AMOUNTS, "auto", fewer)
    assert export(source, tmp_path / "out").report.passed


def test_saved_loaded_and_saved_again(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source", [("a", -1.0), ("b", -1.5), ("ab", -2.0)])
    texts = ["abcd ab", "[MASK]x yab", "[UNK]é", ""]
    expected = [
        each.ids
        for each in Tokenizer.from_file(str(source / "tokenizer.json")).encode_batch(
            texts, add_special_tokens=False
        )
    ]
    done = export(source, tmp_path / "first", verify="none", tokenizer_engine="fast")
    first = done.paths["preprocessor"]
    assert "not compared" in (first / "assets.extra" / "README.md").read_text()
    tf.saved_model.save(tf.saved_model.load(str(first)), str(tmp_path / "second"))
    shutil.rmtree(tmp_path / "first")
    program = (
        "import json, sys, tensorflow as tf, tensorflow_text\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "texts = tf.data.Dataset.from_tensors(json.loads(sys.argv[2]))\n"
        "rows = next(iter(texts.map(model.tokenize, num_parallel_calls=2)))\n"
        "print(json.dumps(rows.to_list()))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "second"), json.dumps(texts)]
    done_again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done_again.stdout.splitlines()[-1]) == expected


def test_word_piece_has_no_fast_engine(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(hub_export.SourceError, match="WordPiece have no engine fast; they have: e"):
        export(tiny_bert, tmp_path / "out", tokenizer_engine="fast")
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
