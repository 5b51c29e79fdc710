"""Checkpoints of sentence-transformers whose encoder lies in a subfolder, or has several routes."""

import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import sentence_transformers
import tensorflow as tf
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

import hub_export
from hub_export.sources import find, huggingface, module_list
from hub_export.verify.checks import Outcome
from tests import checkpoints, unsaved

TEXTS = ["a bad cab", "", "d e f", "a b " * 40]


@pytest.fixture(scope="module")
def in_subfolder(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as version 0 and 1 of sentence-transformers wrote it."""
    folder = tmp_path_factory.mktemp("checkpoints") / "older"
    shutil.copytree(tiny_bert, folder / "0_Transformer")
    (folder / "0_Transformer" / "sentence_bert_config.json").write_text('{"max_seq_length": 10}')
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    scope = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "0_Transformer", "type": f"{scope}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{scope}.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


@pytest.fixture(scope="module")
def routed(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with an encoder for queries, and another one for documents."""
    place = tmp_path_factory.mktemp("checkpoints")
    sizes = {"dim": 24, "n_heads": 2, "num_hidden_layers": 1}
    checkpoints.save_model(place / "other", "distilbert", **sizes)
    checkpoints.save_tokenizer(place / "other", checkpoints.wordpiece(checkpoints.PIECES))
    query = [Transformer(str(tiny_bert), max_seq_length=20), Pooling(24, "mean")]
    document = [Transformer(str(place / "other"), max_seq_length=30), Pooling(24, "cls")]
    router = Router.for_query_document(query, [*document, Dense(24, 24)])
    model = sentence_transformers.SentenceTransformer(modules=[router, Normalize()], device="cpu")
    model.save(str(place / "routed"), create_model_card=False)
    return place / "routed"


def export(source: Path, out: Path, **options: Any) -> hub_export.Export:
    options = {"parts": ["text_embedding"], "verify": "full", **options}
    done = hub_export.export(source, out, **options)
    assert done.report.passed
    return done


def vectors(done: hub_export.Export) -> np.ndarray:
    model = tf.saved_model.load(str(done.paths["text_embedding"]))
    found: np.ndarray = model(tf.constant(TEXTS)).numpy()
    return found


def assert_near(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_an_encoder_in_a_subfolder(in_subfolder: Path, tmp_path: Path) -> None:
    assert {*unsaved.compared(in_subfolder).values()} == {Outcome.PASSED}
    done = export(in_subfolder, tmp_path)
    assert "vectors, against sentence-transformers" in [c.subject for c in done.report.checks]
    theirs = sentence_transformers.SentenceTransformer(str(in_subfolder), device="cpu")
    assert theirs.max_seq_length == 10
    assert_near(vectors(done), theirs.encode(TEXTS, batch_size=1))
    assert done.report.source["name"] == "older"
    assert {"0_Transformer/config.json", "1_Pooling/config.json"} <= {*done.report.source["sha256"]}


def test_the_subfolder_alone_is_remarked(in_subfolder: Path) -> None:
    assert find.read(str(in_subfolder)).notes == ()
    [note] = find.read(str(in_subfolder / "0_Transformer")).notes
    assert "modules.json of the folder above" in note


@pytest.mark.parametrize("route", ["query", "document"])
def test_a_route(routed: Path, tmp_path: Path, route: str) -> None:
    done = export(routed, tmp_path, route=route)
    theirs = sentence_transformers.SentenceTransformer(str(routed), device="cpu")
    encode = getattr(theirs, f"encode_{route}")
    assert_near(vectors(done), encode(TEXTS, batch_size=1))
    assert done.report.settings["route"] == route


def test_a_route_must_be_one_of_the_model(routed: Path, tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(hub_export.SourceError, match=r"router_config.json: .*document, query"):
        hub_export.export(routed, tmp_path, route="answer")
    source = Path(shutil.copytree(routed, tmp_path / "source"))
    _route(source, parameters={"default_route": None})
    with pytest.raises(hub_export.SourceError, match=r"say which with --route \(found None\)"):
        hub_export.export(source, tmp_path)
    with pytest.raises(hub_export.ExportError, match=r"has none; leave route out"):
        hub_export.export(tiny_bert, tmp_path, route="query")


def test_a_text_takes_the_default_route(routed: Path) -> None:
    assert module_list.encoder_folder(routed).name == "document_0_Transformer"
    checkpoint = find.read(str(routed))
    assert (checkpoint.route, checkpoint.config["model_type"]) == ("document", "distilbert")


@pytest.mark.parametrize(
    "options",
    [
        {"structure": ["query"]},
        {"structure": {"query": "query_0_Transformer"}},
        {"structure": {"query": ["../x"]}, "types": {"../x": "Transformer"}},
        {"structure": {"query": ["gone"]}},
        {"types": 3},
    ],
)
def test_a_damaged_router(routed: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("modules.json", "router_config.json"):
        shutil.copy(routed / name, source / name)
    _route(source, **options)
    with pytest.raises(hub_export.SourceError, match=r"router_config.json: expected"):
        find.read(str(source), route="query")


def test_downloads_bring_subfolders(
    routed: Path, in_subfolder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source, weights in ((routed, True), (in_subfolder, True), (in_subfolder, False)):
        place = tmp_path / f"{source.name}-{weights}" / "1f2e"
        monkeypatch.setattr("huggingface_hub.snapshot_download", _hub(source, place))
        assert huggingface.download("user/model", None, weights) == place
        wanted = {each.relative_to(source) for each in source.rglob("*") if each.is_file()}
        found = {each.relative_to(place) for each in place.rglob("*") if each.is_file()}
        assert {each for each in wanted - found if weights or each.suffix == ".json"} <= {
            Path("README.md")
        }


def _hub(source: Path, place: Path) -> Any:
    """Gives the files that match, as the hub's own function does."""
    files = [str(each.relative_to(source)) for each in source.rglob("*") if each.is_file()]

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        for file in huggingface_hub.utils.filter_repo_objects(files, allow_patterns=allow_patterns):
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / file, place / file)
        return str(place)

    return download


def _route(source: Path, **options: Any) -> None:
    file = source / "router_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **options}))
