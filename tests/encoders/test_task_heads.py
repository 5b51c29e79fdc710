"""The heads of every family for every task, against transformers."""

import functools
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from safetensors.numpy import load_file, save_file

from encoders import (
    Classification,
    ConfigError,
    FillMask,
    HeadedEncoder,
    MultipleChoice,
    QuestionAnswering,
    RealTokens,
    TaskHead,
    TokenClassification,
    WeightsError,
    architectures,
)
from encoders.core.declared import expand
from encoders.heads.forms import options_of
from hub_export.sources import find
from hub_export.verify.references.families import settled
from tests import checkpoints

HEADS: dict[str, tuple[type[TaskHead], tuple[str, ...], int]] = {
    "SequenceClassification": (Classification, ("logits",), 3),
    "TokenClassification": (TokenClassification, ("logits",), 3),
    "QuestionAnswering": (QuestionAnswering, ("start_logits", "end_logits"), 2),
    "MultipleChoice": (MultipleChoice, ("logits",), 1),
    "MaskedLM": (FillMask, ("logits",), 0),
}
"""Task -> what computes it, its outputs, and the number of its labels."""
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    f"{task} {model_type}": (task, model_type, {})
    for task, (head, *_) in HEADS.items()
    for model_type in head.forms
    if model_type in transformers.CONFIG_MAPPING
}
CASES |= {
    "modernbert mean": (
        "SequenceClassification",
        "modernbert",
        {"classifier_pooling": "mean", "classifier_bias": True},
    ),
    "modernbert silu": (
        "TokenClassification",
        "modernbert",
        {"classifier_activation": "silu", "norm_bias": True},
    ),
    "bert untied": ("MaskedLM", "bert", {"tie_word_embeddings": False}),
    "modernbert without biases": (
        "MaskedLM",
        "modernbert",
        {"decoder_bias": False, "norm_bias": True, "tie_word_embeddings": False},
    ),
    "deberta as published": ("MaskedLM", "deberta", {"legacy": False}),
    "deberta-v2 as published": ("MaskedLM", "deberta-v2", {"legacy": False}),
    "modernbert mean of choices": (
        "MultipleChoice",
        "modernbert",
        {"classifier_pooling": "mean", "classifier_bias": True},
    ),
    "electra tanh": ("MultipleChoice", "electra", {"summary_activation": "tanh"}),
    "deberta-v2 tanh": ("SequenceClassification", "deberta-v2", {"pooler_hidden_act": "tanh"}),
}


def source(folder: Path, task: str, model_type: str, **options: Any) -> Any:
    """Writes a checkpoint with a head; returns its model in torch."""
    kind = getattr(transformers, f"AutoModelFor{task}")
    config = transformers.CONFIG_MAPPING[model_type]
    name = kind._model_mapping[config].__name__
    labels = {"num_labels": HEADS[task][2]} if HEADS[task][2] else {}
    options = {**labels, "pad_token_id": 1, **options}
    checkpoints.save_model(folder, model_type, name, **options)
    return settled(kind.from_pretrained(folder, attn_implementation="eager").eval())


def built(folder: Path, task: str, labels: int = 0) -> HeadedEncoder:
    read = find.read(str(folder))
    architecture = architectures()[read.config["model_type"]]
    declared = architecture.declare(read.config)
    head = HEADS[task][0].of(read.config, declared, labels or HEADS[task][2])
    encoder, filled = architecture.build(read.config, read.tensors(), head=head)
    assert [name for name, why in filled.unused.items() if "task head" in why] == []
    return HeadedEncoder(encoder, head)


@pytest.mark.parametrize("case", CASES)
def test_outputs(case: str, tmp_path: Path) -> None:
    task, model_type, options = CASES[case]
    outputs = HEADS[task][1]
    model = source(tmp_path, task, model_type, **options)
    headed = built(tmp_path, task)
    draw = np.random.default_rng(4)
    ids = draw.integers(2, len(checkpoints.PIECES), (5, 12)).astype(np.int32)
    lengths = np.array([12, 1, 7, 3, 12])
    mask = (np.arange(12) < lengths[:, np.newaxis]).astype(np.int32)
    if model_type == "xlnet" or case == "MultipleChoice convbert":  # the last token is no padding
        mask = mask[:, ::-1].copy()
    ids[mask == 0] = 1
    rows = [torch.tensor(each) for each in (ids, mask)]
    if task == "MultipleChoice":  # [B, choices, S]
        rows = [each[:, None] for each in rows]
    with torch.inference_mode():
        found = model(rows[0], attention_mask=rows[1])
    for arrange in ({}, {"arrange": RealTokens}):
        given = headed(tf.constant(ids), tf.constant(mask), **arrange)
        assert {*given} == {*outputs}
        for name in outputs:
            wanted, values = found[name].numpy(), given[name].numpy()
            if wanted.ndim > 2 or task == "QuestionAnswering":  # of padding, nothing is wanted
                wanted, values = wanted[mask == 1], values[mask == 1]
            atol = 1e-5 * np.abs(wanted).max()
            np.testing.assert_allclose(values, wanted, rtol=0, atol=atol)
            assert np.ptp(wanted, axis=0).max() > 1e-3


@pytest.mark.parametrize("case", CASES)
def test_every_variable_is_trained(case: str, tmp_path: Path) -> None:
    task, model_type, options = CASES[case]
    source(tmp_path, task, model_type, **options)
    headed = built(tmp_path, task)
    ids = tf.constant([[5, 6, 7, 8, 9, 10]])
    with tf.GradientTape() as tape:
        outputs = headed(ids, tf.ones_like(ids), training=True).values()
        loss = tf.add_n([tf.reduce_sum(tf.exp(each)) for each in outputs])
    head: Any = headed.head
    own = [variable for variable in head.trainable_variables if "embeddings" not in variable.name]
    rows = {row.target for row in expand(head.rows(architectures()[model_type]), head)}
    parts = {
        name: each
        for name in rows
        if (each := functools.reduce(getattr, name.split("."), head)) is not None
    }
    assert {id(each) for each in parts.values()} == {id(each) for each in own}
    assert all(np.any(each) for each in tape.gradient(loss, own))


@pytest.mark.parametrize("model_type", ["gpt2", "qwen3"])
def test_padding_tokens_at_the_end_of_a_text_are_passed_over(
    model_type: str, tmp_path: Path
) -> None:
    """As they are in `transformers`, which looks at ids alone."""
    model = source(tmp_path, "SequenceClassification", model_type)
    headed = built(tmp_path, "SequenceClassification")
    ids = np.array([[5, 6, 7, 8], [5, 6, 1, 8], [5, 6, 7, 1], [1, 1, 1, 1]], np.int32)
    with torch.inference_mode():
        wanted = model(torch.tensor(ids), attention_mask=torch.ones(ids.shape)).logits.numpy()
    found = headed(tf.constant(ids), tf.ones(ids.shape, tf.int32))["logits"].numpy()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    assert np.ptp(wanted, axis=0).max() > 1e-3


def test_another_number_of_labels_is_refused(tmp_path: Path) -> None:
    source(tmp_path, "SequenceClassification", "bert")
    with pytest.raises(WeightsError, match=r"classifier.weight: expected shape \[4, 24\]"):
        built(tmp_path, "SequenceClassification", 4)


def test_a_checkpoint_without_a_head_is_refused(tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path, "distilbert")
    with pytest.raises(WeightsError, match=r"missing \(4\):\n  classifier.weight"):
        built(tmp_path, "SequenceClassification")


def test_what_the_head_does_not_know() -> None:
    with pytest.raises(ConfigError, match="no text-classification for model_type t5"):
        Classification({"model_type": "t5"}, 8, 2)
    with pytest.raises(ConfigError, match="classifier_pooling: expected cls or mean, found 'max'"):
        Classification({"model_type": "modernbert", "classifier_pooling": "max"}, 8, 2)
    with pytest.raises(ConfigError, match="no multiple-choice for model_type deberta; supported"):
        MultipleChoice({"model_type": "deberta"}, 8, 1)
    for family in ("XLNet", "XLM", "Flaubert"):
        name = f"{family}ForQuestionAnswering"
        with pytest.raises(ConfigError, match=f"{name} searches with a beam.* {name}Simple, whose"):
            QuestionAnswering({"model_type": family.lower(), "architectures": [name]}, 8, 2)
    for key, value in (("summary_type", "last"), ("summary_use_proj", False)):
        with pytest.raises(ConfigError, match=f"{key}: expected .*, found {value!r}"):
            MultipleChoice({"model_type": "electra", key: value}, 8, 1)
    with pytest.raises(ConfigError, match="no fill-mask for model_type t5"):
        FillMask({"model_type": "t5"}, architectures()["bert"].declare({"model_type": "bert"}))


def test_a_decoder_that_is_the_word_embedding(tmp_path: Path) -> None:
    """Old checkpoints hold it twice; where the two differ, `transformers` does not tie them."""
    model = source(tmp_path, "MaskedLM", "bert")
    tensors = load_file(tmp_path / "model.safetensors")
    name, words = "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"
    assert name not in tensors
    for changed in (0.0, 1.0):
        twice = {**tensors, name: tensors[words] + np.float32(changed)}
        save_file(twice, tmp_path / "model.safetensors", {"format": "pt"})
        head: Any = built(tmp_path, "MaskedLM").head
        assert (head.decoder is None) == (changed == 0)
        assert hasattr(head, "word") == (changed == 0)
    assert model.config.tie_word_embeddings


def _names_in(form: Any) -> set[str]:
    """What a form calls by name, options among them."""
    values = vars(form).values()
    listed = [each for each in values if isinstance(each, tuple)]
    return {*chain(*listed), *(str(each).strip("{}") for each in values)}


def test_what_a_configuration_leaves_out_is_as_transformers_has_it() -> None:
    forms = [item for head, *_ in HEADS.values() for item in head.forms.items()]
    compared = set[str]()
    for model_type, form in forms:
        if model_type not in transformers.CONFIG_MAPPING:
            continue
        usual = transformers.AutoConfig.for_model(model_type)
        options = options_of({"model_type": model_type})
        names = [name for name in _names_in(form) & options.keys() if hasattr(usual, name)]
        found = {name: options[name] for name in names}
        assert found == {name: getattr(usual, name) for name in names}, model_type
        compared |= found.keys()
    assert {"hidden_act", "hidden_dropout_prob", "classifier_pooling"} <= compared


@pytest.mark.parametrize("model_type", ["gemma3_text", "gpt2", "llama", "qwen3"])
def test_padding_that_is_not_named_is_that_of_transformers(model_type: str) -> None:
    named = {"model_type": model_type}
    usual = transformers.AutoConfig.for_model(model_type).pad_token_id
    assert Classification(named, 8, 2).padding == usual
    assert Classification({**named, "pad_token_id": None}, 8, 2).padding is None
    assert Classification({**named, "pad_token_id": 3}, 8, 2).padding == 3
