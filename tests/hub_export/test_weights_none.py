"""Random weights, to train from scratch: what `weights=none` gives."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers

import encoders
import hub_export
from hub_export.errors import SourceError
from hub_export.models.session import Session
from hub_export.models.task import KINDS
from hub_export.settings import Settings
from hub_export.sources import find
from hub_export.verify.references.encoder import Reference
from hub_export.verify.references.task import TASKS, TaskReference
from tests import checkpoints, unsaved

SIZES = {"vocab_size": 500, "hidden_size": 96, "initializer_range": 0.05}


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration and a tokenizer; weights there are none."""
    folder = tmp_path_factory.mktemp("sources") / "from-scratch"
    checkpoints.save_model(folder, "bert", **SIZES)  # of two layers, which are drawn apart
    (folder / "model.safetensors").unlink()
    more = [f"piece{number}" for number in range(500 - len(checkpoints.PIECES))]
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece([*checkpoints.PIECES, *more]))
    return folder


def export(folder: Path, out: Path, **options: Any) -> hub_export.Export:
    options = {"parts": ["encoder"], "weights": "none", "verify": "full", **options}
    done = hub_export.export(folder, out, **options)
    assert {check.outcome.value for check in done.report.checks} <= {"passed"}
    assert done.report.checks or options["verify"] == "none"
    return done


def test_without_weights(configured: Path, tmp_path: Path) -> None:
    done = export(configured, tmp_path)
    assert done.report.settings["weights"] == "none"
    assert "config.json" in done.report.source["sha256"]
    page = (done.paths["encoder"] / "assets.extra/README.md").read_text()
    assert "The weights are random: to be trained from scratch." in page
    model = tf.saved_model.load(str(done.paths["encoder"]))
    values = {each.name.removesuffix(":0"): each.numpy() for each in model.variables}
    for name, each in values.items():
        if name.endswith(("bias", "beta")):
            assert not each.any(), name
        elif name.endswith("gamma"):
            assert (each == 1).all(), name
        else:
            # A normal distribution cut off at twice its deviation has 0.88 of it. The draws are
            # the same at every run; four standard errors leave room for their choice.
            deviation, errors = 0.88 * 0.05, 4 / np.sqrt(each.size)
            assert np.abs(each).max() <= 2 * 0.05, name
            assert abs(each.std() - deviation) < errors * deviation / np.sqrt(2), name
            assert abs(each.mean()) < errors * deviation, name
    drawn = [values[f"blocks/{layer}/attention/query/kernel"] for layer in range(2)]
    assert not np.array_equal(*drawn)
    assert len(model.trainable_variables) == len(values) == 5 + 2 * 16 + 2


def test_weights_that_are_there_take_no_part(tiny_bert: Path, tmp_path: Path) -> None:
    without = Path(shutil.copytree(tiny_bert, tmp_path / "without"))
    (without / "model.safetensors").unlink()
    found: list[list[np.ndarray]] = []
    for folder in (tiny_bert, without):
        session = unsaved.session(folder, weights="none")
        assert "model.safetensors" not in session.checkpoint.files
        found.append([each.numpy() for each in session.built[0].variables])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_preprocessor_needs_no_weights(configured: Path) -> None:
    model, _ = unsaved.product(configured, "preprocessor", seq_length=32, weights="none")
    assert model(tf.constant(["a b"]))["input_mask"].shape == (1, 32)


def test_distilbert(tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path, "distilbert")
    assert unsaved.notes(tmp_path, "encoder", weights="none")["unused_tensors"] == {}


def test_an_architecture_without_pooler_from_end_to_end(tmp_path: Path) -> None:
    source = tmp_path / "source"
    checkpoints.config("electra", num_hidden_layers=1).save_pretrained(source)
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(checkpoints.PIECES))
    done = export(source, tmp_path / "out", parts=["encoder", "preprocessor"])
    assert done.report.notes["encoder"]["pooled_output"] == "the first token's vector"
    texts = tf.constant(["a b", "c"])
    inputs = tf.saved_model.load(str(done.paths["preprocessor"]))(texts)
    outputs = tf.saved_model.load(str(done.paths["encoder"]))(inputs)
    assert outputs["pooled_output"].shape == (2, 24)


WITH_HEADS = sorted(
    {name for kind in KINDS.values() for name in kind.head.forms} & {*checkpoints.in_transformers()}
)


@pytest.mark.parametrize("model_type", checkpoints.in_transformers())
def test_every_architecture(model_type: str, tmp_path: Path) -> None:
    checkpoints.config(model_type, pad_token_id=1).save_pretrained(tmp_path / "source")
    checkpoint = find.read(str(tmp_path / "source"), weights=False)
    session = Session(checkpoint, Settings("x", weights="none"))
    encoder, filled = session.built
    assert filled.unused == {}
    has_pooler = encoder.pooler is not None
    source = Reference.load(session.checkpoint, session.size, has_pooler, session.token)
    ids = np.array([[5, 6, 7], [8, 9, 1]], np.int32)
    mask, types = (ids != 1).astype(np.int32), np.zeros_like(ids)
    found, wanted = encoder(ids, mask, types), source(ids, mask, types)
    for one, other in ((found.sequence, wanted.sequence), (found.pooled, wanted.pooled)):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


RENAMED = {"gte": ("lm_head.layer_norm", "lm_head.norm")}
"""What `transformers` calls a part, and what checkpoints do."""


@pytest.mark.parametrize("model_type", WITH_HEADS)
def test_every_head(model_type: str, tmp_path: Path) -> None:
    """Its values are spread as those of a fresh model of transformers; that takes them, too."""
    sizes = {"hidden_size": 96, "num_hidden_layers": 1}
    config = checkpoints.config(model_type, pad_token_id=1, **sizes)
    config.save_pretrained(tmp_path)
    checkpoint = find.read(str(tmp_path), weights=False)
    ids, mask = np.array([[5, 6, 7], [8, 9, 1]], np.int32), np.array([[1, 1, 1], [1, 1, 0]])
    takes_last = model_type in ("convbert", "xlnet")  # in `transformers`, be it padding or not
    mask = mask[:, ::-1].copy() if takes_last else mask
    types = np.zeros_like(ids)
    tasks = [name for name, kind in KINDS.items() if model_type in kind.head.forms]
    assert tasks
    for name in tasks:
        session = Session(checkpoint, Settings("x", weights="none", task=name))
        (head, _), (encoder, _) = session.head, session.built
        torch.manual_seed(1)
        drawn = getattr(transformers, TASKS[name][0]).from_config(config).state_dict()
        old, new = RENAMED.get(model_type, ("", ""))
        fresh = {each.replace(old or each, new or each): values for each, values in drawn.items()}
        tensors = session.checkpoint.tensors()
        assert session.head_tensors <= {*tensors} & {*fresh}
        for each in session.head_tensors:
            assert_spread_alike(tensors[each], fresh[each].numpy(), each)
        wanted = TaskReference(session)(*expanded(name, ids, mask, types))
        headed = encoders.HeadedEncoder(encoder, head)(ids, mask, types)
        for output in {*headed} & {*wanted}:
            found, right = headed[output].numpy(), wanted[output]
            real = mask == 1 if found.shape[:2] == mask.shape else slice(None)
            np.testing.assert_allclose(found[real], right[real], rtol=0, atol=1e-5)
            assert np.abs(found).max() > 1e-4


def expanded(name: str, *rows: np.ndarray) -> list[np.ndarray]:
    """Rows as transformers takes them: of multiple choice, [B, choices, S]."""
    return [each[:, np.newaxis] if name == "multiple-choice" else each for each in rows]


def assert_spread_alike(found: np.ndarray, fresh: np.ndarray, name: str) -> None:
    """Both constant and equal, or of one deviation, as far as so few values tell."""
    assert found.shape == fresh.shape, name
    if np.ptp(fresh) == 0:
        np.testing.assert_array_equal(found, fresh, name)
        return
    # Four standard errors: of the difference of two deviations, and of a mean.
    errors = 4 / np.sqrt(found.size)
    assert abs(found.std() / fresh.std() - 1) < errors, name
    assert abs(found.mean()) < errors * max(found.std(), fresh.std()), name


def test_a_head_from_end_to_end(configured: Path, tmp_path: Path) -> None:
    """The configuration is that of an encoder alone: the head is asked for by its name."""
    checkpoint = find.read(str(configured), weights=False)
    assert Session(checkpoint, Settings("x", weights="none")).task is None
    done = export(configured, tmp_path, parts=["task_model"], task="fill-mask")
    assert "weights of the fill mask" in {check.subject for check in done.report.checks}
    model = tf.saved_model.load(str(done.paths["fill_mask"]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(["a [MASK] b"], training=True)["logits"].values[:, 7])
    assert all(map(np.any, tape.gradient(loss, [*model.trainable_variables][-4:])))


def test_a_head_where_modules_stand_behind_the_pooling(configured: Path, tmp_path: Path) -> None:
    """They belong to the text embedding; the model of the task has none of them."""
    source = Path(shutil.copytree(configured, tmp_path / "source"))
    dense = {"in_features": 96, "out_features": 8}
    options: list[dict[str, Any]] = [{}, {"pooling_mode_mean_tokens": True}, dense]
    modules = []
    for at, (kind, config) in enumerate(
        zip(("Transformer", "Pooling", "Dense"), options, strict=True)
    ):
        path = f"{at}_{kind}" if at else ""
        modules.append({"path": path, "type": f"sentence_transformers.models.{kind}"})
        if path:
            (source / path).mkdir()
            (source / path / "config.json").write_text(json.dumps(config))
    (source / "modules.json").write_text(json.dumps(modules))
    parts = ["text_embedding", "task_model"]
    export(source, tmp_path / "out", parts=parts, task="text-classification")


def test_a_table_that_is_not_learnt(tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path / "source", "distilbert", sinusoidal_pos_embds=True)
    with pytest.raises(SourceError, match=r"config.json: embeddings.position.table is not train"):
        export(tmp_path / "source", tmp_path / "out")


def test_values_that_are_never_drawn(tmp_path: Path) -> None:
    config = checkpoints.config("modernbert", pad_token_id=1, initializer_cutoff_factor=0.001)
    config.save_pretrained(tmp_path)
    checkpoint = find.read(str(tmp_path), weights=False)
    session = Session(checkpoint, Settings("x", weights="none", task="question-answering"))
    with pytest.raises(SourceError, match=r"config\.json: initializer_cutoff_factor must be 1 or"):
        _ = session.head


def test_an_unknown_option(configured: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(configured, tmp_path / "source"))
    config = {**json.loads((source / "config.json").read_text()), "rope_parameters": {}}
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match=r"config.json: .*\n.*rope_parameters"):
        export(source, tmp_path / "out")
    options = {"weights": "none", "ignored_options": ["rope_parameters"]}
    assert unsaved.session(source, **options).built


def test_the_argument(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(hub_export.ExportError, match=r"random: no such folder .* or none"):
        hub_export.export(tiny_bert, tmp_path, weights="random")
