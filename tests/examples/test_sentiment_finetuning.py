"""The example of sentiment: it learns from either export, in every framework."""

import random
from pathlib import Path

import pytest

import hub_export
from examples import sentiment_finetuning
from tests import checkpoints


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of texts without dropout, as the encoder of `calm_export` is."""
    folder = tmp_path_factory.mktemp("classifier")
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    checkpoints.save_model(
        folder / "source", "bert", "BertForSequenceClassification", num_hidden_layers=1, **none
    )
    checkpoints.save_tokenizer(folder / "source", checkpoints.wordpiece(checkpoints.PIECES))
    done = hub_export.export(
        folder / "source", folder / "exported", parts=("task_model",), verify="none"
    )
    return done.paths["text_classification"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Texts with a word of a sentiment among others; none is in both files."""
    draw, rows = random.Random(1), dict[str, int]()
    while len(rows) < 400:
        label, plain = draw.randrange(2), draw.choices(["ab", "c", "de", '"f'], k=4)
        plain.insert(draw.randrange(5), draw.choice(["x", "xa"] if label else ["y", "yb"]))
        rows[" ".join(plain)] = label
    folder = tmp_path_factory.mktemp("sentiment")
    lines = [f"{text}\t{label}" for text, label in rows.items()]
    files = {"train": lines[:320], "eval": lines[320:]}
    for name, some in files.items():
        (folder / name).write_text("\n".join(["sentence\tlabel", *some]), encoding="utf-8")
    return {name: folder / name for name in files}


@pytest.mark.parametrize("headed", [False, True])
@pytest.mark.parametrize("framework", ["keras2", "keras3", "tensorflow"])
def test_it_learns(
    framework: str,
    headed: bool,
    classifier: Path,
    calm_export: hub_export.Export,
    files: dict[str, Path],
    tmp_path: Path,
) -> None:
    output = "finetuned.keras" if framework == "keras3" else "finetuned"
    parts = {name: calm_export.paths[name] for name in ("encoder", "preprocessor")}
    flags = {
        **({"classifier": classifier} if headed else parts),
        **{**files, "framework": framework, "output": tmp_path / output},
        **{"batch_size": 16, "epochs": 4, "learning_rate": 3e-3},
    }
    accuracy = sentiment_finetuning.main([f"--{key}={value}" for key, value in flags.items()])
    assert accuracy > 0.9  # half of the texts have either label


def test_what_is_missing(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    flags = [f"--{name}={path}" for name, path in files.items()]
    with pytest.raises(SystemExit):
        sentiment_finetuning.main([*flags, "--encoder=x"])
    assert "--classifier is needed, or --encoder and --preprocessor" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        sentiment_finetuning.main([*flags, "--classifier=x", "--text=review"])
    assert "not ['review']" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        sentiment_finetuning.main([*flags, "--classifier=x", "--framework=keras3"])
    assert "Keras 3 saves as NAME.keras, not as finetuned" in capsys.readouterr().err
