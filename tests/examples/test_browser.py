"""The browser example, in headless Chromium."""

import contextlib
import functools
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hub_export
from hub_export.litert import TextModel
from tests import checkpoints

BROWSER = Path(__file__).parents[2] / "examples" / "browser"
PATIENCE = 120  # seconds
TEXTS = [
    "the cat sat on the mat",
    "",
    "L'Été, 日本語 🎉",
    "[SEP] a [MASK]",
    " ".join("abcdefghijklmnopqrstuvwxyz"),
]
PAGE = """
<script type="importmap">{importmap}</script>
<script type="module">
const answer = async () => {{
  const {{ TextModel }} = await import("/browser/text_model.js");
  const begin = performance.now();
  const model = await TextModel.load("/model", {precision});
  const loaded = performance.now();
  const vectors = [], times = [loaded - begin];
  for (const text of {texts}) {{
    const before = performance.now();
    vectors.push([...(await model.embed(text))]);
    times.push(performance.now() - before);
  }}
  return {{ vectors, times }};
}};
const found = await answer().catch((error) => ({{ error: String(error) }}));
await fetch("/answer", {{ method: "POST", body: JSON.stringify(found) }});
</script>
"""


class Handler(SimpleHTTPRequestHandler):
    """Serves the example, a model and a page that posts its answer."""

    def __init__(
        self, answers: "queue.Queue[Any]", model: Path, page: str, *arguments: Any
    ) -> None:
        self._answers, self._model, self._page = answers, model, page
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        room, _, rest = path.lstrip("/").partition("/")
        return str({"browser": BROWSER, "model": self._model}.get(room, Path("/nowhere")) / rest)

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self._reply(self._page.encode())

    def do_POST(self) -> None:
        self._answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._reply(b"")

    def _reply(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


@contextlib.contextmanager
def browsing(address: str, profile: Path) -> Iterator[None]:
    """Chromium, with a page open."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        [CHROMIUM or "", *flags, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def ask(model: Path, precision: str, texts: list[str], profile: Path) -> dict[str, Any]:
    """What the example answers in a browser: vectors; milliseconds of loading, and of each text."""
    html = (BROWSER / "index.html").read_text(encoding="utf-8")
    importmap = html.partition('<script type="importmap">')[2].partition("</script>")[0]
    page = PAGE.format(
        importmap=importmap.replace("./node_modules", "/browser/node_modules"),
        precision=json.dumps(precision),
        texts=json.dumps(texts),
    )
    answers: queue.Queue[Any] = queue.Queue()
    handler = functools.partial(Handler, answers, model, page)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with browsing(f"http://127.0.0.1:{server.server_port}/", profile):
            found: dict[str, Any] = answers.get(timeout=PATIENCE)
        server.shutdown()
    return found


CHROMIUM = shutil.which("chromium")
NEEDS = pytest.mark.skipif(
    CHROMIUM is None or not (BROWSER / "node_modules").is_dir(),
    reason="needs chromium, and `npm ci` in examples/browser",
)


@NEEDS
def test_vectors_are_those_of_the_copy(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    small = {"num_hidden_layers": 1, "max_position_embeddings": 24}
    checkpoints.save_model(folder, "bert", **small)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    done = hub_export.export(
        folder, tmp_path / "out", parts=["text_embedding"], verify="none", litert=["float32"]
    )
    copy = done.paths["text_embedding_litert"]
    found = ask(copy, "float32", TEXTS, tmp_path / "profile")
    assert "error" not in found, found
    wanted = TextModel(copy)(TEXTS)
    np.testing.assert_allclose(found["vectors"], wanted, rtol=0, atol=1e-5)
