import dataclasses

import pytest
import transformers

import encoders
from encoders.bert import BertConfig
from encoders.distilbert import DistilBertConfig


@pytest.mark.parametrize(
    ("config", "source"),
    [(BertConfig, transformers.BertConfig), (DistilBertConfig, transformers.DistilBertConfig)],
)
def test_defaults_are_those_of_transformers(config: type, source: type) -> None:
    expected = source()
    for field in dataclasses.fields(config):
        assert field.default == getattr(expected, field.name), field.name


@pytest.mark.parametrize("source", [transformers.BertConfig, transformers.DistilBertConfig])
def test_all_that_transformers_writes_is_known(source: type) -> None:
    config = source().to_dict()
    assert encoders.architectures()[config["model_type"]].dimensions(config).layers > 0


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
    "config", [{"hidden_size": 770}, {"hidden_act": "swoosh"}, {"hidden_size": 12, "hidden_act": 3}]
)
def test_values_that_cannot_be_built(config: dict[str, object]) -> None:
    with pytest.raises(encoders.ConfigError):
        encoders.architectures()["bert"].dimensions(config)
