"""Texts and their choices in, the best choice out: against the model of transformers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras
import torch
import transformers

import hub_export
from hub_export import ExportError
from hub_export.terminal import Progress
from hub_export.use import predict_cli
from hub_export.use.serving import warmup
from hub_export.verify.closeness import CLOSENESS
from hub_export.verify.tasks import multiple_choice
from hub_export.verify.tasks.multiple_choice import Asked
from tests import checkpoints
from tests.outcomes import assert_passed

PART = "multiple_choice"
TEXTS = ["a b c", "d", "", "e f " * 40, "über 日本 👍"]
CHOICES = [["a", "b c"], ["c", "", "d e " * 40], ["f"], ["g h", "i"], ["naïve", "[MASK]", "j k"]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without dropout: what it learns is no matter of luck."""
    folder = tmp_path_factory.mktemp("source") / "swag"
    calm = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    checkpoints.save_model(folder, "bert", "BertForMultipleChoice", num_hidden_layers=1, **calm)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    return folder


@pytest.fixture(scope="module")
def done(source: Path, tmp_path_factory: pytest.TempPathFactory) -> hub_export.Export:
    out = tmp_path_factory.mktemp("exported")
    return hub_export.export(source, out, parts=("task_model",), verify="full")


@pytest.fixture(scope="module")
def model(done: hub_export.Export) -> Any:
    return tf.saved_model.load(str(done.paths[PART]))


@pytest.fixture(scope="module")
def wanted(source: Path) -> list[Any]:
    """The logits of each text's choices, float32 [C], all of a text in one call, as it is used."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    classes = transformers.AutoModelForMultipleChoice
    reference = classes.from_pretrained(source, attn_implementation="eager").eval()
    found = []
    for text, choices in zip(TEXTS, CHOICES, strict=True):
        packed = tokenizer(
            [text] * len(choices),
            choices,
            padding=True,
            truncation=True,
            max_length=40,
            return_tensors="pt",
        )
        with torch.inference_mode():
            rows = {name: each[None] for name, each in packed.items()}
            found.append(reference(**rows).logits[0].numpy())
    return found


def test_what_is_compared(done: hub_export.Export) -> None:
    checks = {check.subject: check for check in done.report.checks}
    assert_passed(checks.values())
    for way in ("choices", "choices, by call"):
        for name in ("logits", "probabilities"):
            assert checks[f"{name} of {way}"].figures["compared"] > 30
        assert checks[f"best of {way}"].figures["compared"] > 10
    assert done.paths[PART].parent.name == "swag_multiple_choice"


def test_lists_of_choices(model: Any, wanted: list[Any]) -> None:
    found = model([tf.constant(TEXTS), tf.ragged.constant(CHOICES)])
    for at, logits in enumerate(wanted):
        np.testing.assert_allclose(found["logits"][at], logits, rtol=0, atol=1e-5)
        exact = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(found["probabilities"][at], exact, rtol=0, atol=1e-5)
        assert found["choice"][at] == logits.argmax()
        assert found["answer"][at].numpy().decode() == CHOICES[at][logits.argmax()]
    assert max(map(np.ptp, wanted)) > 1e-2


def test_as_many_choices_each(model: Any, wanted: list[Any]) -> None:
    same = [at for at, choices in enumerate(CHOICES) if len(choices) == 3]
    text, choices = (tf.constant([each[at] for at in same]) for each in (TEXTS, CHOICES))
    logits = np.stack([wanted[at] for at in same])
    for found in (
        model([text, choices]),
        model.signatures["serving_default"](text=text, choices=choices),
    ):
        assert {*found} == {"logits", "probabilities", "choice", "answer"}
        np.testing.assert_allclose(found["logits"], logits, rtol=0, atol=1e-5)
        assert found["choice"].numpy().tolist() == logits.argmax(1).tolist()
        best = [CHOICES[at][row.argmax()].encode() for at, row in zip(same, logits, strict=True)]
        assert found["answer"].numpy().tolist() == best


def test_odd_batches(model: Any) -> None:
    serve = model.signatures["serving_default"]
    for texts, count in ((0, 3), (2, 0)):
        none = serve(text=tf.fill([texts], "a"), choices=tf.fill([texts, count], "b"))
        assert none["logits"].shape == none["probabilities"].shape == (texts, count)
        assert none["choice"].numpy().tolist() == [-1] * texts
        assert none["answer"].numpy().tolist() == [b""] * texts
    some = tf.ragged.constant([[], ["a", "b"], []])
    found = model([tf.constant(["a", "b", "c"]), some])
    assert found["logits"].shape.as_list() == [3, None]
    assert found["probabilities"].row_lengths().numpy().tolist() == [0, 2, 0]
    assert found["choice"].numpy().tolist()[::2] == [-1, -1]
    assert not tf.reduce_any(tf.math.is_nan(found["probabilities"].values))
    odd = serve(text=tf.constant([b"a\xff"]), choices=tf.constant([[b"b\xfe", b"b"]]))
    read = serve(text=tf.constant(["a\ufffd"]), choices=tf.constant([["b\ufffd", "b"]]))
    np.testing.assert_allclose(odd["logits"], read["logits"], rtol=0, atol=1e-6)
    assert odd["answer"].numpy()[0] in (b"b\xfe", b"b")
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many texts are needed as lists"):
        serve(text=tf.constant(["a", "b"]), choices=tf.constant([["a", "b"]]))
    with pytest.raises(tf.errors.InvalidArgumentError):
        serve(text=tf.constant(["a"]), choices=tf.constant(["a"]))


def test_training_goes_through_the_texts(done: hub_export.Export) -> None:
    layer = hub.KerasLayer(str(done.paths[PART]), trainable=True)
    inputs = [tf_keras.Input([], dtype=tf.string), tf_keras.Input([3], dtype=tf.string)]
    model = tf_keras.Model(inputs, layer(inputs)["logits"])
    model.compile(
        tf_keras.optimizers.Adam(1e-3),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    texts = [tf.constant(["a", "b"] * 4), tf.constant([["c", "d", "e"], ["f", "g", "h"]] * 4)]
    labels = tf.constant([0, 2] * 4)
    losses = model.fit(texts, labels, epochs=4, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < losses[0]
    assert len(layer.trainable_variables) == 5 + 16 + 2 + 2


def test_gradients_of_lists(model: Any) -> None:
    with tf.GradientTape() as tape:
        inputs = [tf.constant(["a", "b"]), tf.ragged.constant([[], ["c", "d", "e"]])]
        found = model(inputs, training=True)
        loss = tf.reduce_sum(tf.math.log(found["probabilities"].values)[:1])
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), variable.name


class Spoilt:
    """A model whose signature gives some outputs changed."""

    def __init__(self, model: Any, **changes: Callable[[tf.Tensor], tf.Tensor]) -> None:
        self._model, self._changes = model, changes
        self.signatures = {"serving_default": self._serve}

    def __call__(self, inputs: Any) -> Any:
        return self._model(inputs)

    def _serve(self, **inputs: tf.Tensor) -> Any:
        found = self._model.signatures["serving_default"](**inputs)
        same: Callable[[Any], Any] = lambda x: x  # noqa: E731
        return {name: self._changes.get(name, same)(each) for name, each in found.items()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, set()),
        ({"choice": lambda x: tf.maximum(x - 1, 0)}, {"best of choices"}),
        ({"answer": lambda x: tf.strings.upper(x)}, {"best of choices"}),
        ({"logits": lambda x: x * 1.001}, {"logits of choices"}),
        ({"probabilities": lambda x: x * 1.001}, {"probabilities of choices"}),
    ],
)
def test_a_wrong_answer_fails(
    changes: dict[str, Any], words: set[str], model: Any, wanted: list[Any]
) -> None:
    asked = [Asked(*each) for each in zip(TEXTS, CHOICES, wanted, strict=True)]
    spoilt, close = Spoilt(model, **changes), CLOSENESS["float32"]
    checks = multiple_choice.compare(spoilt, asked, close, Progress(quiet=True))
    assert {each.subject for each in checks if each.outcome.value != "passed"} == words
    assert len(checks) == 6


def test_hub_predict(
    done: hub_export.Export,
    wanted: list[Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rows with other numbers of choices are asked by themselves."""
    rows = [
        {"id": at, "text": text, "choices": choices}
        for at, (text, choices) in enumerate(zip(TEXTS, CHOICES, strict=True))
    ]
    rows.append({"id": 5, "text": "none", "choices": []})
    source, output = tmp_path / "asked.jsonl", tmp_path / "answers.jsonl"

    def ask(rows: list[Any], *flags: str) -> list[Any]:
        source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        arguments = [f"--model={done.paths[PART]}", f"--input={source}", f"--output={output}"]
        code = predict_cli.main([*arguments, "--quiet", "--overwrite", *flags])
        return [] if code else [json.loads(line) for line in output.read_text().splitlines()]

    found = ask(rows, "--keep=id", "--batch_size=2")
    assert [each["id"] for each in found] == [*range(6)]
    assert [*found[0]] == ["id", "answer", "choice", "probabilities"]
    assert [each["choice"] for each in found] == [*(int(each.argmax()) for each in wanted), -1]
    assert [len(each["probabilities"]) for each in found] == [2, 3, 1, 2, 3, 0]
    assert found[4]["answer"] == CHOICES[4][wanted[4].argmax()]
    renamed = [{"q": row["text"], "a": row["choices"]} for row in rows]
    assert [each["answer"] for each in ask(renamed, "--columns=q,a")] == [
        each["answer"] for each in found
    ]
    wrong = [("a", 'a list of strings, as .jsonl has them, found "a"'), ([1], "a string, found 1")]
    for choices, words in wrong:
        assert ask([{"text": "a", "choices": choices}]) == []
        assert words in capsys.readouterr().err
    assert ask([{"text": "a"}]) == []
    assert "found serving_default (text, choices)" in capsys.readouterr().err


def test_a_warm_up_request(done: hub_export.Export, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(done.paths[PART], tmp_path / "swag" / "1"))
    assert warmup.write(folder, "swag", [3]) == ["serving_default"]


def test_refusals(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"expected \.\.\.ForSequenceClassification under arch"):
        hub_export.export(source, tmp_path, task="text-classification", verify="none")
    checkpoints.save_model(
        tmp_path / "electra", "electra", "ElectraForMultipleChoice", summary_type="mean"
    )
    checkpoints.save_tokenizer(tmp_path / "electra", checkpoints.wordpiece(checkpoints.PIECES))
    with pytest.raises(ExportError, match="summary_type: expected 'first', found 'mean'"):
        hub_export.export(tmp_path / "electra", tmp_path / "out", verify="none")
