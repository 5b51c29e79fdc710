"""What holds for every encoder, seen through its SavedModel."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras
import torch

from tests.conformance.cases import SavedEncoder

NAMES = ("input_word_ids", "input_mask", "input_type_ids")


def batch(case: SavedEncoder, rows: int = 5, length: int = 17) -> dict[str, np.ndarray]:
    """Random ids; masks with holes, one row that is all padding."""
    draw = np.random.default_rng(7)
    mask = draw.random((rows, length)) < 0.7
    mask[:, 0] = True
    mask[-1] = False
    ids = draw.integers(1, 57, mask.shape)
    types = draw.integers(0, case.types, mask.shape)
    return {
        name: each.astype(np.int32) for name, each in zip(NAMES, (ids, mask, types), strict=True)
    }


def flat(outputs: dict[str, Any]) -> dict[str, np.ndarray]:
    layers = {f"encoder_outputs_{i}": x for i, x in enumerate(outputs.get("encoder_outputs", []))}
    single = {name: x for name, x in outputs.items() if name != "encoder_outputs"}
    return {name: np.asarray(x) for name, x in {**single, **layers}.items()}


def assert_same(one: dict[str, Any], other: dict[str, Any], tolerance: float = 0.0) -> None:
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("length", [1, 17, 40])
def test_every_layer_equals_torch(encoder_case: SavedEncoder, length: int) -> None:
    inputs = batch(encoder_case, length=length)
    expected = encoder_case.reference(*inputs.values())
    found = encoder_case.model(inputs, training=False)
    assert len(found["encoder_outputs"]) == len(expected.layers) == 2
    pairs = zip([*found["encoder_outputs"]], expected.layers, strict=True)
    for values, wanted in [*pairs, (found["pooled_output"], expected.pooled)]:
        assert np.abs(wanted).max() > 0.5
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    np.testing.assert_array_equal(found["sequence_output"], found["encoder_outputs"][-1])
    np.testing.assert_array_equal(found["default"], found["pooled_output"])


def test_pooled_output_without_pooler_is_the_first_vector(encoder_case: SavedEncoder) -> None:
    found = encoder_case.model(batch(encoder_case))
    is_first = np.array_equal(found["pooled_output"], found["sequence_output"][:, 0])
    has_no_pooler = "pooler" in encoder_case.case.absent or encoder_case.case.model_type != "bert"
    assert is_first == has_no_pooler


def test_padding_changes_no_real_position(encoder_case: SavedEncoder) -> None:
    inputs = batch(encoder_case, rows=3)
    inputs["input_mask"] = (np.arange(17) < [[5], [9], [17]]).astype(np.int32)
    changed = {**inputs, "input_word_ids": inputs["input_word_ids"].copy()}
    changed["input_word_ids"][inputs["input_mask"] == 0] = 3
    one, other = (encoder_case.model(each)["sequence_output"] for each in (inputs, changed))
    real = inputs["input_mask"] == 1
    np.testing.assert_allclose(one.numpy()[real], other.numpy()[real], rtol=0, atol=1e-6)


def test_type_ids_default_to_zeros(encoder_case: SavedEncoder) -> None:
    inputs = batch(encoder_case)
    zeros = {**inputs, "input_type_ids": np.zeros_like(inputs["input_type_ids"])}
    without = {name: inputs[name] for name in NAMES[:2]}
    assert_same(encoder_case.model(without), encoder_case.model(zeros))


def test_signatures_equal_the_call(encoder_case: SavedEncoder) -> None:
    inputs = {name: tf.constant(each) for name, each in batch(encoder_case).items()}
    signatures = encoder_case.model.signatures
    assert set(signatures) == {"serving_default", "encoder_outputs"}
    served = signatures["serving_default"](**inputs)
    assert set(served) == {"pooled_output", "sequence_output", "default"}
    layers = signatures["encoder_outputs"](**inputs)
    assert_same({**served, **layers}, encoder_case.model(inputs), 1e-5)


def test_serve_endpoints(encoder_case: SavedEncoder) -> None:
    inputs = batch(encoder_case)
    assert_same(encoder_case.model.serve(inputs), encoder_case.model(inputs))
    assert encoder_case.model.serve_training(inputs)["default"].shape == (5, 24)


def test_dropout_is_active_in_training_only(encoder_case: SavedEncoder) -> None:
    inputs = batch(encoder_case)
    one, other = (encoder_case.model(inputs, training=True)["default"] for _ in range(2))
    options = encoder_case.case.options
    rate = options.get("hidden_dropout_prob", options.get("dropout", 0.1))
    assert np.array_equal(one, other) == (rate == 0.0)
    still = [encoder_case.model(inputs, training=False)["default"] for _ in range(2)]
    np.testing.assert_array_equal(*still)


def test_gradients_reach_every_trainable_variable(encoder_case: SavedEncoder) -> None:
    model, inputs = encoder_case.model, batch(encoder_case)
    assert len(model.variables) == len({variable.name for variable in model.variables}) > 30
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = sum(tf.reduce_sum(tf.sin(each)) for each in flat_tensors(outputs))
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.name
        # Softmax does not change where all keys move alike.
        if "key/bias" not in variable.name:
            assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.name


def flat_tensors(outputs: dict[str, Any]) -> list[tf.Tensor]:
    return [outputs["pooled_output"], *outputs["encoder_outputs"]]


def test_gradients_equal_torch(encoder_case: SavedEncoder) -> None:
    """One step without dropout: the gradients of the first block's query and of the words."""
    inputs = batch(encoder_case, rows=4)
    inputs["input_mask"][-1, :3] = 1
    model, source = encoder_case.model, encoder_case.reference._model
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(model(inputs)["sequence_output"]))
    types = {"token_type_ids": torch.tensor(inputs["input_type_ids"])}
    hidden = source(
        input_ids=torch.tensor(inputs["input_word_ids"]),
        attention_mask=torch.tensor(inputs["input_mask"]),
        **(types if encoder_case.case.model_type == "bert" else {}),
    ).last_hidden_state
    source.zero_grad()
    torch.sin(hidden).sum().backward()
    expected = {name: parameter.grad for name, parameter in source.named_parameters()}
    wanted = {
        "blocks/0/attention/query/kernel:0": (
            "attention.self.query.weight",
            "attention.q_lin.weight",
        ),
        "blocks/1/feed_forward/inner/kernel:0": ("intermediate.dense.weight", "ffn.lin1.weight"),
        "embeddings/word/table:0": ("embeddings.word_embeddings.weight",) * 2,
    }
    variables = {variable.name: variable for variable in model.variables}
    found = tape.gradient(loss, {name: variables[name] for name in wanted})
    for name, endings in wanted.items():
        block = name.split("/")[1] if name.startswith("blocks") else ""
        key = next(
            k for k in expected if k.endswith(endings) and (not block or f"layer.{block}." in k)
        )
        gradient = expected[key].numpy()
        gradient = gradient.T if name.endswith("kernel:0") else gradient
        scale = np.abs(gradient).max()
        assert scale > 0
        np.testing.assert_allclose(
            tf.convert_to_tensor(found[name]), gradient, rtol=0, atol=1e-4 * scale, err_msg=name
        )


def test_sinusoidal_positions_are_not_trained(encoder_case: SavedEncoder) -> None:
    frozen = {v.name for v in encoder_case.model.variables} - {
        v.name for v in encoder_case.model.trainable_variables
    }
    sinusoidal = encoder_case.case.options.get("sinusoidal_pos_embds", False)
    assert frozen == ({"embeddings/position/table:0"} if sinusoidal else set())


def test_saved_again_after_the_first_copy_is_gone(
    encoder_case: SavedEncoder, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(encoder_case.path, first)
    loaded = hub.load(str(first))
    tf.saved_model.save(loaded, str(second), signatures=dict(loaded.signatures))
    shutil.rmtree(first)
    again = tf.saved_model.load(str(second))
    inputs = batch(encoder_case)
    assert_same(again(inputs, training=False), encoder_case.model(inputs, training=False), 1e-5)
    assert len(again.trainable_variables) == len(encoder_case.model.trainable_variables)


def test_no_path_is_left_in_any_file(encoder_case: SavedEncoder) -> None:
    assert_no_path(encoder_case.path)


def assert_no_path(path: Path) -> None:
    files = [file for file in path.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {"saved_model.pb", "verification.json", "README.md"}
    for file in files:
        content = file.read_bytes()
        for secret in (str(path.parents[3]), str(Path.cwd()), str(Path.home())):
            assert secret.encode() not in content, (file, secret)


def test_keras_layer_trains(encoder_case: SavedEncoder) -> None:
    layer = hub.KerasLayer(str(encoder_case.path), trainable=True)
    inputs = {name: tf_keras.Input([None], dtype=tf.int32, name=name) for name in NAMES}
    outputs = tf_keras.layers.Dense(1)(layer(inputs)["pooled_output"])
    model = tf_keras.Model(inputs, outputs)
    assert len(layer.trainable_weights) == len(encoder_case.model.trainable_variables)
    before = [weight.numpy() for weight in layer.trainable_weights]
    model.compile(tf_keras.optimizers.Adam(1e-2), "mse")
    data = {name: tf.constant(each) for name, each in batch(encoder_case).items()}
    model.fit(data, tf.ones([5, 1]), epochs=2, verbose=0)
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(before, layer.trainable_weights, strict=True)
    ]
    assert all(moved)


def test_xla_compiles_the_call(encoder_case: SavedEncoder) -> None:
    inputs = {name: tf.constant(each) for name, each in batch(encoder_case).items()}
    call = lambda x: encoder_case.model(x, training=False)  # noqa: E731
    compiled = tf.function(call, jit_compile=True)
    assert_same(compiled(inputs), call(inputs), 2e-5)


def test_static_shapes_flow_through(encoder_case: SavedEncoder) -> None:
    specs = {name: tf.TensorSpec([6, 9], tf.int32, name) for name in NAMES}
    shapes = tf.function(lambda x: encoder_case.model(x)).get_concrete_function(specs)
    shapes = shapes.structured_outputs
    assert shapes["pooled_output"].shape == [6, 24]
    assert shapes["sequence_output"].shape == [6, 9, 24]
    assert [each.shape for each in shapes["encoder_outputs"]] == [[6, 9, 24]] * 2


def test_batch_of_none(encoder_case: SavedEncoder) -> None:
    outputs = encoder_case.model({name: x[:0] for name, x in batch(encoder_case).items()})
    assert outputs["sequence_output"].shape == (0, 17, 24)
    assert outputs["pooled_output"].shape == (0, 24)


def test_too_long_a_sequence_is_refused(encoder_case: SavedEncoder) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="exceeds the number of positions"):
        encoder_case.model(batch(encoder_case, length=41))


def test_output_dtypes(encoder_case: SavedEncoder) -> None:
    outputs = flat(encoder_case.model(batch(encoder_case)))
    assert {each.dtype for each in outputs.values()} == {np.dtype(np.float32)}
    assert list(encoder_case.model.regularization_losses) == []
