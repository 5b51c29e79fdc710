"""Decoders as encoders: which tokens they see, and where RoPE puts them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

import encoders
from encoders import ConfigError, RealTokens, architectures
from encoders.core.attention import rope_scaling
from encoders.core.attention.masks import Window, decoder_window
from encoders.core.attention.rotary import Rotary
from encoders.core.layout.layout import Layout, Padded
from encoders.gemma3_text import Gemma3TextConfig
from encoders.qwen2 import Qwen2Config
from tests import checkpoints

LONGEST = 32768
LLAMA_3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
SCALED: dict[str, dict[str, Any]] = {
    "plain": {},
    "linear": {"rope_type": "linear", "factor": 8.0},
    "llama3": {"rope_type": "llama3", **LLAMA_3, "original_max_position_embeddings": 8192},
    "llama3 of short rows": {
        "rope_type": "llama3",
        **LLAMA_3,
        "factor": 32.0,
        "original_max_position_embeddings": 24,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192},
    "yarn of one's own": {
        "rope_type": "yarn",
        "factor": 3.0,
        "beta_fast": 16,
        "beta_slow": 2,
        "mscale": 0.7,
        "mscale_all_dim": 0.4,
        "truncate": False,
    },
    "yarn with a factor": {"rope_type": "yarn", "factor": 2.0, "attention_factor": 1.5},
}


@pytest.mark.parametrize("width", [6, 64])
@pytest.mark.parametrize("parameters", SCALED.values(), ids=SCALED.keys())
def test_frequencies_and_angles_are_those_of_transformers(
    parameters: dict[str, Any], width: int
) -> None:
    given = {"rope_theta": 500_000.0, **parameters}
    config = transformers.LlamaConfig(
        hidden_size=2 * width,
        num_attention_heads=2,
        max_position_embeddings=LONGEST,
        rope_parameters=dict(given),
    )
    source = LlamaRotaryEmbedding(config)
    rope = rope_scaling.read(given, 10_000.0, LONGEST, "rope_parameters")
    assert rope.scaling.length == source.attention_scaling
    steps = torch.arange(0, width, 2, dtype=torch.float32) / width
    found = rope.scaling((rope.theta**steps).numpy(), rope.theta)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, source.inv_freq.numpy())
    cosine, sine = source(torch.zeros(1), torch.arange(512)[None])
    turned = Rotary(width, rope.theta, rope.scaling)(Padded(tf.ones([1, 512], tf.int32)))
    np.testing.assert_allclose(turned.cosine[:, 0], cosine[0, :, : width // 2], rtol=0, atol=5e-7)
    np.testing.assert_allclose(turned.sine[:, 0], sine[0, :, : width // 2], rtol=0, atol=5e-7)


def test_the_kinds_of_scaling_that_are_left_out_are_refused_by_name() -> None:
    left = ROPE_INIT_FUNCTIONS.keys() - {"linear", "llama3", "yarn"}
    assert {"dynamic", "longrope"} <= left
    for kind in left:
        with pytest.raises(ConfigError, match=f"rope_type '{kind}' is not supported"):
            rope_scaling.read({"rope_type": kind, "factor": 2.0}, 1e4, 512, "rope_scaling")


@pytest.mark.parametrize(
    ("model_type", "options", "words"),
    [
        ("llama", {"num_key_value_heads": 5}, "32 attention heads do not share 5"),
        ("llama", {"head_dim": 3}, "heads of even width, found 3"),
        ("llama", {"hidden_size": 100}, "does not split over 32"),
        ("llama", {"pad_token_id": 32000}, "not in a vocabulary of 32000"),
        ("llama", {"rope_scaling": {"type": "linear"}}, "rope_scaling: .*beyond these: factor"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "default", "mrope_section": [1]}},
            "rope_parameters: .*mrope_section",
        ),
        ("llama", {"rope_scaling": {"type": "linear", "factor": -1}}, "numbers above 0"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": "8"}}, "numbers above 0"),
        ("llama", {"rope_parameters": {"rope_theta": 0}}, "rope_theta of 1 or more, found 0"),
        ("llama", {"sliding_window": 16}, "sliding_window: unknown option"),
        ("mistral", {"attention_bias": True}, "attention_bias: only False"),
        ("mistral", {"layer_types": ["full_attention"]}, "layer_types: unknown option"),
        ("qwen2", {"layer_types": ["chunked"] * 32}, "layer_types: expected 32"),
        ("qwen2", {"layer_types": ["sliding_attention"] * 32}, "needs a sliding_window"),
        ("qwen3", {"num_experts": 8}, "num_experts: unknown option"),
        ("qwen3", {"use_bidirectional_attention": True}, "use_bidirectional_attention: only False"),
        ("eurobert", {"is_causal": True}, "is_causal: only False"),
        ("gemma3_text", {"vision_config": {}}, "vision_config: unknown option"),
        ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping: only None"),
        ("gemma3_text", {"sliding_window": None}, "sliding_window: expected a number"),
        ("gemma3_text", {"rope_parameters": {"rope_theta": 1e4}}, "unknown kinds of layers"),
        (
            "gemma3_text",
            {"rope_scaling": {"rope_type": "longrope"}},
            "rope_parameters.full_attention: the rope_type 'longrope'",
        ),
    ],
)
def test_refusals_name_the_option(model_type: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        architectures()[model_type].dimensions(options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_sliding_window": True, "max_window_layers": 3, "sliding_window": 9},
        {"use_sliding_window": False, "sliding_window": 9},
    ],
)
def test_kinds_of_layers_of_qwen(options: dict[str, Any]) -> None:
    source = transformers.Qwen2Config(num_hidden_layers=5, **options)
    for config in (Qwen2Config.read({"num_hidden_layers": 5, **options}), source.to_dict()):
        read = config if isinstance(config, Qwen2Config) else Qwen2Config.read(config)
        assert read.kinds == source.layer_types


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sliding_window_pattern": 3, "rope_theta": 2e5, "rope_local_base_freq": 9e3},
        {"rope_scaling": {"rope_type": "linear", "factor": 8.0}},
        {"use_bidirectional_attention": True, "sliding_window": 513},
    ],
)
def test_old_and_new_options_of_gemma(options: dict[str, Any]) -> None:
    source = transformers.Gemma3TextConfig(**options)
    for config in (Gemma3TextConfig.read(options), Gemma3TextConfig.read(source.to_dict())):
        assert config.kinds == source.layer_types
        for kind, parameters in source.rope_parameters.items():
            assert config.rope(kind).theta == parameters["rope_theta"]
            factor = getattr(config.rope(kind).scaling, "factor", None)
            assert factor == parameters.get("factor")
        ahead = source.sliding_window - 1 if source.use_bidirectional_attention else 0
        window = config.windows["sliding_attention"]
        assert (window.behind, window.ahead) == (source.sliding_window - 1, ahead)


@pytest.mark.parametrize("arrange", [Padded, RealTokens])
def test_windows(arrange: type[Layout]) -> None:
    layout = arrange(tf.constant([[1, 1, 1, 0], [1, 0, 1, 1]]))

    def seen(window: Window) -> list[list[str]]:
        bias = tf.broadcast_to(window(layout), [2, 1, 4, 4])[:, 0].numpy()
        assert {*np.unique(bias)} == {0.0, np.float32(tf.float32.min)}
        return [["".join("01"[int(each)] for each in query) for query in row] for row in bias == 0]

    assert seen(Window()) == [["1110"] * 4, ["1011"] * 4]
    assert seen(decoder_window(None, True))[1] == ["1000", "1000", "1010", "1011"]
    assert seen(decoder_window(2, True))[0] == ["1000", "1100", "0110", "0010"]
    assert seen(decoder_window(1, False))[0] == ["1100", "1110", "0110", "0010"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, encoders.Encoder]:
    """A causal decoder, one with windows, and one of both directions."""

    def made(model_type: str, **options: Any) -> encoders.Encoder:
        folder = Path(tmp_path_factory.mktemp(model_type))
        checkpoints.save_model(folder, model_type, num_key_value_heads=1, **options)
        return checkpoints.built(folder)[0]

    return {
        "causal": made("llama"),
        "windows": made("mistral", sliding_window=3),
        "both": made("qwen2", is_causal=False),
    }


@pytest.mark.parametrize("name", ["causal", "windows", "both"])
def test_left_padding_changes_nothing(built: dict[str, encoders.Encoder], name: str) -> None:
    """Places in a row are counted with the padding, as in the source; distances are what counts."""
    ids = tf.constant(np.random.default_rng(3).integers(0, 31, (2, 9)), tf.int32)
    mask = tf.ones_like(ids)
    left = [tf.pad(each, [[0, 0], [6, 0]]) for each in (ids, mask)]
    alone = built[name](ids, mask)
    for padded in (built[name](*left), built[name](*left, arrange=RealTokens)):
        scale = np.abs(alone.sequence).max()
        pairs = (alone.pooled, padded.pooled), (alone.sequence, padded.sequence[:, 6:])
        for one, other in pairs:
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * scale)


def test_what_a_token_sees(built: dict[str, encoders.Encoder]) -> None:
    ids = np.random.default_rng(3).integers(0, 31, (1, 9)).astype(np.int32)
    mask, changed = np.ones_like(ids), ids.copy()
    changed[0, 4] += 1
    seen = {}
    for name, encoder in built.items():
        one, other = (encoder(each, mask).layers[0][0].numpy() for each in (ids, changed))
        seen[name] = np.flatnonzero((one != other).any(axis=1)).tolist()
    assert seen == {"causal": [4, 5, 6, 7, 8], "windows": [4, 5, 6], "both": [*range(9)]}
