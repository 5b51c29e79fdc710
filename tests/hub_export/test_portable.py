"""The class that engines send to their workers: order, pickling, processes."""

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hub_export
from hub_export.contract import ROW_SPLITS, SERVING
from hub_export.errors import ExportError, SourceError
from hub_export.use import TextModel
from hub_export.use.models.text_model import Signature, batches

TEXTS = ["a bad cab", "", "d " * 40, "\ud800b", b"\xff e", "c a b"] * 3


@pytest.fixture(scope="module")
def paths(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A text embedding as a SavedModel and as a LiteRT copy."""
    done = hub_export.export(
        tiny_bert,
        tmp_path_factory.mktemp("exported"),
        name="tiny",
        parts=["text_embedding"],
        litert=["float32"],
        litert_length=16,
        verify="none",
    )
    saved = done.paths["text_embedding"]
    copy = saved.parent.with_name(f"{saved.parent.name}_litert") / saved.name
    return {"saved": saved, "copy": copy}


def vectors(model: TextModel) -> Any:
    return model(TEXTS)["default"]


def test_rows_stand_in_their_order(paths: dict[str, Path]) -> None:
    found = TextModel(paths["saved"], batch_size=4)(TEXTS)
    assert found.keys() == {"default"}
    assert found["default"].dtype == np.float32
    loaded = tf.saved_model.load(str(paths["saved"]))
    read = [t if isinstance(t, bytes) else t.replace("\ud800", "\ufffd").encode() for t in TEXTS]
    wanted = np.concatenate([loaded(tf.constant([text])) for text in read])
    np.testing.assert_allclose(found["default"], wanted, atol=1e-5)
    assert not np.allclose(wanted[0], wanted[5], atol=1e-3)  # another order would be seen


def test_a_copy_gives_the_same(paths: dict[str, Path]) -> None:
    short = ["a bad cab", "", "c a b", "e"]
    saved, copy = (TextModel(path)(short)["default"] for path in paths.values())
    np.testing.assert_allclose(copy, saved, atol=1e-5)


class Letters:
    """Finds the letters of texts."""

    def __init__(self) -> None:
        outputs = {"letter": (None,), ROW_SPLITS: (None,)}
        self.signatures = {SERVING: Signature(("text",), outputs, True)}

    def __call__(self, signature: str, texts: Any, batch_size: int) -> Any:
        for rows in batches([*texts.values()], batch_size):
            found = [texts["text"][row] for row in rows]
            splits = np.cumsum([0, *map(len, found)])
            yield rows, {"letter": np.array([*b"".join(found)]), ROW_SPLITS: splits}


def test_what_is_found_stands_in_order() -> None:
    model = TextModel("none", batch_size=2)
    vars(model)["model"] = Letters()
    found = model(["abc", "", "de", "fghij", "k"])
    assert bytes(found["letter"].tolist()) == b"abcdefghijk"
    assert found[ROW_SPLITS].tolist() == [0, 3, 3, 5, 10, 11]


def test_answers_of_several_shapes_are_refused(paths: dict[str, Path]) -> None:
    """`tokens` pads the rows of a batch to the longest of them."""
    model = TextModel(paths["saved"], signature="tokens", batch_size=1)
    with pytest.raises(ExportError, match="rows have the shapes"):
        model(["a", "a bad cab"])


@pytest.mark.parametrize("form", ["saved", "copy"])
def test_it_is_pickled_before_and_after_its_use(paths: dict[str, Path], form: str) -> None:
    model = TextModel(paths[form])
    before = pickle.dumps(model)
    wanted = vectors(model)
    after = pickle.dumps(model)
    assert max(len(before), len(after)) < 1000
    for each in (before, after):
        np.testing.assert_array_equal(vectors(pickle.loads(each)), wanted)


def test_a_process_that_is_spawned_uses_it(paths: dict[str, Path]) -> None:
    model = TextModel(paths["saved"])
    wanted = vectors(model)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(TextModel(paths["saved"], threads=1), [TEXTS])
        again = pool.apply(model, [TEXTS])
    for each in (found["default"], again["default"]):
        np.testing.assert_allclose(each, wanted, atol=1e-5)


@pytest.mark.parametrize("form", ["saved", "copy"])
def test_no_texts_have_no_vectors(paths: dict[str, Path], form: str) -> None:
    found = TextModel(paths[form])([])["default"]
    assert (found.shape, found.dtype) == ((0, 24), np.float32)


def test_what_leads_nowhere_is_refused(paths: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="batch_size must be 1 or more"):
        TextModel(paths["saved"], batch_size=0)
    for form in ("saved", "copy"):
        with pytest.raises(ExportError, match="threads must be 1 or more"):
            TextModel(paths[form], threads=0)(["a"])
    tf.constant(0)
    with pytest.raises(ExportError, match="already computes in this process"):
        TextModel(paths["saved"], threads=61)(["a"])
    model = TextModel(paths["saved"])
    with pytest.raises(ExportError, match="expected as many of each, found 1, 2"):
        model(["a"], ["b", "c"])
    with pytest.raises(SourceError, match="a signature that takes 2 texts"):
        model(["a"], ["b"])
    with pytest.raises(SourceError, match="not a text model that hub_export wrote"):
        TextModel(tmp_path)(["a"])
