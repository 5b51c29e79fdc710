"""The example of fine-tuning on pairs: it learns, and what it saves is what it learned."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import hub_export
from examples import nli_finetuning

COLUMNS = ("sentence_A", "sentence_B", "entailment_label")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TSV file in which a hypothesis contradicts its premise if it says `x`."""
    words = ["a b", "c d", '"e"', "f g h", "i", "j k", "l m", "n o"]
    labels = {"x ": "contradiction", "": "entailment", "y ": "-"}
    rows = [
        "\t".join([premise, said + premise, label, "more"])
        for premise in map(" ".join, itertools.permutations(words, 2))
        for said, label in labels.items()
    ]
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("\n".join(["\t".join([*COLUMNS, "other"]), *rows]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def learned(
    calm_export: hub_export.Export, pairs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[float, Path]:
    """Accuracy and folder of a run."""
    output = tmp_path_factory.mktemp("finetuned")
    flags = {
        **{part: str(path) for part, path in calm_export.paths.items()},
        **dict(zip(("premise", "hypothesis", "label"), COLUMNS, strict=True)),
        **{"train": pairs, "output_dir": output, "seq_length": 24, "batch_size": 8},
        **{"epochs": 8, "learning_rate": 3e-3},
    }
    known = {action.dest for action in nli_finetuning.PARSER._actions}
    return nli_finetuning.main([f"--{k}={v}" for k, v in flags.items() if k in known]), output


def test_it_learns(learned: tuple[float, Path]) -> None:
    accuracy, _ = learned
    assert accuracy > 0.9  # half of the pairs are of either label


def test_the_serving_model_is_what_was_learned(
    calm_export: hub_export.Export, learned: tuple[float, Path]
) -> None:
    _, output = learned
    texts = tf.constant(["a b c d", "i j k"]), tf.constant(["x a b c d", ""])
    prepare = nli_finetuning.preprocessing(str(calm_export.paths["preprocessor"]), 24)
    wanted = tf.nn.softmax(tf_keras.models.load_model(output / "keras")(prepare(list(texts))))
    served = tf.saved_model.load(str(output / "serving" / "1")).signatures["serving_default"]
    found = served(premise=texts[0], hypothesis=texts[1])["probabilities"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    labels = (output / "serving/1/assets.extra/labels.txt").read_text(encoding="utf-8").split()
    assert labels == ["contradiction", "entailment"]


def test_dropout_is_active_in_training_only(tiny_export: hub_export.Export, tmp_path: Path) -> None:
    built = nli_finetuning.classifier(str(tiny_export.paths["encoder"]), 24, 2, dropout=0.0)
    built.save(tmp_path)
    model = tf_keras.models.load_model(tmp_path)
    encoder = next(layer for layer in model.layers if "keras_layer" in layer.name)
    inputs = {
        name: tf.ones([2, 24], tf.int32)
        for name in ("input_word_ids", "input_mask", "input_type_ids")
    }
    once, again = (encoder(inputs, training=False)["pooled_output"] for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - encoder(inputs, training=True)["pooled_output"]).max() > 1e-3


def test_no_premise_is_learned_from_and_evaluated_on(pairs: Path) -> None:
    learn, held = nli_finetuning.split(nli_finetuning.read(pairs, COLUMNS), seed=1)
    assert {premise for premise, _, _ in learn} & {premise for premise, _, _ in held} == set()
    assert (len(learn), len(held)) == (100, 12)  # without the third that have no label
    assert any('"e"' in premise for premise, _, _ in learn)


def test_a_column_that_is_not_there(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        nli_finetuning.read(pairs, ("sentence1", "sentence_B", "entailment_label"))
    assert "['sentence1']" in capsys.readouterr().err
