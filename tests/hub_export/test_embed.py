"""The command hub_embed: order, memory, stops."""

import bz2
import errno
import functools
import gzip
import io
import json
import lzma
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import tensorflow as tf

import hub_export
from hub_export.errors import ExportError, TargetError
from hub_export.use import embed_cli
from hub_export.use.corpora import parquet_rows, records, text_job, vector_files
from hub_export.use.corpora.pace import Pace
from hub_export.use.corpora.processes import ProcessEmbedder, embedder
from hub_export.use.corpora.text_rows import Row

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


def embedded(model: Path, texts: Sequence[str | bytes]) -> Any:
    """By themselves, each distinct one once."""
    loaded = tf.saved_model.load(str(model))
    vectors = {text: loaded(tf.constant([text]))[0] for text in dict.fromkeys(texts)}
    return np.stack([vectors[text] for text in texts])


def wanted(model: Path) -> Any:
    return embedded(model, LINES)


def test_vectors_stand_in_the_order_of_their_lines(
    models: dict[str, Path], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "WINDOW_LINES", 64)
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
    exact = embedded(models["mean"], texts)
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


def stopped(again: Callable[[], int]) -> None:
    """Runs a command that fails behind its first window."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(1, patch)
        assert again() == 1


def stop_after(windows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the run fail where it would embed one window more, its output half written."""
    monkeypatch.setattr(records, "WINDOW_LINES", 50)
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
    assert [row.texts for row in embedded] == [(line,) for line in LINES[100:]]
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
    stopped(lambda: run(models, source, output))
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
    stopped(again)
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
    lines = [b"a b c %d\n" % at for at in range(9000)]
    source.write_bytes(b"".join(lines))
    command = [sys.executable, "-m", "hub_export.use.embed_cli", f"--model={models['mean']}"]
    command += [f"--output={output}", "--quiet"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"".join(lines[:8300]))  # then it waits for more
    process.stdin.flush()
    state, deadline = tmp_path / "x.npy.state", time.monotonic() + 240
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not output.exists()
    assert 0 < json.loads(state.read_text())["rows"] < 9000
    assert run(models, source, output) == 0
    found = np.load(output)
    assert found.shape == (9000, 24)
    for at in (0, 8191, 8192, 8999):
        [vector] = embedded(models["mean"], [f"a b c {at}"])
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
        ({"output": "x.csv"}, "expected a name that ends in .npy, .parquet, .tsv, .jsonl"),
        ({"input": "nothing.txt"}, "no such file"),
        ({"input": ".."}, "expected a file, found a folder"),
        ({"model": "nothing"}, "not a text embedding"),
        ({"batch_size": "0"}, "batch_size must be 1 or more"),
        ({"metadata": "x.npy"}, "a file of its own"),
        ({"metadata": "none/../x.npy"}, "a file of its own"),
        ({"metadata": "lines.txt"}, "is the input"),
        ({"output": "none/x.npy"}, "no such folder"),
        ({"keep": "id"}, "keep: is for .parquet and .jsonl"),
        ({"output": "x.jsonl", "keep": "scale"}, "keep: scale: is a column of the output"),
        ({"input": "-", "format": "parquet"}, "Parquet is read from a file"),
        ({"output": "x.npy.zst"}, "expected a name that ends in"),
        ({"column": "abstract"}, "column: plain lines have none"),
        ({"output": "x.tsv", "dtype": "float16"}, "dtype: float16 is for .npy and .parquet"),
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
    said = capsys.readouterr().err
    assert "not a text embedding" in said
    assert "its serving_default is not text -> default" in said


def test_two_processes_do_not_write_one_file(
    models: dict[str, Path], source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hub_export.use.corpora.vector_files import Npy

    other = Npy(tmp_path / "x.npy", 24, "float32")
    other.open(None)
    assert run(models, source, tmp_path / "x.npy") == 1
    assert "another process is writing it" in capsys.readouterr().err
    other.file.close()


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    """Texts in Parquet, in several groups of rows, beside columns of other types."""
    path = tmp_path / "articles.parquet"
    table = pyarrow.table(
        {
            "id": range(len(TEXTS)),
            "abstract": pyarrow.array(TEXTS).dictionary_encode(),
            "year": [None, 2000] * (len(TEXTS) // 2) + [None] * (len(TEXTS) % 2),
        }
    )
    pyarrow.parquet.write_table(table, path, row_group_size=40)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_parquet_is_read_and_written(
    models: dict[str, Path], articles: Path, tmp_path: Path, dtype: str
) -> None:
    output = tmp_path / "vectors.parquet"
    flags = ["--column=abstract", "--keep=id,abstract,year", f"--dtype={dtype}"]
    with pytest.MonkeyPatch.context() as patch:
        stop_after(2, patch)
        assert run(models, articles, output, *flags) == 1
        patch.undo()
        patch.setattr(records, "WINDOW_LINES", 50)
        assert run(models, articles, output, *flags) == 0
    found, source = pyarrow.parquet.read_table(output), pyarrow.parquet.read_table(articles)
    for name in ("id", "year"):
        assert found[name].equals(source[name])
    assert found["abstract"].to_pylist() == TEXTS
    vectors = np.stack(found["vector"].to_numpy())
    assert vectors.dtype == dtype
    if dtype == "int8":
        vectors = vectors * found["scale"].to_numpy()[:, None]
    exact = embedded(models["mean"], TEXTS)
    off = {"float32": 1e-5, "float16": 2**-9, "int8": 0.51 / 127}[dtype] * np.abs(exact).max()
    np.testing.assert_allclose(vectors, exact, rtol=0, atol=off)
    assert sorted(path.name for path in tmp_path.iterdir()) == [articles.name, output.name]


def test_what_a_run_to_parquet_left_may_be_damaged(
    models: dict[str, Path], articles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, flags = tmp_path / "x.parquet", ["--column=abstract"]
    stopped(lambda: run(models, articles, output, *flags))
    part = tmp_path / "x.parquet.part"
    part.write_bytes(b"\xff" * part.stat().st_size)
    assert run(models, articles, output, *flags) == 1
    assert "x.parquet.part: damaged" in capsys.readouterr().err


def test_a_parquet_file_that_has_changed_is_not_taken_up(
    models: dict[str, Path], articles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, flags = tmp_path / "x.npy", ["--column=abstract"]
    stopped(lambda: run(models, articles, output, *flags))
    table = pyarrow.parquet.read_table(articles)
    reverse = table.take([*range(len(table) - 1, -1, -1)])
    pyarrow.parquet.write_table(reverse, articles)
    assert run(models, articles, output, *flags) == 1
    assert "first 50 rows are not those that have been embedded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("none", "articles.parquet: expected none; found id, abstract, year"),
        ("year", "articles.parquet: row 1: year: expected a string, found null"),
    ],
)
def test_a_parquet_file_without_the_texts(
    models: dict[str, Path],
    articles: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    column: str,
    words: str,
) -> None:
    assert run(models, articles, tmp_path / "x.npy", f"--column={column}") == 1
    assert words in capsys.readouterr().err


def test_columns_of_one_name(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is not asked for does no harm."""
    columns = [pyarrow.array([text]) for text in "abc"]
    table = pyarrow.Table.from_arrays(columns, names=["text", "text", "title"])
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    source, output = tmp_path / "x.parquet", tmp_path / "y.parquet"
    assert run(models, source, output) == 1
    assert "x.parquet: several columns are called text" in capsys.readouterr().err
    assert run(models, source, output, "--column=title", "--keep=text") == 1
    assert run(models, source, output, "--column=title", "--keep=title") == 0
    assert pyarrow.parquet.read_table(output)["title"].to_pylist() == ["c"]


@pytest.mark.parametrize("content", [b"a\nb\n", b"PAR1" * 4])
def test_what_is_no_parquet_is_said(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    assert run(models, tmp_path / "x.parquet", tmp_path / "x.npy") == 1
    assert "x.parquet: cannot be read as Parquet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("first", "second"),
    [(1, "b"), (1, 0.75), (True, 1), ({"a": 1}, {"a": 1, "b": 2}), ([1], [2, 0.5])],
)
@pytest.mark.parametrize("window", [1, 2])
def test_what_is_kept_has_one_type(
    models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: object,
    second: object,
    window: int,
) -> None:
    """Where it has not, nothing is cut off: it is whole, or the run ends with the row."""
    monkeypatch.setattr(records, "WINDOW_LINES", window)
    source, output = tmp_path / "rows.jsonl", tmp_path / "x.parquet"
    rows = [{"id": each, "text": "a"} for each in (first, second)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if run(models, source, output, "--keep=id") == 1:
        assert "row 2: id: expected values of one type" in capsys.readouterr().err
        return
    assert window == 2
    found = pyarrow.parquet.read_table(output)["id"].to_pylist()
    whole = {"b": None, **first} if isinstance(first, dict) else first
    assert found == [whole, second]


def test_nulls_tell_no_type(models: dict[str, Path], tmp_path: Path) -> None:
    """Columns that are null, or lists of nothing, at first, in a run that is taken up."""
    source, output = tmp_path / "rows.jsonl", tmp_path / "x.parquet"
    kept = [{"id": None, "tags": []}] * 120 + [{"id": 7, "tags": ["a"]}] * 60
    lines = [json.dumps({"text": "a", "none": None, **each}) + "\n" for each in kept]
    source.write_text("".join(lines))
    flags = ["--keep=id,tags,none"]
    with pytest.MonkeyPatch.context() as patch:
        stop_after(2, patch)
        assert run(models, source, output, *flags) == 1
        patch.undo()
        patch.setattr(records, "WINDOW_LINES", 50)
        assert run(models, source, output, *flags) == 0
    found = pyarrow.parquet.read_table(output)
    assert found.select(["id", "tags"]).to_pylist() == kept
    assert found["id"].type == pyarrow.int64()
    assert found["none"].to_pylist() == [None] * 180


def test_columns_of_parquet_stay_what_they_are(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their types are those of the file; bytes that are no text stay bytes, or are refused."""
    columns = {
        "text": pyarrow.array(["a"] * 4),
        "year": pyarrow.array([None, None, 3, None], pyarrow.int16()),
        "hash": pyarrow.array([b"\xff\0", None, b"a", b""]),
        "pairs": pyarrow.array([[("a", 1)]] * 4, pyarrow.map_(pyarrow.string(), pyarrow.int8())),
        "weight": pyarrow.array([float("nan"), 0.1, None, 1], pyarrow.float32()),
    }
    source, table = tmp_path / "in.parquet", pyarrow.table(columns)
    pyarrow.parquet.write_table(table, source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "WINDOW_LINES", 2)
        output, flag = tmp_path / "x.parquet", f"--keep={','.join(columns)}"
        assert run(models, source, output, flag) == 0
    found = pyarrow.parquet.read_table(output)
    for name, column in columns.items():
        assert found[name].type.equals(column.type)
        assert repr(found[name].to_pylist()) == repr(column.to_pylist())
    lines = tmp_path / "x.jsonl"
    assert run(models, source, lines, "--keep=hash") == 1
    assert "hash: holds bytes that are no text" in capsys.readouterr().err
    assert run(models, source, lines, "--keep=pairs,weight", "--restart") == 0
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["pairs"] for row in rows] == [[["a", 1]]] * 4
    assert [row["weight"] is None for row in rows] == [True, False, True, False]


def test_a_value_that_python_does_not_have(
    models: dict[str, Path],
    articles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Such as a time to the nanosecond, without pandas."""

    def refuse(batch: Any) -> Any:
        raise ValueError("Nanosecond timestamp 1 is not safely convertible")

    monkeypatch.setattr(parquet_rows, "_with_bytes", refuse)
    assert run(models, articles, tmp_path / "x.npy", "--column=abstract") == 1
    said = capsys.readouterr().err
    assert "articles.parquet: rows from 1 on: a value that Python does not have (Nanosecond" in said


def test_an_output_is_locked_until_it_has_its_name(
    models: dict[str, Path], articles: Path, tmp_path: Path
) -> None:
    """What goes wrong before that leaves what was embedded, and nothing else."""
    output, flags = tmp_path / "x.parquet", ["--column=abstract", "--keep=id"]
    write = vector_files.Parquet._write

    def full(self: Any, complete: Path) -> None:
        write(self, complete)
        with pytest.raises(TargetError, match="another process is writing it"):
            vector_files.Npy(output, 24, "float32").open(None)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_files.Parquet, "_write", full)
        assert run(models, articles, output, *flags) == 1
    left = [articles.name, "x.parquet.part", "x.parquet.state"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    assert run(models, articles, output, *flags) == 0
    assert pyarrow.parquet.read_table(output)["id"].to_pylist() == [*range(len(TEXTS))]
    assert sorted(path.name for path in tmp_path.iterdir()) == [articles.name, output.name]


@pytest.mark.parametrize("suffix", ["", ".GZ", ".zst"])
def test_lines_are_written_with_what_is_kept(
    models: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    source, output = columns(tmp_path / "rows.jsonl"), tmp_path / f"x.jsonl{suffix}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "WINDOW_LINES", 64)
        assert run(models, source, output, "--column=abstract", "--keep=id") == 0
    packed = {"": None, ".GZ": "gzip", ".zst": "zstd"}[suffix]
    with pyarrow.input_stream(str(output), packed) as stream:
        rows = [json.loads(line) for line in stream.read().splitlines()]
    assert [row["id"] for row in rows] == [str(n) for n in range(len(TEXTS))]
    exact = embedded(models["mean"], TEXTS)
    np.testing.assert_allclose([row["vector"] for row in rows], exact, atol=1e-5)


def test_int8_has_a_scale_a_row(models: dict[str, Path], source: Path, tmp_path: Path) -> None:
    assert run(models, source, tmp_path / "x.npy", "--dtype=int8") == 0
    rows, exact = np.load(tmp_path / "x.npy", mmap_mode="r"), wanted(models["mean"])
    assert rows["vector"].shape == exact.shape
    assert (np.abs(rows["vector"]).max(1) == 127).all()
    off = np.abs(rows["vector"] * rows["scale"][:, None] - exact)
    assert (off <= 0.5 * rows["scale"][:, None] + 1e-5).all()


def test_it_says_how_fast(
    models: dict[str, Path], source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"--model={models['mean']}", f"--input={source}", f"--output={tmp_path / 'x.npy'}"]
    assert embed_cli.main(arguments) == 0
    said = capsys.readouterr().err
    assert re.search(r"x\.npy: 210 vectors of 24; [\d,]+ texts/s, about [\d,]+ tokens/s\n", said)


def test_zstandard_is_unpacked(
    models: dict[str, Path],
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain, packed = tmp_path / "plain.npy", tmp_path / "lines.txt.zst"
    half = source.read_bytes()[:500], source.read_bytes()[500:]
    content = b"".join(pyarrow.compress(each, "zstd", asbytes=True) for each in half)
    packed.write_bytes(content)
    assert run(models, source, plain) == run(models, packed, tmp_path / "file.npy") == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run(models, Path("-"), tmp_path / "stdin.npy") == 0
    for name in ("file.npy", "stdin.npy"):
        assert (tmp_path / name).read_bytes() == plain.read_bytes()
    packed.write_bytes(content[:-20])
    assert run(models, packed, tmp_path / "cut.npy") == 1
    assert "lines.txt.zst: cannot be unpacked" in capsys.readouterr().err


def test_what_needs_pyarrow_says_so(
    models: dict[str, Path],
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run(models, source, tmp_path / "x.parquet") == 1
    assert "x.parquet needs pyarrow (pip install" in capsys.readouterr().err


def workers_of(process: int) -> list[int]:
    """Not what looks after shared resources."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    lines = {int(each): Path(f"/proc/{each}/cmdline").read_bytes() for each in children}
    return [each for each, line in lines.items() if b"spawn_main" in line]


def running(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_killed_command_takes_its_workers_along(models: dict[str, Path], tmp_path: Path) -> None:
    source, output, state = (tmp_path / each for each in ("x.txt", "x.npy", "x.npy.state"))
    source.write_bytes(b"".join(b"a b c %d\n" % at for at in range(17000)))
    command = [sys.executable, "-m", "hub_export.use.embed_cli", f"--model={models['mean']}"]
    command += [f"--output={output}", f"--input={source}", "--workers=2", "--threads=1", "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 240
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = workers_of(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    assert process.communicate()[1] == b""
    assert len(workers) == 2
    while any(running(each) for each in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(running(each) for each in workers)
    assert 0 < json.loads(state.read_text())["rows"] < 17000
    assert run(models, source, output) == 0
    found = np.load(output)
    for at in (0, 8191, 8192, 16999):
        [vector] = embedded(models["mean"], [f"a b c {at}"])
        np.testing.assert_allclose(found[at], vector, atol=1e-5)
    assert found.shape == (17000, 24)


@pytest.mark.parametrize(
    ("batch_size", "lines", "shares"),
    [(32, 8192, [256] * 32), (1024, 8192, [2048] * 4), (1024, 1500, [1024, 476]), (32, 0, [])],
)
def test_every_worker_has_a_share(batch_size: int, lines: int, shares: list[int]) -> None:
    executor = mock.Mock()
    executor.submit().result.return_value = (24, "")
    model = ProcessEmbedder((Path("model"), batch_size, 1), executor, 4)
    assert [len(share) for share in model._shares([b"a"] * lines)] == shares


def test_a_sample_alone_is_counted() -> None:
    """All lines of a window would be sent to a worker for nothing."""
    model, asked = mock.Mock(), list[int]()
    model.tokens = lambda lines: asked.append(len(lines)) or 3 * len(lines)
    pace = Pace(model)
    pace.advance = mock.Mock()
    pace([Row((b"a b",), {})] * 1000, lambda _: None)
    assert asked[0] < 32
    assert pace._tokens == 3000


def test_a_killed_worker_is_said(models: dict[str, Path]) -> None:
    with embedder(models["mean"], 32, None, 2) as model:
        np.testing.assert_allclose(model(LINES, lambda _: None), wanted(models["mean"]), atol=1e-5)
        assert model.tokens([b"a b", b"c"]) == 7
        os.kill(workers_of(os.getpid())[0], signal.SIGKILL)
        with pytest.raises(ExportError, match="a worker process ended"):
            while True:
                model(LINES, lambda _: None)


def test_workers_say_what_is_wrong(
    models: dict[str, Path], source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"--model={tmp_path}", f"--input={source}", f"--output={tmp_path / 'x.npy'}"]
    assert embed_cli.main([*arguments, "--workers=2"]) == 1
    assert "not a text embedding" in capsys.readouterr().err
