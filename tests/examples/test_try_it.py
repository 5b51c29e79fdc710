"""The page to try a model on one's own texts, by its server."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hub_export
from examples import try_it
from hub_export.use import TextModel
from tests import checkpoints

TEXTS = ["a b c", "the cat", "l'été <b>&"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    options = {"num_hidden_layers": 1, "id2label": {0: "dull", 1: "lively"}}
    checkpoints.save_model(folder / "tiny", "bert", "BertForSequenceClassification", **options)
    checkpoints.save_tokenizer(folder / "tiny", checkpoints.wordpiece(checkpoints.PIECES))
    done = hub_export.export(folder / "tiny", folder, parts=["task_model"], verify="none")
    return done.paths["text_classification"]


@pytest.fixture(scope="module")
def address(tiny_export: hub_export.Export, classifier: Path) -> Iterator[str]:
    models = try_it.Models(str(tiny_export.paths["text_embedding"]), str(classifier))
    with try_it.server(models, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def asked(address: str, body: bytes, kind: str = "application/json") -> tuple[int, Any]:
    request = urllib.request.Request(f"{address}/nearest", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_nearest(address: str, tiny_export: hub_export.Export, classifier: Path) -> None:
    query = "a b"
    status, answer = asked(address, json.dumps({"query": query, "texts": TEXTS}).encode())
    assert status == 200
    vectors = TextModel(tiny_export.paths["text_embedding"])([query, *TEXTS])["default"]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = dict(zip(TEXTS, unit[1:] @ unit[0], strict=True))
    scores = [each["score"] for each in answer["found"]]
    assert scores == sorted(scores, reverse=True)
    assert {
        each["text"]: pytest.approx(each["score"], abs=1e-5) for each in answer["found"]
    } == wanted
    labels = TextModel(classifier)([query, *TEXTS])["label"].tolist()
    found = {query: answer["label"]} | {each["text"]: each["label"] for each in answer["found"]}
    assert found == {
        text: label.decode() for text, label in zip([query, *TEXTS], labels, strict=True)
    }


def test_without_texts_there_is_nothing_near(address: str) -> None:
    status, answer = asked(address, b'{"query": "a", "texts": []}')
    assert (status, answer["found"]) == (200, [])


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"{", "application/json", "not a question"),
        (b'{"query": "a"}', "application/json", "'texts'"),
        (b'{"query": "a", "texts": "b"}', "application/json", "a list of texts"),
        (b'{"query": 1, "texts": []}', "application/json", "a list of texts"),
        (b"[]", "application/json", "not a question"),
        (b'{"query": "a", "texts": []}', "text/plain", "expected application/json"),
    ],
)
def test_what_is_no_question(address: str, body: bytes, kind: str, message: str) -> None:
    status, answer = asked(address, body, kind)
    assert status == 400
    assert message in answer["error"]


def test_long_requests_are_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(try_it, "MOST", 10)
    status, answer = asked(address, b'{"query": "a", "texts": []}')
    assert (status, "up to 10 bytes" in answer["error"]) == (400, True)


def test_pages(address: str, tiny_export: hub_export.Export) -> None:
    with urllib.request.urlopen(f"{address}/") as reply:
        page = reply.read().decode()
    assert "<title>Try the model</title>" in page
    assert "://" not in page  # nothing is loaded from elsewhere
    with urllib.request.urlopen(f"{address}/model") as reply:
        assert json.load(reply) == {"name": str(tiny_export.paths["text_embedding"])}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}/../pyproject.toml")


def test_a_model_that_is_none_is_told(tmp_path: Path) -> None:
    with try_it.server(try_it.Models(str(tmp_path), None), 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        body = b'{"query": "a", "texts": []}'
        status, answer = asked(f"http://127.0.0.1:{server.server_port}", body)
        server.shutdown()
    assert status == 500
    assert "not a text embedding" in answer["error"]
