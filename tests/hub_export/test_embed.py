"""The command hub_embed: order, memory, stops."""

import bz2
import functools
import gzip
import io
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hub_export
from hub_export.use import embed_cli
from hub_export.use.corpora import text_job, text_lines

LINES = [b"a bad cab", b"", b"d " * 60, "üben\ttab".encode(), b"\xff\xfe", b"e", b" b\x00c "] * 30


@pytest.fixture(scope="module")
def models(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two text embeddings of different poolings."""
    out = tmp_path_factory.mktemp("exported")
    return {
        pooling: hub_export.export(
            tiny_bert, out, name=pooling, parts=["text_embedding"], pooling=[pooling], verify="none"
        ).paths["text_embedding"]
        for pooling in ("mean", "max")
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\n".join(LINES) + b"\n")
    return path


def run(
    models: dict[str, Path], source: Path, output: Path, *more: str, model: str = "mean"
) -> int:
    arguments = [f"--model={models[model]}", f"--input={source}", f"--output={output}", *more]
    return embed_cli.main([*arguments, "--quiet"])


def wanted(model: Path) -> Any:
    loaded = tf.saved_model.load(str(model))
    return np.concatenate([loaded(tf.constant([line])) for line in LINES])


def test_vectors_stand_in_the_order_of_their_lines(
    models: dict[str, Path], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_lines, "WINDOW_LINES", 64)
    npy, tsv, metadata = (tmp_path / name for name in ("x.npy", "x.tsv", "metadata.tsv"))
    assert run(models, source, npy) == 0
    assert run(models, source, tsv, f"--metadata={metadata}", "--batch_size=7") == 0
    found = np.load(npy, mmap_mode="r")
    assert (found.shape, found.dtype) == ((len(LINES), 24), np.float32)
    np.testing.assert_allclose(found, wanted(models["mean"]), atol=1e-5)
    np.testing.assert_allclose(np.loadtxt(tsv, delimiter="\t", dtype=np.float32), found, atol=1e-6)
    rows = metadata.read_bytes().split(b"\n")
    assert len(rows) == len(LINES) + 1
    assert rows[:4] == [b"a bad cab", b" ", b"d " * 60, "üben tab".encode()]
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "lines.txt",
        "metadata.tsv",
        "x.npy",
        "x.tsv",
    ]


TEXTS = ["a bad cab", "", "d " * 60, "üb\nen\r\n", " b\x00c "] * 30


def columns(path: Path) -> Path:
    """The texts in a column of theirs, in the form that the name says."""
    rows = [{"id": str(n), "abstract": text} for n, text in enumerate(TEXTS)]
    if path.suffix == ".tsv":  # has no lines within a text
        lines = [f"{row['id']}\t{' '.join(row['abstract'].splitlines())}" for row in rows]
        path.write_text("\n".join(["id\tabstract", *lines]) + "\n", encoding="utf-8", newline="")
        return path
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["rows.tsv", "rows.jsonl", "rows.jsonl.gz"])
def test_a_column_is_embedded_and_taken_up(
    models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    source, output, metadata = columns(tmp_path / name), tmp_path / "x.npy", tmp_path / "m.tsv"
    arguments = ["--column=abstract", f"--metadata={metadata}", "--dtype=float16"]
    with pytest.MonkeyPatch.context() as patch:
        stop_after(2, patch)
        assert run(models, source, output, *arguments) == 1
    assert run(models, source, output, "--column=id", *arguments[1:]) == 1  # another job
    assert run(models, source, output, *arguments) == 0
    texts = [" ".join(text.splitlines()) for text in TEXTS] if name == "rows.tsv" else TEXTS
    loaded = tf.saved_model.load(str(models["mean"]))
    exact = np.concatenate([loaded(tf.constant([text])) for text in texts])
    found = np.load(output)
    assert (found.shape, found.dtype) == ((len(TEXTS), 24), np.float16)
    np.testing.assert_allclose(found, exact, rtol=2**-10, atol=1e-5)
    lines = metadata.read_bytes().split(b"\n")
    assert len(lines) == len(TEXTS) + 1
    assert lines[2] == b"d " * 60


def test_a_row_without_the_column(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text('{"text": "a"}\n{"texts": "b"}\n')
    assert run(models, source, tmp_path / "x.npy") == 1
    assert "rows.jsonl: line 2: expected text; found texts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "lines"), [(b"", 0), (b"\n", 1), (b"a", 1), (b"a\n\nb", 3), (b"a\r\nb\r\n", 2)]
)
def test_what_a_line_is(
    models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    lines: int,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run(models, Path("-"), tmp_path / "x.npy") == 0
    assert np.load(tmp_path / "x.npy").shape == (lines, 24)


def stop_after(windows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the run fail where it would embed one window more, its output half written."""
    monkeypatch.setattr(text_lines, "WINDOW_LINES", 50)
    right = text_job.TextJob._append
    left = iter(range(windows))

    def embedded(self: Any, window: Any, advance: Any) -> Any:
        if next(left, None) is None:
            self._files[0].file.write(b"half a row")
            self._files[0].file.flush()
            raise KeyboardInterrupt
        return right(self, window, advance)

    monkeypatch.setattr(text_job.TextJob, "_append", embedded)


@pytest.mark.parametrize("name", ["x.npy", "x.tsv"])
def test_a_stopped_run_is_taken_up(
    models: dict[str, Path],
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    whole, parted = tmp_path / f"whole_{name}", tmp_path / name
    assert run(models, source, whole) == 0
    metadata = f"--metadata={tmp_path / 'metadata.tsv'}"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(2, patch)
        assert run(models, source, parted, metadata) == 1
    assert "run it again" in capsys.readouterr().err
    assert not parted.exists()
    assert json.loads((tmp_path / f"{name}.state").read_text())["rows"] == 100
    embedded = []
    with pytest.MonkeyPatch.context() as patch:
        right = text_job.TextJob._append
        patch.setattr(
            text_job.TextJob,
            "_append",
            lambda self, window, advance: embedded.extend(window) or right(self, window, advance),
        )
        assert run(models, source, parted, metadata) == 0
    assert embedded == LINES[100:]
    read = np.load if name == "x.npy" else functools.partial(np.loadtxt, delimiter="\t")
    np.testing.assert_allclose(read(parted), read(whole), atol=1e-6)
    assert (tmp_path / "metadata.tsv").read_bytes().count(b"\n") == len(LINES)
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob("*.state"))


def test_a_run_is_not_taken_up_with_another_model_or_input(
    models: dict[str, Path],
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "x.npy"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(1, patch)
        assert run(models, source, output) == 1
    assert run(models, source, output, model="max") == 1
    assert "begun with another model" in capsys.readouterr().err
    assert run(models, source, output, f"--metadata={tmp_path / 'm.tsv'}") == 1
    assert "begun with other outputs" in capsys.readouterr().err
    content = source.read_bytes()
    source.write_bytes(b"b" + content[1:])
    assert run(models, source, output) == 1
    assert "are not those that have been embedded" in capsys.readouterr().err
    source.write_bytes(content[:20])
    assert run(models, source, output) == 1
    source.write_bytes(content + b"one more\n")
    assert run(models, source, output) == 0
    assert len(np.load(output)) == len(LINES) + 1
    assert run(models, source, output) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert run(models, source, output, "--overwrite", "--restart", model="max") == 0


def test_what_a_stopped_run_left_may_be_damaged(
    models: dict[str, Path], source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, metadata = tmp_path / "x.npy", tmp_path / "metadata.tsv"
    again = functools.partial(run, models, source, output, f"--metadata={metadata}")
    with pytest.MonkeyPatch.context() as patch:
        stop_after(1, patch)
        assert again() == 1
    state = tmp_path / "x.npy.state"
    written = json.loads(state.read_text())
    for change in ({"offset": "1"}, {"sizes": 3}, {"more": 1}):
        state.write_text(json.dumps({**written, **change}))
        assert again() == 1
        assert "x.npy.state: damaged" in capsys.readouterr().err
    state.write_text(json.dumps(written))
    metadata.with_name(f"{metadata.name}.part").unlink()
    assert again() == 1
    assert "metadata.tsv.part: is gone; begin anew with --restart" in capsys.readouterr().err
    assert again("--restart") == 0
    assert len(np.load(output)) == len(LINES)


def test_a_model_does_not_go_on_where_another_one_began_anew(
    models: dict[str, Path], source: Path, tmp_path: Path
) -> None:
    output, whole = tmp_path / "x.npy", tmp_path / "whole.npy"
    for windows, model, flags in ((1, "mean", []), (0, "max", ["--restart"])):
        with pytest.MonkeyPatch.context() as patch:
            stop_after(windows, patch)
            assert run(models, source, output, *flags, model=model) == 1
    assert run(models, source, output) == run(models, source, whole) == 0
    np.testing.assert_array_equal(np.load(output), np.load(whole))


def test_a_killed_process_is_taken_up(models: dict[str, Path], tmp_path: Path) -> None:
    source, output = tmp_path / "lines.txt", tmp_path / "x.npy"
    source.write_bytes(b"".join(b"a b c %d\n" % at for at in range(20000)))
    command = [sys.executable, "-m", "hub_export.use.embed_cli", f"--model={models['mean']}"]
    command += [f"--output={output}", "--quiet"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(source.read_bytes()[:200_000])  # then it waits for more
    process.stdin.flush()
    state, deadline = tmp_path / "x.npy.state", time.monotonic() + 240
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not output.exists()
    assert 0 < json.loads(state.read_text())["rows"] < 20000
    subprocess.run([*command, f"--input={source}"], check=True)
    found = np.load(output)
    assert found.shape == (20000, 24)
    loaded = tf.saved_model.load(str(models["mean"]))
    for at in (0, 8191, 8192, 19999):
        vector = loaded(tf.constant([b"a b c %d" % at]))[0]
        np.testing.assert_allclose(found[at], vector, atol=1e-5)


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_what_is_complete_only_gets_its_names(
    models: dict[str, Path], source: Path, tmp_path: Path, renamed: int
) -> None:
    """Killed before, between and behind the two renames, the same command ends well."""
    output, metadata = tmp_path / "x.npy", tmp_path / "metadata.tsv"
    again = functools.partial(run, models, source, output, f"--metadata={metadata}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_job.TextJob, "_named", lambda self, state: state.rows)
        assert again() == 0
    for path in [metadata, output][:renamed]:
        path.with_name(f"{path.name}.part").replace(path)
    assert (tmp_path / "x.npy.state").exists()
    source.write_bytes(b"")  # nothing is read again
    assert again() == 0
    assert len(np.load(output)) == len(LINES)
    assert metadata.read_bytes().count(b"\n") == len(LINES)
    assert len([*tmp_path.iterdir()]) == 3
    assert again() == 1  # from now on they exist


def test_gzip_is_unpacked(
    models: dict[str, Path], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, packed = tmp_path / "plain.npy", tmp_path / "lines.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    assert run(models, source, plain) == run(models, packed, tmp_path / "file.npy") == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(packed.read_bytes())))
    assert run(models, Path("-"), tmp_path / "stdin.npy") == 0
    for name in ("file.npy", "stdin.npy"):
        assert (tmp_path / name).read_bytes() == plain.read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"a\nb\n" * 99, mtime=0)[:-9], "cannot be unpacked"),
        (gzip.compress(b"a\nb\n", mtime=0)[:-8] + b"12345678", "cannot be unpacked"),
        (b"\x1f\x8bnothing", "cannot be unpacked"),
        (bz2.compress(b"a"), "is packed (bzip2); unpack it"),
        (lzma.compress(b"a"), "is packed (xz); unpack it"),
    ],
    ids=["cut", "wrong sum", "no gzip", "bzip2", "xz"],
)
def test_what_cannot_be_unpacked_is_said(
    models: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    words: str,
) -> None:
    (tmp_path / "lines").write_bytes(content)
    assert run(models, tmp_path / "lines", tmp_path / "x.npy") == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x.npy").exists()


def test_a_link_to_itself_is_replaced(
    models: dict[str, Path], source: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.npy").symlink_to(tmp_path / "x.npy")
    assert run(models, source, tmp_path / "x.npy") == 0
    assert len(np.load(tmp_path / "x.npy")) == len(LINES)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"output": "x.csv"}, ".npy or .tsv"),
        ({"input": "nothing.txt"}, "no such file"),
        ({"model": "nothing"}, "not a text embedding"),
        ({"batch_size": "0"}, "batch_size must be 1 or more"),
        ({"metadata": "x.npy"}, "a file of its own"),
        ({"metadata": "none/../x.npy"}, "a file of its own"),
        ({"metadata": "lines.txt"}, "is the input"),
        ({"output": "none/x.npy"}, "no such folder"),
        ({"column": "abstract"}, "column: plain lines have none"),
        ({"output": "x.tsv", "dtype": "float16"}, "dtype: float16 is for .npy"),
    ],
)
def test_arguments_that_lead_nowhere(
    models: dict[str, Path],
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = {"model": str(models["mean"]), "input": str(source), "output": "x.npy", **changed}
    assert embed_cli.main([f"--{name}={value}" for name, value in arguments.items()]) == 1
    assert words in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["lines.txt"]


@pytest.mark.parametrize("part", ["encoder", "preprocessor"])
def test_other_parts_of_an_export_are_refused(
    tiny_export: hub_export.Export,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    part: str,
) -> None:
    assert run(tiny_export.paths, source, tmp_path / "x.npy", model=part) == 1
    assert "not a text embedding" in capsys.readouterr().err


def test_two_processes_do_not_write_one_file(
    models: dict[str, Path], source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hub_export.use.corpora.vector_files import Npy

    other = Npy(tmp_path / "x.npy", 24, "float32")
    other.open(None)
    assert run(models, source, tmp_path / "x.npy") == 1
    assert "another process is writing it" in capsys.readouterr().err
    other.file.close()
