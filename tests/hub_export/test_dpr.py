"""Encoders of DPR, beside the classes of transformers."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from safetensors.numpy import load_file, save_file

import hub_export
from hub_export.sources import find
from hub_export.verify.references.encoder import Reference
from tests import checkpoints

IDS = np.array([[2, 9, 8, 7, 12, 3], [2, 30, 3, 0, 0, 0]], np.int32)
MASK = (IDS != 0).astype(np.int32)


def saved(folder: Path, kind: str) -> Path:
    checkpoints.save_model(folder, "dpr", f"DPR{kind}")
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    return folder


def test_vectors_are_those_of_transformers(tmp_path: Path) -> None:
    """Also of a file of older days, which has a pooler that nothing reads."""
    folder = saved(tmp_path, "ContextEncoder")
    weights = load_file(folder / "model.safetensors")
    unread = {"ctx_encoder.bert_model.pooler.dense.weight": np.ones((24, 24), np.float32)}
    save_file({**weights, **unread}, folder / "model.safetensors", {"format": "pt"})
    model = transformers.DPRContextEncoder.from_pretrained(folder).eval()
    with torch.inference_mode():
        wanted = model(torch.tensor(IDS), torch.tensor(MASK)).pooler_output.numpy()
    encoder, _ = checkpoints.built(folder)
    found = encoder(tf.constant(IDS), tf.constant(MASK)).pooled
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_the_comparison_is_with_bert(tmp_path: Path) -> None:
    """Its tensors under BERT's names, as transformers itself loads them."""
    checkpoint = find.read(str(saved(tmp_path, "QuestionEncoder")))
    size = checkpoints.architecture(checkpoint).dimensions(checkpoint.config)
    types = np.zeros_like(IDS)
    found = Reference.load(checkpoint, size, pooler=False)(IDS, MASK, types)
    encoder, _ = checkpoints.built(tmp_path)
    wanted = encoder(tf.constant(IDS), tf.constant(MASK)).pooled.numpy()
    np.testing.assert_allclose(found.pooled, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_questions_are_read_alike(tmp_path: Path) -> None:
    checkpoint = find.read(str(saved(tmp_path, "QuestionEncoder")))
    assert checkpoint.config["model_type"] == "bert"
    assert "DPRQuestionEncoder: BERT, whose first" in checkpoint.notes[-1]
    encoder, filled = checkpoints.built(tmp_path)
    assert encoder.pooler is None
    assert filled.unused == {}


def test_a_reader_is_refused(tmp_path: Path) -> None:
    checkpoint = find.read(str(saved(tmp_path, "Reader")))
    with pytest.raises(hub_export.SourceError, match="a reader of DPR is not supported"):
        checkpoint.tensors()


def test_projected_vectors_are_refused(tmp_path: Path) -> None:
    checkpoints.changing("config.json", projection_dim=8)(saved(tmp_path, "QuestionEncoder"))
    with pytest.raises(hub_export.SourceError, match="projection_dim: only 0 is supported"):
        find.read(str(tmp_path))
