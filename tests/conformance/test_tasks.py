"""What holds for the model of every task, seen through its SavedModel."""

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

from hub_export import HubLayer, contract
from hub_export.publish.pages import facts, pages, places
from tests.conformance.task_cases import TEXTS, SavedTask
from tests.conformance.test_encoders import assert_no_path
from tests.hub_export import samples

EXTENTS = {contract.START, contract.LIMIT, contract.TEXT, contract.ANSWER}
"""Outputs that are bytes of a text, or say which."""


def numbers(outputs: Any) -> list[tf.Tensor]:
    """What gradients go through."""
    found = tf.nest.flatten(outputs, expand_composites=True)
    return [each for each in found if each.dtype.is_floating]


def loss(outputs: Any) -> tf.Tensor:
    return sum(tf.reduce_sum(tf.sin(each)) for each in numbers(outputs))


def assert_same(one: Any, other: Any, tolerance: float = 1e-5) -> None:
    """Floats within the tolerance, all else equal; ragged tensors as what they consist of."""
    tf.nest.assert_same_structure(one, other, expand_composites=True)
    pairs = zip(*(tf.nest.flatten(x, expand_composites=True) for x in (one, other)), strict=True)
    for found, wanted in pairs:
        if found.dtype.is_floating:
            scale = max(1.0, float(np.abs(wanted).max(initial=0)))
            np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * scale)
        else:
            np.testing.assert_array_equal(found, wanted)


def is_random(call: Callable[[], Any]) -> bool:
    """Whether it gives other numbers when it is called again, as dropout does."""
    once, again = (numbers(call()) for _ in range(2))
    return any(np.abs(a - b).max() > 1e-3 for a, b in zip(once, again, strict=True))


def rows(served: Mapping[str, tf.Tensor], count: int) -> Iterator[dict[str, np.ndarray]]:
    """What a signature gives for each text."""
    outputs = {key: value.numpy() for key, value in served.items()}
    splits = outputs.pop(contract.ROW_SPLITS, np.arange(count + 1))
    for at in range(count):
        yield {key: each[splits[at] : splits[at + 1]] for key, each in outputs.items()}


def test_dropout_is_active_in_training_only(task_case: SavedTask) -> None:
    given = task_case.given(TEXTS)
    assert is_random(lambda: task_case.calls[True](given))
    still, other = (task_case.calls[False](given) for _ in range(2))
    assert_same(still, other, 0)
    assert_same(task_case.model(given), still, 0)


def test_gradients_reach_every_trainable_variable(task_case: SavedTask) -> None:
    model = task_case.model
    with tf.GradientTape() as tape:
        summed = loss(task_case.calls[True](task_case.given(TEXTS)))
    gradients = tape.gradient(summed, model.trainable_variables)
    assert len(gradients) == len(model.variables) > 20
    assert {each.dtype for each in model.variables} == {tf.float32}
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.name
        # Softmax does not change where all keys move alike.
        if "key/bias" not in variable.name:
            assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.name
    assert list(model.regularization_losses) == []


def test_padding_is_the_same_in_training(task_case: SavedTask) -> None:
    """A loss over the places of a row, as `fit` computes it and as `evaluate` does."""
    padding = TEXTS.index("")
    outputs = [task_case.calls[each](task_case.given(TEXTS)) for each in (False, True)]
    shapes = task_case.model.signatures.get(contract.LOGITS)
    for name in shapes.structured_outputs if shapes else ():
        still, trained = (each[name][padding, 3:] for each in outputs)
        assert len(still) > 9
        np.testing.assert_array_equal(still, trained)


def test_signatures_of_no_texts(task_case: SavedTask) -> None:
    for name, inputs in task_case.requests([]).items():
        for key, value in task_case.model.signatures[name](**inputs).items():
            assert value.shape[0] == (key == contract.ROW_SPLITS), (name, key)
    for training in (False, True):
        outputs = task_case.calls[training](task_case.given([]))
        assert {each.shape[0] for each in tf.nest.flatten(outputs)} == {0}


@pytest.mark.usefixtures("optimized")
def test_a_text_does_not_depend_on_its_neighbours(task_case: SavedTask) -> None:
    for name, inputs in task_case.requests().items():
        serve = task_case.model.signatures[name]
        for at, row in enumerate(rows(serve(**inputs), len(TEXTS))):
            one = {key: each[at : at + 1] for key, each in inputs.items()}
            one = {**one, **{key: inputs[key] for key in inputs if key == contract.LABELS}}
            [alone] = rows(serve(**one), 1)
            for key, wanted in alone.items():
                found = row[key]
                if found.ndim > 1:  # the longest row of the batch is longer
                    found = found[:, : wanted.shape[1]]
                assert found.shape == wanted.shape, (name, key, at)
                if wanted.dtype.kind == "f":
                    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5, err_msg=key)
                else:
                    np.testing.assert_array_equal(found, wanted, err_msg=key)


def test_bytes_that_are_no_text_are_read_as_python_reads_them(task_case: SavedTask) -> None:
    odd = [b"ab \xff c [MASK]", b"\xe5\xa5d\xf0\x9f [MASK]\0", b"\xff" * 300]
    found = task_case.serve(odd)
    wanted = task_case.serve([each.decode(errors="replace") for each in odd])
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if name.split("/")[1] not in EXTENTS:
            assert_same(found[name], value)
        else:
            assert found[name].shape == value.shape


def test_other_ranks_are_refused(task_case: SavedTask) -> None:
    for name, inputs in task_case.requests().items():
        serve = task_case.model.signatures[name]
        for key, value in inputs.items():
            with pytest.raises(tf.errors.InvalidArgumentError, match="shape"):
                serve(**{**inputs, key: value[tf.newaxis]})


def test_saved_again_after_the_first_copy_is_gone(unlike_task: SavedTask, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(unlike_task.path, first)
    loaded = hub.load(str(first))
    tf.saved_model.save(loaded, str(second), signatures=dict(loaded.signatures))
    shutil.rmtree(first)
    again = dataclasses.replace(unlike_task, path=second)
    given = unlike_task.given(TEXTS)
    assert_same(again.model(given), unlike_task.model(given))
    assert_same(again.serve(TEXTS), unlike_task.serve(TEXTS))
    assert len(again.model.trainable_variables) == len(unlike_task.model.trainable_variables)


def test_keras_layer_trains(unlike_task: SavedTask, tmp_path: Path) -> None:
    layer = hub.KerasLayer(str(unlike_task.path), trainable=True)
    batch = [*unlike_task.requests()[contract.SERVING].values()]
    inputs = [tf_keras.Input(each.shape[1:], dtype=tf.string) for each in batch]
    summed = [tf.reduce_sum(tf.sin(x)) for x in numbers(layer(inputs if inputs[1:] else inputs[0]))]
    model = tf_keras.Model(inputs, tf.stack(summed))
    assert len(layer.trainable_weights) == len(unlike_task.model.trainable_variables)
    before = [weight.numpy() for weight in layer.trainable_weights]
    model.compile(tf_keras.optimizers.Adam(1e-2), lambda _, found: tf.reduce_sum(found))
    model.fit(batch, tf.zeros([len(TEXTS)]), batch_size=len(TEXTS), epochs=2, verbose=0)
    still = [
        weight.name
        for old, weight in zip(before, layer.trainable_weights, strict=True)
        if np.array_equal(old, weight) and "key/bias" not in weight.name  # its gradient is zero
    ]
    assert still == []
    model.save(tmp_path / "model")
    again = tf_keras.models.load_model(tmp_path / "model", compile=False)
    np.testing.assert_allclose(again(batch), model(batch), rtol=1e-5)


def test_the_layer_of_keras_3(task_case: SavedTask) -> None:
    layer, given = HubLayer(str(task_case.path), trainable=True), task_case.given(TEXTS)
    assert len(layer.trainable_weights) == len(task_case.model.trainable_variables)
    assert_same(layer(given), task_case.model(given))
    assert is_random(lambda: layer(given, training=True))


def test_the_code_of_its_page(task_case: SavedTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the model, which is loaded already, and that of its copy."""
    monkeypatch.chdir(task_case.path.parents[1])
    place = f"{task_case.path.parent.name}/1"
    monkeypatch.setattr(hub, "load", {place: task_case.model}.__getitem__)
    known = facts.gather(task_case.path)
    blocks = samples.blocks(pages.tf_hub(known, places.beside("me", "model")), "python")
    assert len(blocks) == 2
    for block in blocks:
        samples.run_python(block)


def test_no_path_is_left_in_any_file(task_case: SavedTask) -> None:
    assert_no_path(task_case.path)
