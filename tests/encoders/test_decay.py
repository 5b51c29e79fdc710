"""Recipes leave variables out of weight decay by their names."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import encoders
from encoders.core.declared import expand
from hub_export.sources import find
from tests.conformance.cases import ENCODERS, EncoderCase

EXCLUDED = ["LayerNorm", "layer_norm", "bias"]
SIZES = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 8,
}


def excluded(name: str) -> bool:
    return any(pattern in name for pattern in EXCLUDED)


@pytest.mark.parametrize("case", ENCODERS, ids=lambda case: case.name)
def test_norms_and_biases_alone_have_such_names(case: EncoderCase, tmp_path: Path) -> None:
    case.store(tmp_path)
    architecture = encoders.architectures()[case.model_type]
    encoder = architecture.declare(find.read(str(tmp_path)).config)
    for row in expand(architecture.table.rows, encoder):
        part: Any = encoder
        for step in row.target.split("."):
            part = part[int(step)] if step.isdigit() else getattr(part, step)
        if part.trainable:
            is_bias = row.target.endswith("_bias")  # of XLNet, one with an axis of heads
            assert excluded(row.target) == (len(part.shape) == 1 or is_bias), row.target


@pytest.mark.parametrize("library", [tf_keras, keras], ids=["tf_keras", "keras"])
def test_they_do_not_decay(library: Any) -> None:
    architecture = encoders.architectures()["bert"]
    drawn = {name: draw() for name, draw in architecture.initial(SIZES).items()}
    encoder, _ = architecture.build(SIZES, {name: each + 1 for name, each in drawn.items()})
    kept = list(encoder.trainable_variables)
    if library is keras:  # which has variables of its own
        kept = [keras.Variable(each, name=each.name[:-2].replace("/", ".")) for each in kept]
    before = [np.array(each) for each in kept]
    optimizer = library.optimizers.AdamW(1e-2, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=EXCLUDED)
    optimizer.build(kept)
    optimizer.apply_gradients([(tf.zeros(each.shape), each) for each in kept])
    for old, each in zip(before, kept, strict=True):
        assert np.array_equal(old, np.array(each)) == excluded(each.name), each.name
