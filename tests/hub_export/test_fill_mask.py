"""Masks in texts, tokens out: against the pipeline of transformers; and Model Garden's `mlm`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers

import hub_export
from encoders import FillMask
from hub_export import SourceError
from hub_export.verify import samples
from hub_export.verify.checks import Outcome
from tests import checkpoints, unsaved
from tests.outcomes import assert_passed

PART = "fill_mask"


def save(folder: Path, model_type: str = "bert", **options: Any) -> Path:
    """A checkpoint with a head for masked tokens, and the tokenizer that goes with it."""
    options = {"pad_token_id": 0, "num_hidden_layers": 1, **options}
    config = transformers.CONFIG_MAPPING[model_type]
    name = transformers.AutoModelForMaskedLM._model_mapping[config].__name__
    if model_type == "roberta":
        ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
        options |= {"vocab_size": checkpoints.save_byte_pairs(folder), **ids}
    elif model_type == "albert":
        tokenizer = checkpoints.unigram(["▁", "▁a", "b", "▁the", "c", "▁日", "本", "er"])
        checkpoints.save_tokenizer(folder, tokenizer)
        options |= {"vocab_size": tokenizer.get_vocab_size()}
        kind = '{"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": "[MASK]"}'
        (folder / "tokenizer_config.json").write_text(kind)
    else:
        checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    checkpoints.save_model(folder, model_type, name, **options)
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("source") / "masked")


@pytest.fixture(scope="module")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out, parts = tmp_path_factory.mktemp("out"), ("encoder", "task_model")
    done = hub_export.export(source, out, parts=parts, verify="full")
    assert_passed(done.report.checks)
    assert done.paths[PART] == out / "masked_fill_mask" / "1"
    return done.paths


@pytest.mark.parametrize("model_type", ["bert", "roberta", "albert", "modernbert"])
def test_the_pipeline_of_transformers(model_type: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "source", model_type)
    model, notes = unsaved.product(folder, "task_model")
    pipeline = transformers.pipeline("fill-mask", model=str(folder))
    longest = notes["task"]["max_length"]
    mask = pipeline.tokenizer.mask_token
    texts = [*samples.AWKWARD, *samples.fuzz(checkpoints.PIECES, checkpoints.SPECIAL, 60)]
    texts = [f"{mask} {text[:40]} {mask}" for text in texts]
    cut = {"truncation": True, "max_length": longest}
    served = model.signatures["serving_default"](text=tf.constant(texts))
    splits, compared = served["row_splits"].numpy(), 0
    for at, text in enumerate(texts):
        wanted = pipeline(text, tokenizer_kwargs=cut)
        wanted = [wanted] if isinstance(wanted[0], dict) else wanted
        rows = slice(splits[at], splits[at + 1])
        found = {name: served[name][rows].numpy() for name in ("token", "token_id", "score")}
        scores = np.array([[each["score"] for each in row] for row in wanted])
        np.testing.assert_allclose(found["score"], scores, rtol=0, atol=1e-5)
        if np.diff(scores).max() < -1e-5:
            compared += 1
            assert found["token_id"].tolist() == [[each["token"] for each in row] for row in wanted]
            names = [[each["token_str"].encode() for each in row] for row in wanted]
            assert found["token"].tolist() == names
    assert compared > 80


def test_odd_batches(exported: dict[str, Path]) -> None:
    model = tf.saved_model.load(str(exported[PART]))
    without = model(tf.constant(["a b", "", b"\xff"]))
    assert without["token_id"].to_list() == [[], [], []]
    odd = model(tf.constant(["[MASK]", "a " * 9000 + "[MASK]", b"\xff [MASK][MASK]"]))
    assert odd["score"].row_lengths().numpy().tolist() == [1, 0, 2]
    assert odd["logits"].shape == (3, None, len(checkpoints.PIECES))
    np.testing.assert_allclose(
        odd["score"][:1].values, model(["[MASK]"])["score"].values, atol=1e-6
    )


def test_the_encoder_has_mlm(source: Path, exported: dict[str, Path]) -> None:
    """The contract of Model Garden's exports."""
    encoder = tf.saved_model.load(str(exported["encoder"]))
    ids = tf.constant([[2, 5, 4, 6, 3], [2, 4, 3, 0, 0]])
    inputs = {
        "input_word_ids": ids,
        "input_mask": tf.cast(ids != 0, tf.int32),
        "input_type_ids": tf.zeros_like(ids),
        "masked_lm_positions": tf.constant([[2, 1], [1, 0]]),
    }
    found = encoder.mlm(inputs)
    plain = encoder({name: inputs[name] for name in list(inputs)[:3]})
    np.testing.assert_array_equal(found["pooled_output"], plain["pooled_output"])
    assert len(found["encoder_outputs"]) == len(plain["encoder_outputs"])
    model = transformers.AutoModelForMaskedLM.from_pretrained(source).eval()
    with torch.inference_mode():
        mask = torch.tensor(inputs["input_mask"].numpy())
        wanted = model(torch.tensor(ids.numpy()), attention_mask=mask).logits.numpy()
    wanted = np.take_along_axis(wanted, inputs["masked_lm_positions"].numpy()[..., None], 1)
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found["mlm_logits"], wanted, rtol=0, atol=1e-5 * scale)
    own, whole = ({v.name for v in m.trainable_variables} for m in (encoder, encoder.mlm))
    assert len(encoder.trainable_variables) == len(own) == len(whole) - 5
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder.mlm(inputs, training=True)["mlm_logits"] ** 2)
    gradients = tape.gradient(loss, encoder.mlm.trainable_variables)
    names = [variable.name for variable in encoder.mlm.trainable_variables]
    missing = [name for name, each in zip(names, gradients, strict=True) if each is None]
    assert all("pooler" in name for name in missing)


def test_a_changed_head_fails(source: Path, monkeypatch: Any) -> None:
    fill = FillMask.fill

    def spoilt(self: Any, *arguments: Any) -> Any:
        taken = fill(self, *arguments)
        self.layer_norm.beta.assign(self.layer_norm.beta + 1e-6)
        return taken

    monkeypatch.setattr(FillMask, "fill", spoilt)
    for part in ("encoder", "task_model"):
        _, (weights, *_) = unsaved.checks(source, part)
        assert weights.outcome is Outcome.FAILED
        assert "head.layer_norm.beta[0]: expected" in weights.found


def test_refusals(tmp_path: Path) -> None:
    folder = save(tmp_path / "source")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    text = (folder / "tokenizer.json").read_text().replace("[MASK]", "[GAP]")
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(SourceError, match="has no mask token, which fill-mask asks about"):
        hub_export.export(folder, tmp_path / "out", parts=("task_model",), verify="none")
    checkpoints.save_model(folder, "bert", "BertModel", num_hidden_layers=1)
    text = (folder / "config.json").read_text().replace("BertModel", "BertForMaskedLM")
    (folder / "config.json").write_text(text)
    with pytest.raises(SourceError, match=r"cls.predictions(.|\n)*say task=feature-extraction"):
        hub_export.export(folder, tmp_path / "out", parts=("task_model",), verify="none")
