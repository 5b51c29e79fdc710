"""The Keras 3 layer, and Keras's own TFSMLayer, around exports."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import hub_export
from examples import keras3
from hub_export.use.models.keras import HubLayer

INPUTS = {
    "input_word_ids": tf.constant([[2, 7, 8, 3], [2, 9, 3, 0]]),
    "input_mask": tf.constant([[1, 1, 1, 1], [1, 1, 1, 0]]),
    "input_type_ids": tf.zeros([2, 4], tf.int32),
}


@pytest.fixture(scope="module")
def encoder(calm_export: hub_export.Export) -> str:
    return str(calm_export.paths["encoder"])


def pooled(layer: keras.layers.Layer) -> keras.Model:
    """A model of one layer: the encoder's inputs -> its pooled output."""
    inputs = {name: keras.Input((4,), dtype="int32", name=name) for name in INPUTS}
    return keras.Model(inputs, layer(inputs)["pooled_output"])


def learn(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[float]:
    model.compile(optimizer, "mse")
    target = tf.ones([2, 24])
    return model.fit(INPUTS, target, batch_size=2, epochs=4, verbose=0).history["loss"]


def test_the_example(calm_export: hub_export.Export, tmp_path: Path) -> None:
    """String inputs, Adam, saving and reloading."""
    flags = [f"--{part}={calm_export.paths[part]}" for part in ("encoder", "preprocessor")]
    flags = [*flags, f"--output={tmp_path / 'same.keras'}"]
    losses = keras3.main([*flags, "--epochs=30", "--learning_rate=3e-3"])
    assert losses[-1] < 0.1 * losses[0]


def test_weights_are_those_of_the_saved_model(encoder: str) -> None:
    layer = HubLayer(encoder, trainable=True)
    loaded = tf.saved_model.load(encoder)
    assert len(layer.trainable_weights) == len(loaded.trainable_variables) > 20
    assert layer.count_params() == sum(int(tf.size(each)) for each in loaded.variables)
    assert HubLayer(encoder).trainable_weights == []
    assert len(HubLayer(encoder).weights) == len(layer.weights)


def test_every_weight_learns_and_is_saved(encoder: str, tmp_path: Path) -> None:
    layer = HubLayer(encoder, trainable=True)
    before = [each.numpy() for each in layer.trainable_weights]
    model = pooled(layer)
    losses = learn(model, keras.optimizers.Adam(1e-2))
    assert losses[-1] < losses[0]
    after = [each.numpy() for each in layer.trainable_weights]
    changed = [bool(np.any(a != b)) for a, b in zip(after, before, strict=True)]
    # A key's bias moves every score of a row alike, so that its gradient is rounding at most.
    assert sum(changed) >= len(changed) - 2
    wanted = model.predict(INPUTS, verbose=0)
    model.save(tmp_path / "model.keras")
    found = keras.models.load_model(tmp_path / "model.keras").predict(INPUTS, verbose=0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    # What learns is what the SavedModel computes with.
    np.testing.assert_allclose(layer._loaded(INPUTS)["pooled_output"], wanted, rtol=0, atol=1e-6)


def test_training_is_passed_on(tiny_export: hub_export.Export) -> None:
    encoder = str(tiny_export.paths["encoder"])
    layer, frozen = HubLayer(encoder, trainable=True), HubLayer(encoder)
    calm = layer(INPUTS)["pooled_output"]
    assert np.abs(calm - layer(INPUTS, training=True)["pooled_output"]).max() > 1e-3
    np.testing.assert_array_equal(calm, frozen(INPUTS, training=True)["pooled_output"])


def test_ragged_outputs(tiny_export: hub_export.Export) -> None:
    path = str(tiny_export.paths["preprocessor"])
    text = keras.Input((), dtype="string")
    ids = HubLayer(path, "tokenize")(text)
    assert (ids.ragged, ids.ragged_rank, ids.dtype) == (True, 2, "int32")
    packed = HubLayer(path, "bert_pack_inputs", {"seq_length": 9})(ids)
    assert packed["input_mask"].shape == (None, 9)
    found = keras.Model(text, packed)(tf.constant(["a bad cab", ""]))
    wanted = tf.saved_model.load(path)(tf.constant(["a bad cab", ""]))
    for name, each in found.items():
        np.testing.assert_array_equal(each, wanted[name][:, :9])


def test_tfsm_layer_with_sgd(encoder: str) -> None:
    """Keras's own layer takes the functions with one argument."""
    layer = keras.layers.TFSMLayer(
        encoder, call_endpoint="serve", call_training_endpoint="serve_training"
    )
    losses = learn(pooled(layer), keras.optimizers.SGD(0.05))
    assert losses[-1] < losses[0]


def test_the_exporter_does_without_keras() -> None:
    code = "import sys, hub_export; sys.exit('hub_export.use.models.keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
