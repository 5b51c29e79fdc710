"""The example of named entities: words and tokens are aligned, and it learns."""

import itertools
from pathlib import Path

import pytest
import tensorflow as tf

import hub_export
from examples import ner_finetuning


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CoNLL file in which what begins with `x` is a name, with all that begins with `y`."""
    words = ["ab", "c", "de", "xf", "x", "yg", "yh"]
    labels = {"x": "B-name", "y": "I-name"}
    blocks = [
        "\n".join(f"{word}\t{labels.get(word[0], 'O')}" for word in row)
        for row in itertools.permutations(words, 3)
    ]
    path = tmp_path_factory.mktemp("ner") / "train.conll"
    path.write_text("\n\n".join(blocks), encoding="utf-8")
    return path


def test_it_learns(calm_export: hub_export.Export, file: Path, tmp_path: Path) -> None:
    flags = {
        "encoder": calm_export.paths["encoder"],
        "preprocessor": calm_export.paths["preprocessor"],
        **{"train": file, "eval": file, "output_dir": tmp_path, "seq_length": 16},
        **{"batch_size": 16, "epochs": 8, "learning_rate": 3e-3},
    }
    assert ner_finetuning.main([f"--{key}={value}" for key, value in flags.items()]) > 0.9
    assert (tmp_path / "labels.txt").read_text() == "B-name\nI-name\nO\n"


def test_the_first_token_of_a_word_has_its_label(calm_export: hub_export.Export) -> None:
    align = ner_finetuning.Align(str(calm_export.paths["preprocessor"]), 8)
    words = tf.ragged.constant([["ab", "好", "c"], ["d"], ["abcdefgh", "i"]])
    inputs, labels, weights = align(words, tf.ragged.constant([[3, 1, 2], [4], [5, 6]], tf.int32))
    assert inputs["input_mask"].numpy().sum(axis=1).tolist() == [6, 3, 8]
    # [CLS] a ##b [UNK] c [SEP]
    assert labels.numpy().tolist()[0] == [0, 3, 0, 1, 2, 0, 0, 0]
    assert weights.numpy().tolist()[0] == [0, 1, 0, 1, 1, 0, 0, 0]
    assert labels.numpy()[1:, 1].tolist() == [4, 5]
    assert weights.numpy().sum(axis=1).tolist() == [3, 1, 1]
