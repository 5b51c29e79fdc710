"""The modules behind a pooling, beside sentence-transformers' own."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from sentence_transformers.base.modules import Dense as TorchDense
from sentence_transformers.base.modules import Normalize as TorchNormalize
from sentence_transformers.sentence_transformer.modules import LayerNorm as TorchLayerNorm

from encoders import (
    ConfigError,
    DenseModule,
    DropoutModule,
    Encoded,
    Head,
    HeadedEncoder,
    LayerNormModule,
    NormalizeModule,
    TextEmbedding,
    TruncateModule,
    VectorModule,
    WeightsError,
    architectures,
)
from encoders.core.blocks.layers import Linear
from encoders.core.rows import Row, linear

X = np.random.default_rng(5).normal(0, 3, (6, 8)).astype(np.float32)


def weights(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Its random weights, biases and scales too."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def assert_same(head: VectorModule, module: Any) -> None:
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
        DenseModule(8, outputs, "tanh", bias, residual),
        TorchDense(8, outputs, bias=bias, use_residual=residual),
    )


def test_layer_norm() -> None:
    assert_same(LayerNormModule(8), TorchLayerNorm(8))


def test_normalize() -> None:
    assert_same(NormalizeModule(), TorchNormalize())
    x = tf.Variable([[0.0, 0.0], [1e-14, 0.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        y = NormalizeModule()(x, False)
    np.testing.assert_allclose(y, torch.nn.functional.normalize(torch.tensor(x.numpy())), 1e-6)
    assert np.isfinite(tape.gradient(y, x)).all()


def test_dropout_is_active_in_training_only() -> None:
    head, x = DropoutModule(0.5), tf.ones([4, 400])
    np.testing.assert_array_equal(head(x, False), x)
    assert 600 < np.count_nonzero(head(x, True)) < 1000


def test_truncation() -> None:
    np.testing.assert_array_equal(TruncateModule(3)(tf.constant(X), False), X[:, :3])


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"linear.weight: expected shape \[3, 8\]"):
        DenseModule(8, 3, "tanh", True, False).fill(weights(TorchDense(8, 4)))
    with pytest.raises(WeightsError, match=r"missing \(1\):\n  linear.bias"):
        DenseModule(8, 3, "tanh", True, False).fill(weights(TorchDense(8, 3, bias=False)))


class Labels(Head):
    """A classifier of texts, to show what the protocol has room for."""

    handles = frozenset({"classifier_temperature"})

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.classifier = Linear(width, labels)

    def rows(self, architecture: Any) -> tuple[Row, ...]:
        return linear("classifier", "classifier")

    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        return {"logits": self.classifier(encoded.pooled)}


def test_a_head_takes_its_tensors_and_the_encoder_the_rest() -> None:
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, num_labels=3
    )
    torch.manual_seed(3)
    source = transformers.BertForSequenceClassification(config).eval()
    tensors = {name: each.numpy() for name, each in source.state_dict().items()}
    options = {**config.to_diff_dict(), "classifier_temperature": 1.0}
    bert = architectures()["bert"]
    with pytest.raises(ConfigError, match="classifier_temperature"):
        bert.build(options, tensors)
    head = Labels(8, 3)
    encoder, filled = bert.build(options, tensors, head=head)
    assert dict(filled.unused) == {}
    _, without = bert.build(config.to_diff_dict(), tensors)
    assert dict.fromkeys(("classifier.weight", "classifier.bias"), "belongs to a task head") == {
        name: reason for name, reason in without.unused.items() if "classifier" in name
    }
    ids = np.array([[1, 2, 3], [4, 5, 0]], np.int32)
    mask = np.array([[1, 1, 1], [1, 1, 0]], np.int32)
    found = HeadedEncoder(encoder, head)(tf.constant(ids), tf.constant(mask))
    with torch.inference_mode():
        wanted = source(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask)).logits
    np.testing.assert_allclose(found["logits"], wanted, rtol=0, atol=1e-5)


def test_the_text_embedding_has_a_default_output() -> None:
    encoded = Encoded(tf.constant(X), tf.zeros([6, 2, 8]), [])
    found = TextEmbedding(modules=[TruncateModule(3)])(encoded, tf.ones([6, 2], tf.int32), False)
    assert found.keys() == {"default"}
    np.testing.assert_array_equal(found["default"], X[:, :3])
