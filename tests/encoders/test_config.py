import dataclasses

import pytest
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import encoders
from encoders.bert import BertConfig
from tests import checkpoints

MODEL_TYPES = checkpoints.in_transformers()


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_defaults_are_those_of_transformers(model_type: str) -> None:
    architecture = encoders.architectures()[model_type]
    source = dataclasses.fields(transformers.CONFIG_MAPPING[model_type])
    expected = {field.name: field.default for field in source}
    # Where types share a config, the first one's vocabulary is its default.
    varying = {"vocab_size"} if model_type != architecture.model_types[0] else set()
    for field in dataclasses.fields(architecture.config):
        # A model may read options that its config class does not declare.
        if field.name in expected.keys() - varying:
            assert field.default == expected[field.name], field.name


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_all_that_transformers_writes_is_known(model_type: str) -> None:
    config = transformers.CONFIG_MAPPING[model_type]().to_dict()
    assert encoders.architectures()[model_type].dimensions(config).layers > 0


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize(
    "option",
    [{"is_decoder": True}, {"position_embedding_type": "relative_key"}, {"pruned_heads": {0: [1]}}],
)
def test_what_changes_the_numbers_is_refused(model_type: str, option: dict[str, object]) -> None:
    with pytest.raises(encoders.ConfigError, match=next(iter(option))):
        encoders.architectures()[model_type].declare(option)


def test_every_problem_is_listed_at_once() -> None:
    config = {
        "hidden_size": "768",
        "layer_norm_eps": True,
        "is_decoder": True,
        "position_embedding_type": "relative_key",
        "flux": 1,
        "num_hidden_layers": 0,
    }
    with pytest.raises(encoders.ConfigError) as error:
        BertConfig.read(config)
    for key in config:
        assert key in str(error.value)


def test_options_that_never_matter_are_passed_over() -> None:
    config = {"id2label": {0: "A"}, "directionality": "bidi", "torch_dtype": "float16"}
    assert BertConfig.read(config) == BertConfig()


@pytest.mark.parametrize(
    ("model_type", "config", "words"),
    [
        ("bert", {"hidden_size": 770}, "770 does not split over 12"),
        ("bert", {"hidden_act": "swoosh"}, "unsupported activation 'swoosh'"),
        ("bert", {"hidden_size": 12, "hidden_act": 3}, "expected a string, found 3"),
        ("bert", {"pad_token_id": True}, "expected an id or null, found True"),
        ("bert", {"pad_token_id": -1}, "expected an id or null, found -1"),
        ("bert", {"pad_token_id": 9, "vocab_size": 9}, "pad_token_id of 9 is not in a vocabulary"),
        ("albert", {"num_hidden_groups": 4, "num_hidden_layers": 3}, "4 hidden groups for 3"),
        ("roberta", {"pad_token_id": None}, "positions from, found None"),
        ("roberta", {"max_position_embeddings": 2}, "leaves no position behind a pad_token_id"),
        ("mpnet", {"relative_attention_num_buckets": 31}, "expected 32 or more"),
        ("mpnet", {"max_position_embeddings": 2}, "expected more than 2"),
        ("mpnet", {"type_vocab_size": 2}, "type_vocab_size: unknown option"),
        ("static_embedding", {"hidden_size": 3}, "vocab_size: missing"),
        ("t5", {"feed_forward_proj": "double-gelu"}, "an activation, or gated- and an activation"),
        ("t5", {"feed_forward_proj": "gated-swoosh"}, "unsupported activation 'swoosh'"),
        ("t5", {"relative_attention_max_distance": 8}, "expected more than the 8 distances"),
        ("umt5", {"relative_attention_num_buckets": 3}, "expected an integer from 4"),
        ("big_bird", {"attention_type": "full"}, "attention_type: expected original_full or"),
        ("big_bird", {"use_bias": False}, "use_bias: only True"),
        ("esm", {"pad_token_id": 1}, "vocab_size: expected a positive integer, found None"),
        ("esm", {"vocab_size": 33}, "pad_token_id: expected an id to count positions from"),
        ("esm", {"token_dropout": True}, "mask_token_id: token_dropout needs an id"),
        ("esm", {"position_embedding_type": "relative"}, "expected absolute or rotary"),
        ("esm", {"is_folding_model": True}, "is_folding_model: only False"),
        ("gte", {"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters: .*yarn"),
        ("esm", {"hidden_act": "relu"}, "hidden_act: only 'gelu'"),
        ("ibert", {"hidden_act": "relu"}, "hidden_act: only 'gelu'"),
        ("ibert", {"quant_mode": True}, "quant_mode: only False"),
        (
            "jina_embeddings_v3",
            {"type_vocab_size": 0},
            "type_vocab_size: expected a positive integer",
        ),
        ("longformer", {"attention_window": [2, 3], "num_hidden_layers": 2}, "expected 2 even"),
        ("longformer", {"attention_window": "all"}, "expected a list of positive integers or"),
        ("mobilebert", {"normalization_type": "layer_norm"}, "only 'no_norm'"),
        ("mobilebert", {"use_bottleneck": False}, "use_bottleneck: only True"),
        ("mobilebert", {"true_hidden_size": 512}, "true_hidden_size: 512 contradicts"),
        ("xlm", {"n_words": 100, "vocab_size": 99}, "n_words: 100 contradicts vocab_size: 99"),
        ("flaubert", {"pad_index": "2"}, "pad_token_id: expected an id"),
        ("roformer", {"hidden_size": 36}, "heads of even width, found 3"),
        ("squeezebert", {"embedding_size": 128}, "embedding_size: expected the hidden_size"),
        ("squeezebert", {"output_groups": 7}, "output_groups: widths .* 7 groups"),
    ],
)
def test_values_that_cannot_be_built(
    model_type: str, config: dict[str, object], words: str
) -> None:
    with pytest.raises(encoders.ConfigError, match=words):
        encoders.architectures()[model_type].declare(config)


@pytest.mark.parametrize(
    ("model_type", "config", "positions", "padding"),
    [
        ("bert", {"pad_token_id": None}, 512, 0),
        ("roberta", {"max_position_embeddings": 514}, 512, 1),
        ("xlm-roberta", {"max_position_embeddings": 20, "pad_token_id": 5}, 14, 5),
        ("mpnet", {"max_position_embeddings": 514, "pad_token_id": 5}, 512, 1),
        ("big_bird", {}, 704, 0),
        ("big_bird", {"attention_type": "original_full"}, 4096, 0),
        ("esm", {"pad_token_id": 1, "vocab_size": 33}, 1024, 1),
        ("longformer", {"max_position_embeddings": 4098}, 4096, 1),
        ("xlm", {"pad_index": 4}, 512, 4),
        ("flaubert", {"n_words": 6, "pad_index": 5}, 512, 5),
    ],
)
def test_usable_positions(
    model_type: str, config: dict[str, object], positions: int, padding: int
) -> None:
    size = encoders.architectures()[model_type].dimensions(config)
    assert (size.positions, size.padding) == (positions, padding)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.sampled_from([10**9, 10**400, -(10**400), 1e308, -0.0])
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(data=st.data())
def test_any_json_value_of_any_option_is_taken_or_refused(
    model_type: str, data: st.DataObject
) -> None:
    architecture = encoders.architectures()[model_type]
    names = sorted(field.name for field in dataclasses.fields(architecture.config))
    names += sorted({*architecture.config.ignored, *architecture.config.fixed, "is_decoder"})
    options = data.draw(st.dictionaries(st.sampled_from(names), JSON, min_size=1, max_size=3))
    try:
        encoder = architecture.declare(options)
    except encoders.ConfigError as error:
        assert str(error)
    else:
        assert encoder.dimensions.layers > 0
