"""Options and angles of the encoders with rotary positions."""

import math

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from transformers.models.modernbert.modeling_modernbert import ModernBertRotaryEmbedding

from encoders import ConfigError, architectures
from encoders.core.attention.rotary import Rotary
from encoders.core.layout.layout import Padded
from encoders.modernbert import GLOBAL, LOCAL, ModernBertConfig
from encoders.nomic_bert import NomicBertConfig


def test_angles_of_far_positions_are_those_of_transformers() -> None:
    config = transformers.ModernBertConfig(num_attention_heads=12)
    source, positions = ModernBertRotaryEmbedding(config), torch.arange(8192)[None]
    layout = Padded(tf.ones([1, 8192], tf.int32))
    for kind in (GLOBAL, LOCAL):
        cosine, sine = source(torch.zeros(1), positions, kind)
        found = Rotary(64, ModernBertConfig().theta(kind))(layout)
        np.testing.assert_allclose(found.cosine[:, 0], cosine[0, :, :32], rtol=0, atol=3e-7)
        np.testing.assert_allclose(found.sine[:, 0], sine[0, :, :32], rtol=0, atol=3e-7)


def nested(**thetas: float) -> dict[str, dict[str, object]]:
    return {kind: {"rope_type": "default", "rope_theta": x} for kind, x in thetas.items()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"global_attn_every_n_layers": 2, "global_rope_theta": 8e4, "local_rope_theta": 500.0},
        {"rope_parameters": nested(full_attention=8e4, sliding_attention=500.0)},
        {"rope_parameters": nested(full_attention=8e4), "local_rope_theta": 500.0},
        {"rope_parameters": {GLOBAL: {"rope_type": "default"}}},
        {"layer_types": [LOCAL, GLOBAL, GLOBAL], "num_hidden_layers": 3},
    ],
)
def test_old_and_new_options_of_modernbert(options: dict[str, object]) -> None:
    source = transformers.ModernBertConfig(**options)
    for config in (ModernBertConfig.read(options), ModernBertConfig.read(source.to_dict())):
        assert config.kinds == source.layer_types
        for kind in (GLOBAL, LOCAL):
            assert math.isclose(config.theta(kind), source.rope_parameters[kind]["rope_theta"])


@pytest.mark.parametrize(
    ("model_type", "options", "words"),
    [
        ("modernbert", {"layer_types": [GLOBAL]}, "layer_types: expected 22"),
        ("modernbert", {"layer_types": ["chunked"] * 22}, "layer_types: expected 22"),
        ("modernbert", {"hidden_size": 36}, "heads of even width, found 3"),
        ("modernbert", {"rope_scaling": {"factor": 2.0}}, "rope_scaling"),
        ("modernbert", {"rope_parameters": {"rope_theta": 1e4}}, "rope_parameters: unknown kinds"),
        ("modernbert", {"rope_parameters": nested(full_attention=0.0)}, "rope_theta of 1 or more"),
        (
            "modernbert",
            {"rope_parameters": {LOCAL: {"rope_type": "linear", "factor": 2.0}}},
            "rope_parameters.sliding_attention: only rope_type default",
        ),
        ("modernbert", {"global_rope_theta": None}, "global_rope_theta: expected a number from 1"),
        ("nomic_bert", {"head_dim": 32}, "head_dim: only"),
        ("nomic_bert", {"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters: only"),
        ("nomic_bert", {"prenorm": True}, "prenorm: only False"),
        ("nomic_bert", {"num_experts": 8}, "num_experts: only 0"),
        ("nomic_bert", {"n_embd": 384}, "n_embd: 384 contradicts hidden_size: 768"),
        ("nomic_bert", {"rotary_emb_base": 10000}, "rotary_emb_base: 10000 contradicts theta"),
    ],
)
def test_refusals_name_the_option(model_type: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        architectures()[model_type].declare(options)


def test_old_names_of_nomic_bert_that_agree() -> None:
    options = {"n_embd": 96, "n_head": 4, "n_inner": None, "rotary_emb_base": 10000.0}
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    new = {"hidden_size": 96, "num_attention_heads": 4, "rope_parameters": rope}
    assert NomicBertConfig.read({**options, **new}) == NomicBertConfig.read(new)
