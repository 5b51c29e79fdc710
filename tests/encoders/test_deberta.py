import numpy as np
import pytest
import torch
import transformers
from transformers.models.deberta_v2 import modeling_deberta_v2

from encoders import ConfigError, WeightsError, architectures
from encoders.deberta_v2 import DebertaV2Config, buckets


@pytest.mark.parametrize("longest", [64, 100, 512])
def test_buckets_are_those_of_transformers(longest: int) -> None:
    distances = np.arange(-600, 601)
    for count in (2, 3, 7, 32, 54, 55, 120):
        source = modeling_deberta_v2.make_log_bucket_position
        expected = source(torch.tensor(distances), count, longest).long()
        np.testing.assert_array_equal(buckets(distances, count, longest), expected)


@pytest.mark.parametrize(
    "option",
    [
        {"attention_head_size": 32},
        {"conv_groups": 2},
        {"conv_kernel_size": 4},
        {"norm_rel_ebd": "batch_norm"},
        {"pos_att_type": "c2p|p2p"},
        {"position_buckets": 1},
        {"position_buckets": 1024, "max_relative_positions": 512},
        {"type_vocab_size": -1},
    ],
)
def test_refusals_name_the_option(option: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(option))):
        DebertaV2Config.read(option)


def test_talking_heads_are_refused() -> None:
    with pytest.raises(ConfigError, match="talking_head"):
        architectures()["deberta"].dimensions({"talking_head": True})


def test_tensors_without_effect_are_named() -> None:
    sizes = {"vocab_size": 9, "hidden_size": 4, "num_attention_heads": 2, "intermediate_size": 3}
    sizes |= {"num_hidden_layers": 1, "max_position_embeddings": 5}
    source = transformers.DebertaV2Model(transformers.DebertaV2Config(**sizes)).state_dict()
    tensors = {name: values.numpy() for name, values in source.items()}
    extra = dict.fromkeys(("encoder.rel_embeddings.weight", "encoder.LayerNorm.bias"), np.zeros(4))
    build = architectures()["deberta-v2"].build
    _, filled = build(sizes, {**tensors, **extra})
    assert set(filled.unused) == set(extra)
    _, filled = build({**sizes, "position_biased_input": False}, {**tensors, **extra})
    assert set(filled.unused) - set(extra) == {"embeddings.position_embeddings.weight"}
    with pytest.raises(WeightsError, match=r"encoder\.rel_embeddings\.weight \(for shared"):
        build({**sizes, "relative_attention": True, "pos_att_type": ["c2p"]}, tensors)
