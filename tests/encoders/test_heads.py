"""The modules behind a pooling, beside sentence-transformers' own."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from sentence_transformers.base.modules import Dense as TorchDense
from sentence_transformers.base.modules import Normalize as TorchNormalize
from sentence_transformers.sentence_transformer.modules import LayerNorm as TorchLayerNorm

from encoders import Dense, Dropped, Head, Normalized, Normed, Truncated, WeightsError

X = np.random.default_rng(5).normal(0, 3, (6, 8)).astype(np.float32)


def weights(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Its random weights, biases and scales too."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def assert_same(head: Head, module: Any) -> None:
    tensors = weights(module)
    head.fill(tensors)
    wanted = module({"sentence_embedding": torch.tensor(X)})["sentence_embedding"]
    np.testing.assert_allclose(head(tf.constant(X), False), wanted.detach(), rtol=0, atol=1e-5)
    assert len(head.trainable_variables) == len(tensors)


@pytest.mark.parametrize(
    ("outputs", "bias", "residual"),
    [(8, True, False), (3, False, False), (8, True, True), (5, False, True)],
)
def test_dense(outputs: int, bias: bool, residual: bool) -> None:
    assert_same(
        Dense(8, outputs, "tanh", bias, residual),
        TorchDense(8, outputs, bias=bias, use_residual=residual),
    )


def test_layer_norm() -> None:
    assert_same(Normed(8), TorchLayerNorm(8))


def test_normalize() -> None:
    assert_same(Normalized(), TorchNormalize())
    x = tf.Variable([[0.0, 0.0], [1e-14, 0.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        y = Normalized()(x, False)
    np.testing.assert_allclose(y, torch.nn.functional.normalize(torch.tensor(x.numpy())), 1e-6)
    assert np.isfinite(tape.gradient(y, x)).all()


def test_dropout_is_active_in_training_only() -> None:
    head, x = Dropped(0.5), tf.ones([4, 400])
    np.testing.assert_array_equal(head(x, False), x)
    assert 600 < np.count_nonzero(head(x, True)) < 1000


def test_truncation() -> None:
    np.testing.assert_array_equal(Truncated(3)(tf.constant(X), False), X[:, :3])


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"linear.weight: expected shape \[3, 8\]"):
        Dense(8, 3, "tanh", True, False).fill(weights(TorchDense(8, 4)))
    with pytest.raises(WeightsError, match=r"missing \(1\):\n  linear.bias"):
        Dense(8, 3, "tanh", True, False).fill(weights(TorchDense(8, 3, bias=False)))
