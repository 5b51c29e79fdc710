"""Encoders of published sizes against `transformers`, without memory for a single weight."""

import functools
from typing import Any

import pytest
import torch
import transformers

import encoders
from encoders.core.declared import Declared, expand

ALBERT = {"hidden_act": "gelu_new", "embedding_size": 128}
DEBERTA = {"relative_attention": True, "position_biased_input": False}
DEBERTA_V2 = {
    **DEBERTA,
    "norm_rel_ebd": "layer_norm",
    "pos_att_type": "p2c|c2p",
    "position_buckets": 256,
    "share_att_key": True,
}
PUBLISHED = {
    "bert-base-uncased": ("bert", {}),
    "distilbert-base-uncased": ("distilbert", {}),
    "albert-base-v2": (
        "albert",
        {**ALBERT, "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    ),
    "albert-large-v2": (
        "albert",
        {
            **ALBERT,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
        },
    ),
    "albert-xlarge-v2": (
        "albert",
        {
            **ALBERT,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
        },
    ),
    "albert-xxlarge-v2": (
        "albert",
        {**ALBERT, "hidden_size": 4096, "intermediate_size": 16384, "num_attention_heads": 64},
    ),
    "roberta-large": (
        "roberta",
        {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
        },
    ),
    "xlm-roberta-base": (
        "xlm-roberta",
        {"vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1},
    ),
    "camembert-base": (
        "camembert",
        {"vocab_size": 32005, "max_position_embeddings": 514, "type_vocab_size": 1},
    ),
    "electra-small-discriminator": ("electra", {}),
    "electra-base-discriminator": (
        "electra",
        {
            "embedding_size": 768,
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_attention_heads": 12,
        },
    ),
    "mpnet-base": ("mpnet", {"max_position_embeddings": 514}),
    "deberta-base": ("deberta", {**DEBERTA, "pos_att_type": "c2p|p2c"}),
    "deberta-v3-base": (
        "deberta-v2",
        {**DEBERTA_V2, "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    ),
    "deberta-v2-xlarge": (
        "deberta-v2",
        {**DEBERTA_V2, "attention_head_size": 64, "conv_act": "gelu", "conv_kernel_size": 3},
    ),
    "ModernBERT-base": (
        "modernbert",
        {
            "global_attn_every_n_layers": 3,
            "global_rope_theta": 160000.0,
            "local_rope_theta": 10000.0,
        },
    ),
    "ModernBERT-large": (
        "modernbert",
        {
            "hidden_size": 1024,
            "intermediate_size": 2624,
            "num_attention_heads": 16,
            "num_hidden_layers": 28,
        },
    ),
    "Qwen3-Embedding-0.6B": (
        "qwen3",
        {
            "vocab_size": 151_669,
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
        },
    ),
    "embeddinggemma-300m": (
        "gemma3_text",
        {
            "vocab_size": 262_144,
            "hidden_size": 768,
            "intermediate_size": 1152,
            "num_hidden_layers": 24,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "sliding_window": 512,
            "use_bidirectional_attention": True,
        },
    ),
    "e5-mistral-7b-instruct": ("mistral", {}),
    "gte-Qwen2-1.5B-instruct": (
        "qwen2",
        {
            "vocab_size": 151_646,
            "hidden_size": 1536,
            "intermediate_size": 8960,
            "num_hidden_layers": 28,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "is_causal": False,
        },
    ),
    "Llama-3.2-1B": (
        "llama",
        {
            "vocab_size": 128_256,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "num_key_value_heads": 8,
            "rope_theta": 500_000.0,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 32.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
        },
    ),
    "EuroBERT-210m": (
        "eurobert",
        {"rope_theta": 250_000, "pretraining_tp": 1, "hidden_dropout": 0.0},
    ),
    "t5-base": ("t5", {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}),
    "t5-v1_1-small": ("t5", {"d_ff": 1024, "num_heads": 6, "feed_forward_proj": "gated-gelu"}),
    "t5-11b": (
        "t5",
        {"d_model": 1024, "d_ff": 65536, "d_kv": 128, "num_layers": 24, "num_heads": 128},
    ),
    "mt5-small": ("mt5", {}),
    "umt5-small": ("umt5", {}),
    "ernie-3.0-base-zh": (
        "ernie",
        {
            "layer_norm_eps": 1e-5,
            "max_position_embeddings": 2048,
            "task_type_vocab_size": 3,
            "type_vocab_size": 4,
            "use_task_id": True,
            "vocab_size": 40000,
        },
    ),
    "data2vec-text-base": (
        "data2vec-text",
        {"max_position_embeddings": 514, "type_vocab_size": 1, "vocab_size": 50265},
    ),
    "xlm-roberta-xl": ("xlm-roberta-xl", {}),
    "megatron-bert-cased-345m": ("megatron-bert", {}),
    "rembert": ("rembert", {}),
    "mobilebert-uncased": (
        "mobilebert",
        {"classifier_activation": False, "true_hidden_size": 128},
    ),
    "squeezebert-uncased": ("squeezebert", {}),
    "bigbird-roberta-base": ("big_bird", {}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_variable_has_the_shape_of_its_source(name: str) -> None:
    model_type, options = PUBLISHED[name]
    config = transformers.AutoConfig.for_model(model_type, **options)
    with torch.device("meta"):
        reference = encoders.architectures()[model_type].reference
        source = getattr(transformers, reference).from_config(config)
    expected = {each: tuple(values.shape) for each, values in source.named_parameters()}
    assert declared(model_type, config.to_dict()) == expected


def declared(model_type: str, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name of the source's parameter -> the shape that it must have."""
    architecture = encoders.architectures()[model_type]
    encoder = architecture.encoder(architecture.config.read(config))
    found = {}
    for row in expand(architecture.table.rows, encoder):
        variable = functools.reduce(step, row.target.split("."), encoder)
        assert isinstance(variable, Declared)
        found[row.sources[0]] = row.change.source_shape(variable.shape)
    return found


def step(part: Any, name: str) -> Any:
    return part[int(name)] if name.isdigit() else getattr(part, name)


def test_albert_shares_its_layers() -> None:
    model_type, options = PUBLISHED["albert-xxlarge-v2"]
    architecture = encoders.architectures()[model_type]
    encoder = architecture.encoder(architecture.config.read(options))
    assert encoder.dimensions.layers == len(list(encoder.blocks)) == 12
    assert len({id(block) for block in encoder.blocks}) == 1
