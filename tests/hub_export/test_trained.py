"""Exports that were trained, as sources: `weights=PATH`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

import hub_export
from encoders import Encoder
from hub_export.errors import SourceError
from tests import checkpoints, unsaved
from tests.outcomes import assert_passed

TEXTS = tf.constant(["a bad cab", "", "d e f"])


def moved(variables: Any) -> dict[str, np.ndarray]:
    """Changes every variable, each in its own way; name -> its values."""
    draw = np.random.default_rng(7)
    for each in variables:
        each.assign_add(draw.normal(0, 0.02, each.shape).astype(np.float32))
    return {each.name: each.numpy() for each in variables}


def export(source: Path, out: Path, **options: Any) -> hub_export.Export:
    done = hub_export.export(source, out, name="x", **{"verify": "full", **options})
    assert {check.outcome.value for check in done.report.checks} <= {"passed"}
    return done


def load(done: hub_export.Export, part: str = "encoder") -> Any:
    return tf.saved_model.load(str(done.paths[part]))


def built(source: Path, weights: Path) -> Encoder:
    """The encoder that an export would save."""
    return unsaved.session(source, weights=str(weights)).built[0]


def values(model: Any) -> dict[str, np.ndarray]:
    return {each.name: each.numpy() for each in model.variables}


def same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, each in wanted.items():
        np.testing.assert_array_equal(found[name], each, err_msg=name)


def test_a_saved_model(tiny_bert: Path, tiny_export: hub_export.Export, tmp_path: Path) -> None:
    """Trained, saved as TensorFlow saves it, and exported again with all that an export has."""
    model = load(tiny_export)
    wanted = moved(model.variables)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    done = export(tiny_bert, tmp_path / "out", weights=tmp_path / "saved")
    again = load(done)
    same(values(again), wanted)
    assert {*again.signatures} == {*load(tiny_export).signatures}
    assert done.report.settings["weights"] == "trained"
    assert "variables.index" in done.report.source["sha256"]
    page = (done.paths["encoder"] / "assets.extra/README.md").read_text()
    assert "The weights are those of saved, trained in TensorFlow." in page
    vectors = load(done, "text_embedding")(TEXTS)
    row = load(done, "preprocessor")(TEXTS)
    np.testing.assert_allclose(vectors, again(row)["pooled_output"], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def within_keras(tiny_export: hub_export.Export) -> tuple[tf_keras.Model, dict[str, np.ndarray]]:
    """A model of Keras around the encoder, trained a step; and the encoder's variables."""
    specs = {
        name: tf_keras.Input([None], dtype=tf.int32, name=name)
        for name in ("input_word_ids", "input_mask", "input_type_ids")
    }
    layer = hub.KerasLayer(str(tiny_export.paths["encoder"]), trainable=True)
    logits = tf_keras.layers.Dense(3)(layer(specs)["pooled_output"])
    model = tf_keras.Model(specs, logits)
    model.compile(tf_keras.optimizers.Adam(1e-3), "mse")
    model.fit({name: tf.ones([2, 4], tf.int32) for name in specs}, tf.ones([2, 3]), verbose=0)
    return model, {each.name: each.numpy() for each in layer.weights}


@pytest.mark.parametrize("kind", ["saved_model", "weights", "checkpoint"])
def test_within_a_model_of_keras(
    kind: str,
    tiny_bert: Path,
    within_keras: tuple[tf_keras.Model, dict[str, np.ndarray]],
    tmp_path: Path,
) -> None:
    path, (model, wanted) = tmp_path / "saved", within_keras
    if kind == "saved_model":
        model.save(path, save_format="tf")
    elif kind == "weights":
        model.save_weights(path / "weights", save_format="tf")
    else:
        path = Path(tf.train.Checkpoint(model=model).save(str(path / "step")))
    same(values(built(tiny_bert, path)), wanted)


def test_a_task_model_with_its_head(tmp_path: Path) -> None:
    source = tmp_path / "source"
    checkpoints.save_model(source, "bert", "BertForSequenceClassification", num_hidden_layers=1)
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(checkpoints.PIECES))
    part, parts = "text_classification", ["task_model"]
    model = load(export(source, tmp_path / "out", parts=parts, verify="none"), part)
    wanted = moved(model.variables)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    (again, _), checks = unsaved.checks(source, *parts, weights=str(tmp_path / "saved"))
    assert_passed(checks)
    same(values(again), wanted)
    of_encoder = values(built(source, tmp_path / "saved"))
    same(of_encoder, {name: wanted[name] for name in of_encoder})


def test_a_decoder_stays_tied(tmp_path: Path) -> None:
    """The decoder of masked words is the word embedding, in training, too."""
    source = tmp_path / "source"
    checkpoints.save_model(source, "bert", "BertForMaskedLM", num_hidden_layers=1)
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(checkpoints.PIECES))
    model = load(export(source, tmp_path / "out", parts=["encoder"], verify="none"))
    wanted = moved(model.mlm.variables)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    (again, _), checks = unsaved.checks(source, "encoder", weights=str(tmp_path / "saved"))
    assert_passed(checks)
    same(values(again.mlm), wanted)


def test_a_text_embedding_with_its_modules(tiny_bert: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    modules = [Transformer(str(tiny_bert)), Pooling(24, pooling_mode="mean"), Dense(24, 6)]
    SentenceTransformer(modules=modules, device="cpu").save(str(source), create_model_card=False)
    parts = ["text_embedding"]
    model = load(export(source, tmp_path / "out", parts=parts, verify="none"), *parts)
    wanted = moved(model.variables)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    (again, _), checks = unsaved.checks(source, *parts, weights=str(tmp_path / "saved"))
    assert_passed(checks)
    same(values(again), wanted)
    np.testing.assert_allclose(again(TEXTS), model(TEXTS), rtol=0, atol=1e-6)


def test_modules_that_were_not_saved(
    tiny_bert: Path, tiny_export: hub_export.Export, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    modules = [Transformer(str(tiny_bert)), Pooling(24, pooling_mode="mean"), Dense(24, 6)]
    SentenceTransformer(modules=modules, device="cpu").save(str(source), create_model_card=False)
    weights = str(tiny_export.paths["encoder"])
    _, checks = unsaved.checks(source, "text_embedding", weights=weights)
    assert_passed(checks)
    (note,) = unsaved.session(source, weights=weights).checkpoint.notes
    assert note.endswith("Of the modules, they are the checkpoint's own.")


def test_bad_paths(tiny_bert: Path, tmp_path: Path) -> None:
    def refuse(path: Path, *words: str, source: Path = tiny_bert) -> None:
        with pytest.raises(SourceError) as caught:
            export(source, tmp_path / "out", weights=path, parts=["encoder"])
        for each in (str(path), *words):
            assert each in str(caught.value)
        assert not [*tmp_path.glob("out/*")]

    refuse(tmp_path / "nothing", "no such folder or checkpoint")
    refuse(tiny_bert, "holds config.json", "expected a SavedModel")
    other = tmp_path / "other"
    checkpoints.save_model(other, "bert", hidden_size=12, num_hidden_layers=2)
    shallow, whole = tiny_bert, tmp_path / "whole"
    checkpoints.save_model(whole, "bert", num_hidden_layers=2)
    saved = tf.train.Checkpoint(encoder=checkpoints.built(whole)[0])
    encoder = Path(saved.write(str(tmp_path / "saved")))
    refuse(encoder, "embeddings.word.table: expected shape", source=other)
    refuse(encoder, "blocks.1.", "the encoder of the model has none", source=shallow)
    deep = tmp_path / "deep"
    checkpoints.save_model(deep, "bert", num_hidden_layers=3)
    refuse(encoder, "no object in it has the", source=deep)
    two = [tf.train.Checkpoint(encoder=checkpoints.built(whole)[0]) for _ in range(2)]
    tf.train.Checkpoint(one=two[0], two=two[1]).write(str(tmp_path / "two"))
    refuse(tmp_path / "two", "holds 2 objects that may be the encoder: one.encoder, two.encoder")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("x", [1], initializer=tf.zeros_initializer())
        session.run(variable.initializer)
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "old"))
    refuse(tmp_path / "old", "has no objects, as in TensorFlow 1")
    (tmp_path / "two.index").write_bytes(b"no index")
    refuse(tmp_path / "two", "cannot be read as a checkpoint")
