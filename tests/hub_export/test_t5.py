"""Sentence-T5, from spiece.model to its vectors, beside sentence-transformers."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoTokenizer

import hub_export
from hub_export.sources import find
from tests import checkpoints

TEXTS = ["ka lo mi", "", "  tre \t", "dö ñe <extra_id_3> 日", "x</s>y", "su " * 60]


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder and a decoder, and a SentencePiece model, as T5 is published."""
    folder = tmp_path_factory.mktemp("t5")
    written, lines = io.BytesIO(), checkpoints.words(600)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(" ".join(lines[at : at + 10]) for at in range(0, len(lines), 10)),
        model_writer=written,
        vocab_size=80,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
    )
    (folder / "spiece.model").write_bytes(written.getvalue())
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer"}')
    (folder / "config.json").write_text('{"model_type": "t5"}')
    size = len(AutoTokenizer.from_pretrained(folder))
    options = {"vocab_size": size, "n_positions": 30}
    checkpoints.save_model(folder, "t5", "T5ForConditionalGeneration", **options)
    return folder


@pytest.fixture(scope="module")
def sentence_t5(t5: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder alone, under a mean, a projection and a normalisation."""
    folder = tmp_path_factory.mktemp("sentence_t5") / "source"
    linear = Dense(24, 8, bias=False, activation_function=torch.nn.Identity())
    transformer = Transformer(str(t5), max_seq_length=20)
    modules = [transformer, Pooling(24, pooling_mode="mean"), linear, Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)
    return folder


def test_vectors_are_those_of_sentence_transformers(sentence_t5: Path, tmp_path: Path) -> None:
    done = hub_export.export(sentence_t5, tmp_path, name="t5", parts=["text_embedding"])
    assert [(check.subject, check.outcome.value) for check in done.report.checks] == [
        ("weights of the text embedding", "passed"),
        ("vectors, against sentence-transformers", "passed"),
    ]
    model = SentenceTransformer(str(sentence_t5), device="cpu", local_files_only=True)
    wanted = model.encode(TEXTS, batch_size=1, show_progress_bar=False)
    found = tf.saved_model.load(str(done.paths["text_embedding"]))(tf.constant(TEXTS))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_a_vocabulary_of_sentencepiece_is_read(t5: Path) -> None:
    tokenizer, source = find.read(str(t5)).tokenizer(), AutoTokenizer.from_pretrained(t5)
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        assert ids == source(text)["input_ids"]
        assert ids[-1] == source.eos_token_id
    assert tokenizer.token_to_id("<extra_id_0>") == len(source) - 1


def test_the_decoder_is_left_out_and_told_of(t5: Path) -> None:
    config = json.loads((t5 / "config.json").read_text())
    assert config["is_encoder_decoder"] is True
    _, filled = checkpoints.built(t5)
    assert all(name.startswith("decoder.") for name in filled.unused)
    assert len(filled.unused) > 20
    assert {*filled.unused.values()} == {"belongs to the decoder, of which nothing is exported"}


def test_the_head_of_a_task_is_left_out(tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path, "t5", "T5ForQuestionAnswering")
    _, filled = checkpoints.built(tmp_path)
    assert filled.unused["qa_outputs.weight"] == "belongs to a task head"
