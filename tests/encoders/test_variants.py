"""Options that select another computation, against transformers, without an export."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from safetensors.numpy import load_file, save_file

from encoders import ConfigError, RealTokens, architectures
from encoders.core.layout.layout import Padded
from hub_export.sources import find
from hub_export.verify.references.encoder import Reference
from tests import checkpoints

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "ernie": ("ernie", {"use_task_id": True, "task_type_vocab_size": 5}),
    "ernie without tasks": ("ernie", {}),
    "data2vec-text": ("data2vec-text", {}),
    "xlm-roberta-xl": ("xlm-roberta-xl", {}),
    "megatron-bert": ("megatron-bert", {}),
    "rembert": ("rembert", {}),
    "roformer": ("roformer", {"rotary_value": True, "max_position_embeddings": 700}),
    "roformer without projection": ("roformer", {"embedding_size": 24}),
    "roformer of rounded sines": ("roformer", {"dtype": torch.bfloat16}),
    "gte": ("gte", {}),
    "gte without types": ("gte", {"type_vocab_size": 0, "hidden_act": "relu"}),
    "jina_embeddings_v3": ("jina_embeddings_v3", {}),
    "mobilebert": ("mobilebert", {"hidden_dropout_prob": 0.1}),
    "mobilebert without pooler": (
        "mobilebert",
        {"classifier_activation": False, "num_feedforward_networks": 1},
    ),
    "big_bird": ("big_bird", {"rescale_embeddings": True}),
    "big_bird in full": ("big_bird", {"attention_type": "original_full"}),
    "ibert": ("ibert", {}),
    "longformer": ("longformer", {"attention_window": [4, 12], "pad_token_id": 3}),
    "longformer of one width": ("longformer", {"attention_window": 6}),
    "squeezebert": ("squeezebert", {"q_groups": 3, "post_attention_groups": 2}),
    "clip_text_model by an id": ("clip_text_model", {"eos_token_id": 9}),
    "convbert without groups": ("convbert", {"num_attention_heads": 1, "head_ratio": 4}),
    "xlnet of any distance": ("xlnet", {"n_positions": 64}),
    "gpt2 without scales": ("gpt2", {"scale_attn_weights": False}),
    "xlm of one language": ("xlm", {}),
    "flaubert": ("flaubert", {"n_langs": 2}),
    "nystromformer": ("nystromformer", {"conv_kernel_size": 65}),
    "esm 1b": (
        "esm",
        {
            "pad_token_id": 1,
            "mask_token_id": 5,
            "token_dropout": True,
            "emb_layer_norm_before": True,
        },
    ),
    "esm 2": (
        "esm",
        {
            "pad_token_id": 1,
            "mask_token_id": 5,
            "token_dropout": True,
            "position_embedding_type": "rotary",
        },
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_layer_equals_torch(name: str, tmp_path: Path) -> None:
    """In both layouts, with holes in the mask; nothing is wanted of padding."""
    model_type, options = VARIANTS[name]
    checkpoints.save_model(tmp_path, model_type, **options)
    source = find.read(str(tmp_path))
    encoder, _ = architectures()[model_type].build(source.config, source.tensors())
    size = encoder.dimensions
    draw = np.random.default_rng(3)
    mask = (draw.random((6, 20)) < 0.75).astype(np.int32)
    mask[:, 0] = 1
    mask[0, 9:] = 0
    ids = draw.integers(0, size.vocabulary, mask.shape).astype(np.int32)
    ids[0, 9:] = size.padding
    ids[1, 4:7] = source.config.get("mask_token_id") or 4
    types = draw.integers(0, size.types or 1, mask.shape).astype(np.int32)
    reference = Reference.load(source, size, encoder.pooler is not None, encoder.token)
    wanted = reference(ids, mask, types)
    real = mask == 1
    for arrange in (Padded, RealTokens):
        inputs = (tf.constant(each) for each in (ids, mask, types))
        found = encoder(*inputs, arrange=arrange)
        pairs = [(found.pooled.numpy(), wanted.pooled)]
        layers = zip(found.layers, wanted.layers, strict=True)
        pairs += [(one.numpy()[real], other[real]) for one, other in layers]
        for values, right in pairs:
            assert np.abs(right).max() > 0.5
            np.testing.assert_allclose(values, right, rtol=0, atol=1e-5 * np.abs(right).max())


def test_sines_of_roformer_that_are_not_there_are_computed(tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path, "roformer")
    tensors = load_file(tmp_path / "model.safetensors")
    with_them, _ = checkpoints.built(tmp_path)
    del tensors["encoder.embed_positions.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    without, filled = checkpoints.built(tmp_path)
    assert filled.absent == ("shared.table",)
    assert len(with_them.variables) == len(without.variables) + 1
    ids = tf.constant([[5, 6, 7, 8, 9]])
    wanted, found = (each(ids, tf.ones_like(ids)).sequence for each in (with_them, without))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("model_type", "options", "message"),
    [
        ("nystromformer", {"num_landmarks": 32}, "num_landmarks: only attention in full"),
        ("nystromformer", {"conv_kernel_size": 4}, "conv_kernel_size: expected an odd number"),
        ("convbert", {"conv_kernel_size": 4}, "conv_kernel_size: expected an odd number"),
        ("convbert", {"hidden_size": 50}, "does not split over 6 attention heads and as many of"),
        ("convbert", {"num_groups": 5}, "do not split into 5 groups"),
        ("xlnet", {"attn_type": "uni"}, "attn_type: only 'bi' is supported"),
        ("xlm", {"causal": True}, "causal: only False is supported"),
        ("xlnet", {"d_head": 3}, "d_head: expected the 64 of"),
        ("xlnet", {"d_model": 15, "n_head": 3}, "d_model: expected an even number"),
        ("clip_text_model", {"eos_token_id": None}, "eos_token_id: expected an integer from 0"),
    ],
)
def test_what_is_not_computed_is_refused(
    model_type: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        architectures()[model_type].dimensions(options)
