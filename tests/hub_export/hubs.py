"""Small hubs on this machine, which speak as much as a push and the way back ask of them.

What they do not cover, and what so was never tried here:

- Hugging Face: Xet storage (the clients fall back to LFS), multipart uploads, branches and pull
  requests, gated repositories, organisations, limits of rate and size, and the hub's own rules for
  cards beyond those that `_YAML_RULES` says. Tokens are only compared with one.
- Kaggle: its processing of files after an upload, resumable uploads within a file, its rules for
  slugs, titles and licences; downloads, as `kagglehub` takes what lies in its cache.
"""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import yaml

TOKEN = "hf_thisIsSecret0123"
SIGNATURE = "X-Amz-Signature=alsoSecret"
_YAML_RULES: dict[str, Callable[[Any], bool]] = {
    "license": lambda value: isinstance(value, str) and value != "",
    "language": lambda value: all(re.fullmatch("[a-z]{2,3}|multilingual", each) for each in value),
    "base_model_relation": lambda value: value in ("adapter", "finetune", "merge", "quantized"),
    "tags": lambda value: isinstance(value, list),
    "pipeline_tag": lambda value: bool(re.fullmatch("[a-z-]+", value)),
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Finds the method of the hub that a request is for."""

    protocol_version = "HTTP/1.1"
    hub: "Hub"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        self.hub.asked.append((self.command, path))
        for (methods, form), function in self.hub.routes.items():
            found = re.fullmatch(form, path)
            if found and self.command in methods:
                status, headers, content = function(*found.groups(), body=body, request=self)
                break
        else:
            status, headers, content = 404, {}, f"no {self.command} {self.path}".encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = _answer  # noqa: N815 (the names of http.server)

    def log_message(self, *_: object) -> None:
        pass


Answer = tuple[int, dict[str, str], bytes]


def said(content: object, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


class Hub:
    """A server with routes.

    Attributes:
        routes: methods and form of a path -> what answers.
        asked: what it was asked.
        fails: what it refuses: large files by their ends, those of Kaggle by those of their names.
    """

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Callable[..., Answer]] = {}
        self.asked: list[tuple[str, str]] = []
        self.fails: tuple[str, ...] = ()
        self.address = ""

    def count(self, method: str, begin: str) -> int:
        return sum(asked == method and path.startswith(begin) for asked, path in self.asked)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        handler = type("Bound", (Handler,), {"hub": self})
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            self.address = f"http://127.0.0.1:{server.server_port}"
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield
            server.shutdown()


class HuggingFace(Hub):
    """Repositories with commits.

    Attributes:
        commits: repository -> commit -> place -> content; the last one is `main`.
        stored: large files by their sha256.
        private: repository -> whether it was made private.
    """

    def __init__(self) -> None:
        super().__init__()
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.stored: dict[str, bytes] = {}
        self.private: dict[str, bool] = {}
        name = r"([\w.-]+/[\w.-]+)"
        self.routes = {
            ("POST", "/api/repos/create"): self._create,
            ("POST", "/api/validate-yaml"): self._validate,
            ("POST", f"/api/models/{name}/preupload/main"): self._preupload,
            ("POST", f"/{name}.git/info/lfs/objects/batch"): self._batch,
            ("PUT", "/lfs/([0-9a-f]{64})"): self._store,
            ("POST", f"/api/models/{name}/commit/main"): self._commit,
            ("GET", rf"/api/models/{name}(?:/revision/(\w+))?"): self._info,
            ("GET", rf"/api/models/{name}/tree/(\w+)"): self._tree,
            ("GET HEAD", rf"/{name}/resolve/(\w+)/(.+)"): self._resolve,
        }

    def files(self, repository: str) -> dict[str, bytes]:
        return [*self.commits[repository].values()][-1]

    def _create(self, body: bytes, request: Handler) -> Answer:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return said({"error": f"Invalid token {request.headers.get('Authorization')}"}, 401)
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        known = name in self.commits
        if not known:
            self.private[name] = asked.get("private") or asked.get("visibility") == "private"
            self.commits[name] = {"0" * 40: {".gitattributes": b""}}
        return said({"url": f"{self.address}/{name}", "name": name}, 409 if known else 200)

    def _validate(self, body: bytes, request: Handler) -> Answer:
        front = json.loads(body)["content"].split("---\n")[1]
        found = yaml.safe_load(front)
        wrong = [k for k, rule in _YAML_RULES.items() if k in found and not rule(found[k])]
        errors = [{"message": f'"{key}" is wrong'} for key in wrong]
        return said({"errors": errors, "warnings": []}, 400 if errors else 200)

    def _preupload(self, repository: str, body: bytes, request: Handler) -> Answer:
        large = (".pb", ".data-00000-of-00001", ".tflite")
        files = [
            {
                "path": each["path"],
                "uploadMode": "lfs" if each["path"].endswith(large) else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for each in json.loads(body)["files"]
        ]
        return said({"files": files})

    def _batch(self, repository: str, body: bytes, request: Handler) -> Answer:
        objects: list[dict[str, Any]] = []
        for each in json.loads(body)["objects"]:
            objects.append({"oid": each["oid"], "size": each["size"]})
            if each["oid"] not in self.stored:
                href = f"{self.address}/lfs/{each['oid']}?{SIGNATURE}"
                objects[-1]["actions"] = {"upload": {"href": href}}
        return said({"transfer": "basic", "objects": objects})

    def _store(self, oid: str, body: bytes, request: Handler) -> Answer:
        if any(body.endswith(end.encode("latin-1")) for end in self.fails):
            return 403, {}, f"denied: {request.path} {TOKEN}".encode()
        assert hashlib.sha256(body).hexdigest() == oid
        self.stored[oid] = body
        return said({})

    def _commit(self, repository: str, body: bytes, request: Handler) -> Answer:
        files = dict(self.files(repository))
        for line in map(json.loads, body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.stored[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        commit = hashlib.sha1(body + str(len(self.commits[repository])).encode()).hexdigest()
        self.commits[repository][commit] = files
        url = f"{self.address}/{repository}/commit/{commit}"
        return said({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def _at(self, repository: str, revision: str | None) -> tuple[str, dict[str, bytes]] | None:
        commits = self.commits.get(repository, {})
        commit = next(reversed(commits), "") if revision in (None, "main") else str(revision)
        return (commit, commits[commit]) if commit in commits else None

    def _missing(self) -> Answer:
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"

    def _info(self, repository: str, revision: str | None, body: bytes, request: Handler) -> Answer:
        found = self._at(repository, revision)
        if found is None:
            return self._missing()
        siblings = [{"rfilename": name} for name in found[1]]
        return said({"id": repository, "sha": found[0], "siblings": siblings})

    def _tree(self, repository: str, revision: str, body: bytes, request: Handler) -> Answer:
        found = self._at(repository, revision)
        if found is None:
            return self._missing()
        return said(
            [
                {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}
                for name, content in found[1].items()
            ]
        )

    def _resolve(
        self, repository: str, revision: str, name: str, body: bytes, request: Handler
    ) -> Answer:
        found = self._at(repository, revision)
        if found is None or name not in found[1]:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        content = found[1][name]
        return 200, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": found[0]}, content


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


class Kaggle(Hub):
    """Models with variations.

    Attributes:
        models: `owner/model` -> what it was made with.
        variations: `owner/model/framework/variation` -> what each version was made with.
        blobs: token of a file -> its content.
        names: token of a file -> its name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, dict[str, Any]] = {}
        self.variations: dict[str, list[dict[str, Any]]] = {}
        self.blobs: dict[str, bytes] = {}
        self.names: dict[str, str] = {}
        service = "/api/v1/models.ModelApiService"
        self.routes = {
            ("POST", f"{service}/GetModel"): self._get,
            ("POST", f"{service}/CreateModel"): self._create,
            ("POST", f"{service}/CreateModelInstance"): self._instance,
            ("POST", f"{service}/CreateModelInstanceVersion"): self._version,
            ("POST", "/api/v1/blobs.BlobApiService/StartBlobUpload"): self._start,
            ("PUT", r"/blobs/(\w+)"): self._blob,
        }

    def _get(self, body: bytes, request: Handler) -> Answer:
        asked = json.loads(body)
        known = f"{asked['ownerSlug']}/{asked['modelSlug']}" in self.models
        return said({}) if known else said({"code": 404, "message": "Not found"}, 404)

    def _create(self, body: bytes, request: Handler) -> Answer:
        asked = json.loads(body)
        self.models[f"{asked['ownerSlug']}/{asked['slug']}"] = asked
        return said({"id": 1, "url": "https://kaggle.example"})

    def _instance(self, body: bytes, request: Handler) -> Answer:
        asked = json.loads(body)
        made = asked.get("body", asked)
        name = f"{asked['ownerSlug']}/{asked['modelSlug']}/{made['instanceSlug']}"
        if name in self.variations:
            return said({"error": "exists", "errorCode": 409})
        self.variations[name] = [made]
        return said({"id": 1, "url": "https://kaggle.example"})

    def _version(self, body: bytes, request: Handler) -> Answer:
        asked = json.loads(body)
        made = asked.get("body", asked)
        name = f"{asked['ownerSlug']}/{asked['modelSlug']}/{asked['instanceSlug']}"
        self.variations[name].append(made)
        return said({"id": 2, "url": "https://kaggle.example"})

    def _start(self, body: bytes, request: Handler) -> Answer:
        token = f"blob{len(self.blobs)}"
        asked = json.loads(body)
        if asked["name"].endswith(self.fails or "?"):
            return said({"code": 403, "message": f"denied to {request.headers}"}, 403)
        self.blobs[token], self.names[token] = b"", asked["name"]
        return said({"token": token, "createUrl": f"{self.address}/blobs/{token}?{SIGNATURE}"})

    def _blob(self, token: str, body: bytes, request: Handler) -> Answer:
        self.blobs[token] = body
        return said({})
