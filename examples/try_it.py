"""A page to try a text embedding on one's own texts: the nearest of them, and labels.

python examples/try_it.py --model=exported/all_minilm_l6_v2_text_embedding/1

Then open the address that it prints. With --classifier, the texts get the labels of a text
classification, too. Models are SavedModels or LiteRT copies. It is for one person on one machine:
the server listens to that machine alone.
"""

import argparse
import functools
import json
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from hub_export import ExportError
from hub_export.use import TextModel

PAGE = Path(__file__).with_suffix(".html")
MOST = 1_000_000
"""Bytes of a request."""


class Models:
    """What the page asks."""

    def __init__(self, embedding: str, classifier: str | None) -> None:
        """Takes the folders; models are loaded when they are asked first."""
        self.name = embedding
        self._embed = TextModel(embedding, kind="text embedding")
        self._classify = TextModel(classifier, kind="text classification") if classifier else None

    def nearest(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        """The texts by the cosine of their vector and the query's, the nearest first."""
        begin = time.perf_counter()
        vectors = self._embed([query, *texts])["default"]
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        scores = (unit[1:] @ unit[0]).tolist()
        label, *labels = self._labels([query, *texts])
        rows = sorted(zip(scores, texts, labels, strict=True), key=lambda row: -row[0])
        found = [dict(zip(("score", "text", "label"), row, strict=True)) for row in rows]
        took = 1e3 * (time.perf_counter() - begin)
        return {"found": found, "label": label, "milliseconds": took}

    def _labels(self, texts: Sequence[str]) -> list[str | None]:
        if self._classify is None:
            return [None] * len(texts)
        return [label.decode() for label in self._classify(texts)["label"]]


class Handler(BaseHTTPRequestHandler):
    """Gives the page, and answers it."""

    def __init__(self, models: Models, *arguments: Any) -> None:
        """Answers one request."""
        self._models = models
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """The page, or what the model is called."""
        if self.path == "/":
            self._reply(HTTPStatus.OK, "text/html", PAGE.read_bytes())
        elif self.path == "/model":
            self._tell(HTTPStatus.OK, {"name": self._models.name})
        else:
            self._tell(HTTPStatus.NOT_FOUND, {"error": f"{self.path}: no such page"})

    def do_POST(self) -> None:
        """The nearest texts."""
        try:
            asked = self._asked()
        except (KeyError, TypeError, ValueError) as error:
            self._tell(HTTPStatus.BAD_REQUEST, {"error": f"not a question: {error}"})
            return
        try:
            self._tell(HTTPStatus.OK, self._models.nearest(*asked))
        except ExportError as error:
            self._tell(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": str(error)})

    def _asked(self) -> tuple[str, list[str]]:
        """The query and the texts. Other pages of the browser cannot send JSON unasked."""
        if self.headers["Content-Type"] != "application/json":
            raise ValueError("expected application/json")
        length = int(self.headers["Content-Length"])
        if not 0 <= length <= MOST:
            raise ValueError(f"expected up to {MOST} bytes, found {length}")
        content = json.loads(self.rfile.read(length))
        query, texts = content["query"], content["texts"]
        if not isinstance(texts, list) or not all(
            isinstance(each, str) for each in [query, *texts]
        ):
            raise ValueError("expected a text and a list of texts")
        return query, texts

    def _tell(self, status: HTTPStatus, content: Any) -> None:
        self._reply(status, "application/json", json.dumps(content).encode())

    def _reply(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Says nothing of requests."""


def server(models: Models, port: int) -> ThreadingHTTPServer:
    """A server of this machine alone; port 0 is any that is free."""
    return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, models))


def main(argv: Sequence[str] | None = None) -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="exported/all_minilm_l6_v2_text_embedding/1")
    parser.add_argument("--classifier", help="folder of a text classification")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args(argv)
    with server(Models(args.model, args.classifier), args.port) as serving:
        print(f"http://127.0.0.1:{serving.server_port}/", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print("\nstopped")


if __name__ == "__main__":
    main()
