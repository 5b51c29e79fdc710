"""Weights of words (SPLADE): against sentence-transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
import tensorflow as tf
from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling

import hub_export
from hub_export import SourceError
from hub_export.models.products import products_of
from hub_export.models.tasks import sparse_embedding
from hub_export.verify import samples
from hub_export.verify.checks import Outcome
from tests import checkpoints, unsaved
from tests.outcomes import assert_passed

PART = "sparse_embedding"


def save(folder: Path, model_type: str = "distilbert", name: str = "DistilBertForMaskedLM") -> Path:
    """A masked language model."""
    checkpoints.save_model(folder, model_type, name, num_hidden_layers=1)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    return folder


def sparse(base: Path, folder: Path, **options: Any) -> Any:
    """Writes a SparseEncoder; returns it."""
    transformer = MLMTransformer(str(base), max_seq_length=24)
    model = sentence_transformers.SparseEncoder(
        modules=[transformer, SpladePooling(**options)], device="cpu"
    )
    model.save(str(folder))
    return model


def test_verification(tmp_path: Path) -> None:
    sparse(save(tmp_path / "base"), tmp_path / "splade")
    parts = ("encoder", "text_embedding", "task_model")
    done = hub_export.export(tmp_path / "splade", tmp_path / "out", parts=parts, verify="full")
    assert_passed(done.report.checks)
    assert {*done.paths} == {"encoder", PART}


@pytest.mark.parametrize(
    ("model_type", "name", "options"),
    [
        ("distilbert", "DistilBertForMaskedLM", {}),
        ("bert", "BertForMaskedLM", {"pooling_strategy": "sum"}),
        ("bert", "BertForMaskedLM", {"activation_function": "log1p_relu"}),
    ],
)
def test_sentence_transformers(
    model_type: str, name: str, options: dict[str, str], tmp_path: Path
) -> None:
    base = save(tmp_path / "base", model_type, name)
    source = sparse(base, tmp_path / "splade", **options)
    model, _ = unsaved.product(tmp_path / "splade", "task_model")
    texts = [*samples.AWKWARD, *samples.fuzz(checkpoints.PIECES, checkpoints.SPECIAL, 60)]
    wanted = np.stack(
        [source.encode(text, convert_to_tensor=True, save_to_cpu=True).to_dense() for text in texts]
    )
    atol = 1e-5 * max(1.0, float(wanted.max()))
    np.testing.assert_allclose(model(texts), wanted, rtol=0, atol=atol)
    terms = model.signatures["terms"](text=tf.constant(texts))
    ragged = tf.RaggedTensor.from_row_splits(terms["weight"], terms["row_splits"])
    for at in (0, 8, 60):
        decoded = source.decode(tf_to_sparse(wanted[at]))
        rows = slice(*terms["row_splits"][at : at + 2].numpy())
        tokens = [each.decode() for each in terms["token"][rows].numpy()]
        assert sorted(tokens) == sorted(source.tokenizer.decode([v]) for v in ids_of(wanted[at]))
        assert len(decoded) == len(tokens) == len(ragged[at])
        np.testing.assert_array_equal(ragged[at], -np.sort(-ragged[at].numpy()))


def test_as_sentence_transformers_makes_it(tmp_path: Path) -> None:
    """Its Transformer in the place of the former MLMTransformer; and a prompt before each text."""
    made = sentence_transformers.SparseEncoder(str(save(tmp_path / "base")), device="cpu")
    made.prompts, made.default_prompt_name = {"query": "a bad "}, "query"
    made.save(str(tmp_path / "splade"))
    assert "MLMTransformer" not in (tmp_path / "splade" / "modules.json").read_text()
    (model, _), checks = unsaved.checks(tmp_path / "splade", "task_model")
    assert_passed(checks)
    wanted = made.encode(["cab c"], save_to_cpu=True).to_dense().numpy()
    np.testing.assert_allclose(model(["cab c"]), wanted, rtol=0, atol=1e-5)
    with pytest.raises(SourceError, match=r"task fill-mask: its modules\.json"):
        hub_export.export(tmp_path / "splade", tmp_path / "no", task="fill-mask")


def ids_of(weights: Any) -> Any:
    return np.flatnonzero(weights)


def tf_to_sparse(weights: Any) -> Any:
    import torch

    return torch.tensor(weights).to_sparse()


def test_a_masked_language_model_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPLADE's own checkpoints say no more than that they are masked language models."""
    base = save(tmp_path / "base")
    monkeypatch.setattr(sparse_embedding, "MOST", 5)
    model, _ = unsaved.product(base, "task_model", task="sparse-embedding")
    texts = tf.constant(["a b", "", b"\xff" * 300])
    weights = model(texts)
    terms = model.signatures["terms"](text=texts)
    assert weights.shape == (3, len(checkpoints.PIECES))
    assert np.diff(terms["row_splits"]).max() == 5
    first = terms["token_id"][: terms["row_splits"][1]]
    np.testing.assert_allclose(terms["weight"][:5], tf.gather(weights[0], first)[:5], atol=1e-6)
    session = unsaved.session(base, parts=("task_model",))
    assert [each.name for each in products_of(session)] == ["fill_mask"]


def test_another_formula_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from encoders import SparseEmbedding

    base = save(tmp_path / "base")
    call = SparseEmbedding.__call__

    def spoilt(self: Any, *arguments: Any) -> Any:
        return {name: each * 1.01 for name, each in call(self, *arguments).items()}

    monkeypatch.setattr(SparseEmbedding, "__call__", spoilt)
    _, checks = unsaved.checks(base, "task_model", task="sparse-embedding")
    failed = [check.subject for check in checks if check.outcome is Outcome.FAILED]
    assert any("weights of words" in each for each in failed)


def test_refusals(tmp_path: Path) -> None:
    base = save(tmp_path / "base")
    sparse(base, tmp_path / "splade")
    file = tmp_path / "splade" / "1_SpladePooling" / "config.json"
    for key, value in (("pooling_strategy", "mean"), ("activation_function", "gelu")):
        config = json.loads(file.read_text())
        file.write_text(json.dumps({**config, key: value}))
        with pytest.raises(SourceError, match=rf"config\.json: {key}: expected .* found '{value}'"):
            hub_export.export(tmp_path / "splade", tmp_path / "out", verify="none")
        file.write_text(json.dumps(config))
