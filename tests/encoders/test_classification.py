"""The classifiers of every family, against transformers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers

from encoders import (
    Classification,
    ConfigError,
    HeadedEncoder,
    RealTokens,
    WeightsError,
    architectures,
)
from encoders.heads.classification import FORMS
from hub_export.sources import find
from tests import checkpoints

LABELS = 3
CASES: dict[str, tuple[str, dict[str, Any]]] = {each: (each, {}) for each in architectures()}
CASES |= {
    "modernbert mean": ("modernbert", {"classifier_pooling": "mean", "classifier_bias": True}),
    "modernbert silu": ("modernbert", {"classifier_activation": "silu", "norm_bias": True}),
    "deberta-v2 tanh": ("deberta-v2", {"pooler_hidden_act": "tanh"}),
}


def source(folder: Path, model_type: str, **options: Any) -> Any:
    """Writes a checkpoint with a head; returns its model in torch."""
    kind = transformers.AutoModelForSequenceClassification
    config = transformers.CONFIG_MAPPING[model_type]
    name = kind._model_mapping[config].__name__
    options = {"num_labels": LABELS, "pad_token_id": 1, **options}
    checkpoints.save_model(folder, model_type, name, **options)
    return kind.from_pretrained(folder, attn_implementation="eager").eval()


def built(folder: Path, labels: int = LABELS) -> HeadedEncoder:
    read = find.read(str(folder))
    architecture = architectures()[read.config["model_type"]]
    width = architecture.dimensions(read.config).width
    head = Classification(read.config, width, labels)
    encoder, filled = architecture.build(read.config, read.tensors(), head=head)
    assert [name for name, why in filled.unused.items() if "task head" in why] == []
    return HeadedEncoder(encoder, head)


@pytest.mark.parametrize("case", CASES)
def test_logits(case: str, tmp_path: Path) -> None:
    model_type, options = CASES[case]
    model = source(tmp_path, model_type, **options)
    headed = built(tmp_path)
    draw = np.random.default_rng(4)
    ids = draw.integers(2, len(checkpoints.PIECES), (5, 12)).astype(np.int32)
    lengths = np.array([12, 1, 7, 3, 12])
    mask = (np.arange(12) < lengths[:, np.newaxis]).astype(np.int32)
    ids[mask == 0] = 1
    with torch.inference_mode():
        wanted = model(torch.tensor(ids), attention_mask=torch.tensor(mask)).logits.numpy()
    for arrange in ({}, {"arrange": RealTokens}):
        found = headed(tf.constant(ids), tf.constant(mask), **arrange)["logits"]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    assert np.ptp(wanted, axis=0).max() > 1e-3


@pytest.mark.parametrize("model_type", FORMS)
def test_every_variable_is_trained(model_type: str, tmp_path: Path) -> None:
    source(tmp_path, model_type)
    headed = built(tmp_path)
    ids = tf.constant([[5, 6, 7, 8, 9, 10]])
    with tf.GradientTape() as tape:
        logits = headed(ids, tf.ones_like(ids), training=True)["logits"]
        loss = tf.reduce_sum(logits * tf.constant([[1.0, 2.0, 4.0]]))
    variables = headed.head.trainable_variables
    assert len(variables) == len(headed.head.rows(architectures()[model_type])) - (
        headed.head.layer_norm is not None
    ) - (model_type == "modernbert")
    assert all(np.any(each) for each in tape.gradient(loss, variables))


def test_another_number_of_labels_is_refused(tmp_path: Path) -> None:
    source(tmp_path, "bert")
    with pytest.raises(WeightsError, match=r"classifier.weight: expected shape \[4, 24\]"):
        built(tmp_path, 4)


def test_a_checkpoint_without_a_head_is_refused(tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path, "distilbert")
    with pytest.raises(WeightsError, match=r"missing \(4\):\n  classifier.weight"):
        built(tmp_path)


def test_what_the_head_does_not_know() -> None:
    with pytest.raises(ConfigError, match="no classification of texts for model_type t5"):
        Classification({"model_type": "t5"}, 8, 2)
    with pytest.raises(ConfigError, match="classifier_pooling: expected cls or mean, found 'max'"):
        Classification({"model_type": "modernbert", "classifier_pooling": "max"}, 8, 2)
