"""Static embeddings in their layouts, beside sentence-transformers' StaticEmbedding."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

import hub_export
from hub_export.sources import find
from tests import checkpoints
from tests.outcomes import assert_passed

TEXTS = ["a bad cab", "", "  \t ", "d e f", "x[MASK]y[CLS]", "a " * 200, "Üben 日 b", "\0"]
ROWS, WIDTH = len(checkpoints.PIECES), 12
MODEL2VEC = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": True}

Tensors = dict[str, np.ndarray]


def table(rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(rows, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As sentence-transformers saves it, with a prompt and a projection."""
    folder = tmp_path_factory.mktemp("static") / "source"
    tokenizer = checkpoints.wordpiece(checkpoints.PIECES)
    tokenizer.enable_truncation(150)
    first = StaticEmbedding(tokenizer, embedding_weights=table())
    torch.manual_seed(0)
    prompts = {"query": "cab: "}
    model = SentenceTransformer(
        modules=[first, Dense(WIDTH, 5), Normalize()], device="cpu", prompts=prompts
    )
    model.save(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="module")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> hub_export.Export:
    """The text embedding of it, with its prompt."""
    out = tmp_path_factory.mktemp("exported")
    return hub_export.export(source, out, name="x", parts=["text_embedding"], prompt="query")


def model2vec(folder: Path, tensors: Tensors, **config: Any) -> Path:
    """Writes what model2vec writes, but no modules.json."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    checkpoints.wordpiece(checkpoints.PIECES).save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({**MODEL2VEC, **config}))
    return folder


def quantized() -> Tensors:
    """Few rows for many ids, and a weight of each."""
    draw = np.random.default_rng(3)
    mapping = draw.integers(0, 9, ROWS)
    weights = draw.uniform(0.1, 2, ROWS)
    return {"embeddings": table(9).astype(np.float16), "mapping": mapping, "weights": weights}


def load(done: hub_export.Export) -> Any:
    return tf.saved_model.load(str(done.paths["text_embedding"]))


def test_vectors_are_those_of_sentence_transformers(
    exported: hub_export.Export, source: Path
) -> None:
    assert [(check.subject, check.outcome.value) for check in exported.report.checks] == [
        ("weights of the text embedding", "passed"),
        ("vectors, against sentence-transformers", "passed"),
    ]
    model = SentenceTransformer(str(source), device="cpu", local_files_only=True)
    wanted = model.encode(TEXTS, prompt_name="query", show_progress_bar=False)
    np.testing.assert_allclose(load(exported)(tf.constant(TEXTS)), wanted, rtol=0, atol=1e-5)


def test_every_variable_learns(exported: hub_export.Export) -> None:
    model = load(exported)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(tf.constant(TEXTS), training=True)[:, 0])
    gradients = tape.gradient(loss, model.trainable_variables)
    assert len(gradients) == 3
    assert all(np.abs(tf.convert_to_tensor(each)).max() > 0 for each in gradients)


def test_model2vec_without_modules(tmp_path: Path) -> None:
    folder = model2vec(tmp_path / "m2v", quantized())
    done = hub_export.export(folder, tmp_path / "out", name="x", parts=["text_embedding"])
    assert_passed(done.report.checks)
    found = load(done)(tf.constant(TEXTS)).numpy()
    first = StaticEmbedding.load(str(folder))
    wanted = SentenceTransformer(modules=[first, Normalize()], device="cpu").encode(TEXTS)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert not found[1].any()  # of an empty text


def nested(folder: Path, source: Path) -> Path:
    """The layout of sentence-transformers before it saved the module in the folder itself."""
    shutil.copytree(source, folder)
    (folder / "0_StaticEmbedding").mkdir()
    for file in ("model.safetensors", "tokenizer.json"):
        shutil.move(folder / file, folder / "0_StaticEmbedding" / file)
    listed = json.loads((folder / "modules.json").read_text())
    listed[0] |= {
        "path": "0_StaticEmbedding",
        "type": "sentence_transformers.models.StaticEmbedding",
    }
    (folder / "modules.json").write_text(json.dumps(listed))
    return folder


def published(folder: Path, source: Path) -> Path:
    """That of model2vec with its modules.json, whose second module has no folder."""
    del source
    models = "sentence_transformers.models"
    listed = [
        {"idx": 0, "name": "0", "path": ".", "type": f"{models}.StaticEmbedding"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": f"{models}.Normalize"},
    ]
    model2vec(folder, {"embeddings": table()})
    (folder / "modules.json").write_text(json.dumps(listed))
    return folder


@pytest.mark.parametrize("layout", [nested, published])
def test_layouts(layout: Callable[[Path, Path], Path], source: Path, tmp_path: Path) -> None:
    folder = layout(tmp_path / "x", source)
    checkpoint, model = find.read(str(folder)), SentenceTransformer(str(folder), device="cpu")
    wanted = model[0].embedding.weight.detach().numpy()
    np.testing.assert_array_equal(checkpoint.tensors()["embedding.weight"], wanted)
    tokenizer = checkpoint.tokenizer()
    ids = [id for text in TEXTS for id in tokenizer.encode(text).ids]
    features = model[0].preprocess(TEXTS)
    assert ids == features["input_ids"].tolist()
    kinds = [each.module.kind for each in checkpoint.pipeline().modules]
    assert kinds == [type(each).__name__ for each in model][1:]
    weights = checkpoint.weights_file.relative_to(folder)
    assert {"modules.json", str(weights), str(weights.with_name("tokenizer.json"))} <= {
        *checkpoint.files
    }


def test_there_is_no_encoder(source: Path, tmp_path: Path) -> None:
    with pytest.raises(hub_export.ExportError, match="no encoder and no task; say parts=text_emb"):
        hub_export.export(source, tmp_path, parts=["encoder", "task_model"], verify="none")


def test_random_vectors_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(hub_export.ExportError, match="only the table tells the sizes"):
        hub_export.export(source, tmp_path, weights="none", verify="none")


def test_another_pooling_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(hub_export.ExportError, match="static embedding, which is a mean alone"):
        hub_export.export(source, tmp_path, pooling=["max"], verify="none")


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"rows": table()}, r"embedding.weight or embeddings of two axes, found {'rows': \[57, 12"),
        ({"embeddings": table()[0]}, r"of two axes, found {'embeddings': \[12\]}"),
        ({"embeddings": table(3), "mapping": np.arange(ROWS)}, "IndexError.* out of bounds"),
        ({"embeddings": table(), "weights": np.ones(3)}, "ValueError.*could not be broadcast"),
        ({"embeddings": table(), "bias": table()[0]}, "not part of the encoder.*\n *bias"),
        ({"embeddings": table().astype(np.int8)}, "expected floating-point values, found int8"),
        ({"embeddings": table(9)}, "the tokenizer has ids up to 56, the word embedding only 9"),
    ],
)
def test_damaged_tables_are_refused(tensors: Tensors, words: str, tmp_path: Path) -> None:
    folder = model2vec(tmp_path / "x", tensors)
    with pytest.raises(hub_export.SourceError, match=words):
        hub_export.export(folder, tmp_path / "out", parts=["text_embedding"], verify="none")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    folder = model2vec(tmp_path / "x", {"embeddings": table()})
    (folder / "tokenizer.json").unlink()
    with pytest.raises(hub_export.SourceError, match=r"no tokenizer; expected tokenizer\.json"):
        find.read(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(hub_export.SourceError, match="no weights; expected model"):
        find.read(str(folder))


def test_a_module_behind_it_that_is_no_vectors_own_is_refused(source: Path, tmp_path: Path) -> None:
    folder = nested(tmp_path / "x", source)
    listed = json.loads((folder / "modules.json").read_text())
    listed[1]["type"] = "sentence_transformers.models.Pooling"
    (folder / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(hub_export.SourceError, match="the module Pooling is not supported"):
        find.read(str(folder)).pipeline()
