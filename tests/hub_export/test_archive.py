"""Archives: what TensorFlow Hub loads over HTTP, byte by byte the same, and what is refused."""

import functools
import http.server
import json
import resource
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
from tensorflow_hub import file_utils

import hub_export
from hub_export import ExportError, SourceError, TargetError, cli, contents
from hub_export.contents import FormatError
from hub_export.publish import archive

TEXTS = tf.constant(["a b", "", "hello"])


@pytest.fixture(scope="module")
def source(tiny_export: hub_export.Export) -> Path:
    return tiny_export.paths["text_embedding"]


@pytest.fixture(scope="module")
def packed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("archives") / "model.tar.gz"
    assert cli.main(["publish", str(source), f"--archive={file}", "--unverified", "--quiet"]) == 0
    return file


@pytest.fixture
def copy(source: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(source, tmp_path / "exported" / "copy" / "1"))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(packed: Path) -> Iterator[str]:
    """Of the archive on a web server; the requests are in `_Quiet.asked`."""
    handler = functools.partial(_Quiet, directory=str(packed.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _Quiet.asked.clear()
        yield f"http://127.0.0.1:{server.server_port}/{packed.name}"
        server.shutdown()


@pytest.mark.parametrize("query", ["", "?tf-hub-format=compressed"])
def test_over_http(
    address: str, source: Path, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    wanted = hub.load(str(source))(TEXTS).numpy()
    np.testing.assert_array_equal(hub.load(address + query)(TEXTS).numpy(), wanted)
    layer = hub.KerasLayer(address + query, input_shape=[], dtype=tf.string)
    np.testing.assert_array_equal(layer(TEXTS).numpy(), wanted)
    resolved = Path(hub.resolve(address + query))
    assert resolved.parent == tmp_path / "cache"
    contents.read(resolved).check(resolved)
    assert len(_Quiet.asked) == 1  # the others came from the cache
    assert _Quiet.asked[0].partition("?")[2].startswith("tf-hub-format=compressed")


def test_what_is_in_it(packed: Path, source: Path) -> None:
    with tarfile.open(packed) as tar:
        members = tar.getmembers()
    names = [each.name for each in members]
    files = {each.relative_to(source).as_posix() for each in source.rglob("*") if each.is_file()}
    assert {each.name for each in members if each.isfile()} == files
    assert all(each.isfile() or each.isdir() for each in members)
    assert {(each.mtime, each.uid, each.gid, each.uname, each.gname) for each in members} == {
        (0, 0, 0, "", "")
    }
    for at, name in enumerate(names):
        assert file_utils.merge_relative_path("/to", name) == f"/to/{name}"
        folder = name.rpartition("/")[0]
        assert not folder or folder in names[:at]


def test_the_same_bytes(packed: Path, copy: Path, tmp_path: Path) -> None:
    for path in copy.rglob("*"):
        path.touch()  # another time
    (copy / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"of one server")
    file = tmp_path / "again.tgz"
    left = archive.write(copy, file, unverified=True)
    assert left == ["assets.extra/tf_serving_warmup_requests"]
    assert file.read_bytes() == packed.read_bytes()
    flags, time = file.read_bytes()[3], file.read_bytes()[4:8]
    assert (flags, time) == (0, bytes(4))  # no name, no time


def test_unverified(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["publish", str(copy), f"--archive={tmp_path / 'a.tgz'}"]) == 1
    assert "not verified against its source" in capsys.readouterr().err
    assert not (tmp_path / "a.tgz").exists()


def _half(folder: Path) -> None:
    file = folder / "variables" / "variables.data-00000-of-00001"
    file.write_bytes(file.read_bytes()[:-1])


def _turned(folder: Path) -> None:
    file = folder / "variables" / "variables.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _described(text: Callable[[str], str]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / contents.ASSETS / contents.FILE
        file.write_text(text(file.read_text()))

    return change


def _outside(text: str) -> str:
    found = json.loads(text)
    found["files"]["../other"] = {"size": 0, "sha256": ""}
    return json.dumps(found)


DAMAGED: dict[str, tuple[Callable[[Path], object], type[ExportError], str]] = {
    "half a file": (_half, SourceError, "variables.data-00000-of-00001: expected"),
    "a bit": (_turned, SourceError, "sha256 is not that"),
    "a file less": (lambda f: (f / "saved_model.pb").unlink(), SourceError, "saved_model.pb: No"),
    "no contents": (
        lambda f: (f / contents.ASSETS / contents.FILE).unlink(),
        SourceError,
        "expected the folder of an export",
    ),
    "no folder": (shutil.rmtree, SourceError, "no such folder"),
    "half the contents": (_described(lambda t: t[:99]), SourceError, "copy the export again"),
    "a list": (_described(lambda _: "[]"), SourceError, "damaged"),
    "later": (_described(lambda t: t.replace('"format": 1', '"format": 2')), FormatError, "update"),
    "outside": (_described(_outside), SourceError, "a file is called '../other'"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged(copy: Path, tmp_path: Path, damage: str) -> None:
    change, kind, words = DAMAGED[damage]
    change(copy)
    with pytest.raises(kind, match=words.replace("(", r"\(")):
        archive.write(copy, tmp_path / "out" / "a.tar.gz", unverified=True)
    assert not (tmp_path / "out").exists()


def test_a_full_disk(source: Path, tmp_path: Path) -> None:
    """Files may not be longer than a part of the archive."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(TargetError, match=r"a\.tar\.gz: cannot be written"):
            archive.write(source, tmp_path / "a.tar.gz", unverified=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [*tmp_path.iterdir()] == []


def test_other_targets(source: Path, packed: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"ends in \.tar\.gz or \.tgz"):
        archive.write(source, tmp_path / "model.zip", unverified=True)
    (tmp_path / "folder.tgz").mkdir()
    with pytest.raises(TargetError, match="is a folder"):
        archive.write(source, tmp_path / "folder.tgz", unverified=True, overwrite=True)
    before = packed.read_bytes()
    with pytest.raises(TargetError, match="exists"):
        archive.write(source, packed, unverified=True)
    archive.write(source, packed, unverified=True, overwrite=True)
    assert packed.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["publish"], "path is missing"),
        (["publish", "a"], "say what to make of it"),
        (["publish", "a", "b", "--archive=c.tgz"], "unexpected arguments: b"),
    ],
)
def test_command_lines(line: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(line) == 1
    assert words in capsys.readouterr().err
