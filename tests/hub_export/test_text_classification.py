"""Text in, labels out: against the pipeline of transformers."""

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
import tensorflow as tf
import torch
import transformers
from safetensors.numpy import load_file, save_file

import hub_export
from hub_export import ExportError, SourceError, VerificationError
from hub_export.models.products import products_of
from hub_export.models.session import Session
from hub_export.settings import Settings
from hub_export.sources import find
from hub_export.verify import samples
from tests import checkpoints, unsaved
from tests.outcomes import assert_passed

LABELS = {"id2label": {0: "no", 1: "maybe", 2: "yes"}, "label2id": {"no": 0, "maybe": 1, "yes": 2}}
PART = "text_classification"
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("bert", "BertForSequenceClassification", LABELS),
    "several labels": (
        "distilbert",
        "DistilBertForSequenceClassification",
        {**LABELS, "problem_type": "multi_label_classification"},
    ),
    "regression": (
        "electra",
        "ElectraForSequenceClassification",
        {"num_labels": 1, "problem_type": "regression"},
    ),
    "one label": ("mpnet", "MPNetForSequenceClassification", {"num_labels": 1}),
    "mean of ModernBERT": (
        "modernbert",
        "ModernBertForSequenceClassification",
        {**LABELS, "classifier_pooling": "mean", "pad_token_id": 0},
    ),
}


def save(folder: Path, case: str = "bert", **options: Any) -> Path:
    model_type, architecture, own = CASES[case]
    options = {"num_hidden_layers": 1, **own, **options}
    checkpoints.save_model(folder, model_type, architecture, **options)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("source") / "sst2")


@pytest.fixture(scope="module")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported")
    return hub_export.export(source, out, parts=("task_model",), verify="none").paths[PART]


@pytest.mark.parametrize("case", CASES)
def test_the_pipeline_of_transformers(case: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "source", case)
    (model, notes), checks = unsaved.checks(folder, "task_model")
    assert_passed(checks)
    pipeline = transformers.pipeline("text-classification", model=str(folder))
    texts = [*samples.AWKWARD, *samples.fuzz(checkpoints.PIECES, checkpoints.SPECIAL, 60)]
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    longest = notes["task"]["max_length"]
    wanted = [
        pipeline(text, top_k=None, truncation=True, max_length=longest)
        for text in [*texts, {"text": "a b", "text_pair": "c"}]
    ]
    found = model(texts)
    names = pipeline.model.config.id2label
    columns = [names[at] for at in range(len(names))]

    def numbers(answers: list[list[dict[str, Any]]]) -> Any:
        return [
            [next(a["score"] for a in row if a["label"] == name) for name in columns]
            for row in answers
        ]

    atol = 1e-5 * max(1.0, float(np.abs(numbers(wanted)).max()))
    np.testing.assert_allclose(found["probabilities"], numbers(wanted[:-1]), rtol=0, atol=atol)
    best = [max(row, key=lambda each: each["score"])["label"] for row in wanted[:-1]]
    assert [label.decode() for label in found["label"].numpy()] == best
    assert ("score" in found) == (len(columns) == 1)
    pair = model.signatures["serving_pair"](text=tf.constant(["a b"]), text_pair=tf.constant(["c"]))
    np.testing.assert_allclose(pair["probabilities"], numbers(wanted[-1:]), rtol=0, atol=atol)


def test_verification(tmp_path: Path) -> None:
    folder = save(tmp_path / "source")
    done = hub_export.export(folder, tmp_path / "out", parts=("task_model",), verify="full")
    assert_passed(done.report.checks)
    assert done.paths[PART] == tmp_path / "out" / "source_text_classification" / "1"


def test_a_changed_head_fails(source: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Its variables are compared bit by bit as those of the encoder are."""
    from encoders import Classification

    fill = Classification.fill

    def spoilt(self: Any, *arguments: Any) -> Any:
        taken = fill(self, *arguments)
        self.output.bias.assign_add([0.0, 1e-7, 0.0])
        return taken

    monkeypatch.setattr(Classification, "fill", spoilt)
    with pytest.raises(VerificationError, match=r"headed\.head\.output\.bias\[1\]: expected"):
        hub_export.export(source, tmp_path, parts=("task_model",), verify="quick")
    assert list(tmp_path.iterdir()) == []


def test_what_auto_takes(source: Path, tiny_bert: Path, tmp_path: Path) -> None:
    parts = ("preprocessor", "task_model")
    out = hub_export.export(source, tmp_path, parts=parts, verify="none", name="a")
    assert [*out.paths] == ["preprocessor", PART]
    page = (out.paths[PART] / "assets.extra" / "README.md").read_text()
    assert "- no\n- maybe\n- yes\n" in page
    for folder, options in ((source, {"task": "feature-extraction"}), (tiny_bert, {})):
        session = unsaved.session(folder, parts=parts, **options)
        assert [each.name for each in products_of(session)] == ["preprocessor"]


def refuse(folder: Path, out: Path, words: str, **options: Any) -> None:
    with pytest.raises(ExportError, match=words):
        hub_export.export(folder, out, verify="none", **{"parts": ("task_model",), **options})
    assert not out.exists() or not [*out.iterdir()]


def edit(folder: Path, **options: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **options}))


@pytest.mark.parametrize("problem", [None, "single_label_classification"])
def test_one_label_has_a_sigmoid(problem: str | None, tmp_path: Path) -> None:
    """Of the second, too, in the pipeline of transformers 4; version 5 refuses it."""
    folder = save(tmp_path / "source", "one label")
    edit(folder, problem_type=problem)
    task = unsaved.session(folder).task
    assert task is not None
    assert task.activation == "sigmoid"


def test_refusals(tiny_bert: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refuse(tiny_bert, out, "has no task that is supported")
    refuse(
        tiny_bert,
        out,
        r"expected ...ForSequenceClassification under architectures, found BertModel",
        task="text-classification",
    )
    folder = save(tmp_path / "source")
    edit(folder, id2label={"0": "no", "2": "yes"})
    refuse(folder, out, "id2label: expected a text for each id from 0 on")
    edit(folder, id2label={"0": "no", "1": "yes"})
    refuse(folder, out, r"classifier.weight: expected shape \[2, 24\], found \[3, 24\]")
    edit(folder, id2label=CASES["bert"][2]["id2label"], problem_type="ranking")
    refuse(folder, out, "problem_type: expected one of regression")
    edit(folder, problem_type=None, sbert_ce_default_activation_function="os.system")
    refuse(folder, out, "the activation os.system is not supported")
    edit(folder, sbert_ce_default_activation_function=None)
    tensors = load_file(folder / "model.safetensors")
    bare = {name: each for name, each in tensors.items() if not name.startswith("classifier")}
    save_file(bare, folder / "model.safetensors", {"format": "pt"})
    refuse(folder, out, "classifier.weight(.|\n)*say task=feature-extraction")
    bare = {name: each for name, each in tensors.items() if "pooler" not in name}
    save_file(bare, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        SourceError, match="no pooler, which the head for text-classification stands on"
    ):
        hub_export.export(folder, out, parts=("task_model",), verify="none")


def test_a_cross_encoder_has_its_own_activation(tmp_path: Path) -> None:
    folder = save(tmp_path / "source", "one label")
    edit(folder, sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity"})
    found = unsaved.product(folder, "task_model").model(["a b"])
    np.testing.assert_array_equal(found["score"], found["logits"][:, 0])


def test_a_cross_encoder_of_sentence_transformers(tmp_path: Path) -> None:
    """Its modules.json, its prompt before the first text of a pair, and its activation."""
    base = save(tmp_path / "base", "one label", num_hidden_layers=1)
    made = sentence_transformers.CrossEncoder(
        str(base),
        device="cpu",
        prompts={"query": "a b: ", "other": "c "},
        default_prompt_name="query",
        activation_fn=torch.nn.Tanh(),
    )
    folder = tmp_path / "reranker"
    made.save_pretrained(str(folder))
    done = hub_export.export(folder, tmp_path / "out", parts=("task_model",), verify="none")
    assert done.report.notes[PART]["task"]["prompt"] == "a b: "
    page = (done.paths[PART] / "assets.extra" / "README.md").read_text()
    assert "'a b: ' is put before a text." in page
    pairs = [("d e", "f"), ("", "g h"), ("k " * 30, "l m")]
    text, text_pair = map(tf.constant, zip(*pairs, strict=True))
    serve = tf.saved_model.load(str(done.paths[PART])).signatures["serving_pair"]
    found, wanted = serve(text=text, text_pair=text_pair)["score"], made.predict(pairs)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert np.abs(wanted - made.predict(pairs, prompt="")).max() > 1e-2
    for name, prompt in (("other", "c "), ("", "")):
        assert Session(find.read(str(folder)), Settings("x", prompt=name)).plan.prompt == prompt
    refuse(folder, tmp_path / "no", "has no prompt 'nope'; it has: other, query", prompt="nope")
    options = json.loads((folder / "sentence_bert_config.json").read_text())
    for key, value in (
        ("transformer_task", "text-generation"),
        ("processing_kwargs", {"text": {"max_length": 9}}),
    ):
        text = json.dumps({**options, key: value})
        (folder / "sentence_bert_config.json").write_text(text)
        refuse(folder, tmp_path / "no", f"{key}: only .* is supported")


NLI = {
    "id2label": {0: "contradiction", 1: "neutral", 2: "entailment"},
    "label2id": {"contradiction": 0, "neutral": 1, "entailment": 2},
}


@pytest.mark.parametrize("first", [False, True])
def test_zero_shot_is_the_pipelines(first: bool, tmp_path: Path) -> None:
    """Entailment may be the last label, or the first one; contradiction is at the other end."""
    names = ["entailment", "neutral", "contradiction"] if first else [*NLI["label2id"]]
    own = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    save(tmp_path / "nli", **own)
    config = tmp_path / "nli" / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_max_length": 40}))
    template = {} if first else {"hypothesis_template": "It is a {}!"}
    model = unsaved.product(tmp_path / "nli", "task_model", **template).model
    pipeline = transformers.pipeline("zero-shot-classification", model=str(tmp_path / "nli"))
    texts = [*samples.AWKWARD[4:14], "a b c", "d e " * 60, "好" * 9]
    for labels in (["a", "b c", "日本"], ["ab"]):
        for name, multi in (("zero_shot", False), ("zero_shot_multi_label", True)):
            found = model.signatures[name](text=tf.constant(texts), labels=tf.constant(labels))
            for text, row in zip(texts, found["scores"].numpy(), strict=True):
                wanted = pipeline(text, labels, multi_label=multi, **template)
                scores = dict(zip(wanted["labels"], wanted["scores"], strict=True))
                np.testing.assert_allclose(row, [scores[label] for label in labels], atol=1e-5)


def test_zero_shot_is_verified(tmp_path: Path) -> None:
    folder = save(tmp_path / "nli", **NLI)
    _, found = unsaved.checks(folder, "task_model")
    checks = {check.subject: check.outcome.value for check in found}
    assert {*checks.values()} == {"passed"}
    assert {"scores of zero_shot", "scores of zero_shot_multi_label"} <= {*checks}


def test_templates(source: Path, tmp_path: Path) -> None:
    save_nli = functools.partial(checkpoints.save_model, tmp_path / "nli", "bert")
    save_nli("BertForSequenceClassification", **NLI)
    checkpoints.save_tokenizer(tmp_path / "nli", checkpoints.wordpiece(checkpoints.PIECES))
    export = functools.partial(hub_export.export, output_dir=tmp_path / "out", verify="none")
    for template in ("no place", "{} and {}", "{0}", "{}}"):
        with pytest.raises(ExportError, match=r"expected a text with one \{\}, found"):
            export(tmp_path / "nli", hypothesis_template=template)
    for more in ({}, {"task": "feature-extraction"}):
        with pytest.raises(ExportError, match="only for a classifier of NLI"):
            export(source, hypothesis_template="It is {}.", **more)
