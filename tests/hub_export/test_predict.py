"""The command hub_predict: any text model, any form of the input, stops."""

import datetime
import functools
import gzip
import io
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import tensorflow as tf

import hub_export
from hub_export.errors import ExportError
from hub_export.use import predict_cli
from hub_export.use.corpora import records, text_job
from hub_export.use.models.text_model import SavedTextModel
from tests.hub_export import test_text_classification as classification

LINES = [b"a bad cab", b"", b"d " * 60, "üben\ttab".encode(), b"\xff\xfe", b"e", b" b\x00c "] * 30
TEXT = tf.TensorSpec([None], tf.string)


class Words(tf.Module):
    """What is found in a text: its words. Beside them, what a text has one of."""

    @tf.function(input_signature=[TEXT])
    def serve(self, text: Any) -> Any:
        words = tf.strings.split(text)
        length = tf.cast(tf.strings.length(words.values), tf.float32)
        return {
            "word": words.values,
            "score": tf.stack([1.0 / length, tf.math.log(length - 1.0)], axis=1),
            "row_splits": words.row_splits,
            "count": words.row_lengths(),
        }


class Answers(tf.Module):
    """[B, k] of a question and a context; it refuses empty ones."""

    @tf.function(input_signature=[TEXT, TEXT])
    def serve(self, question: Any, context: Any) -> Any:
        tf.debugging.assert_greater(tf.strings.length(context), 0, "an empty context")
        return {
            "answer": tf.stack([question, context], axis=1),
            "start": tf.stack([tf.strings.length(question)] * 2, axis=1),
            "logits": tf.zeros([3]),
        }


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Name -> the folder of a model."""
    folder = tmp_path_factory.mktemp("models")
    for name, module in {"words": Words(), "answers": Answers()}.items():
        tf.saved_model.save(module, str(folder / name), {"serving_default": module.serve})
    source = classification.save(folder / "sst2")
    done = hub_export.export(source, folder / "out", verify="none")
    return {
        "classes": done.paths["text_classification"],
        "vectors": done.paths["text_embedding"],
        "encoder": done.paths["encoder"],
        "preprocessor": done.paths["preprocessor"],
        "words": folder / "words",
        "answers": folder / "answers",
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\n".join(LINES) + b"\n")
    return path


@pytest.fixture
def predict(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> Any:
    """A function that gives the answers on the standard output, or what was said instead."""

    def run(model: str, content: bytes, *flags: str) -> Any:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        code = predict_cli.main([f"--model={models[model]}", *flags])
        written = capfdbinary.readouterr()
        if code:
            assert b"Traceback" not in written.err
            return written.err.decode()
        return [json.loads(line) for line in written.out.splitlines()]

    return run


def to_file(model: Path, source: Path, output: Path, *flags: str) -> int:
    arguments = [f"--model={model}", f"--input={source}", f"--output={output}", "--quiet"]
    return predict_cli.main([*arguments, *flags])


def parsed(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_lines(models: dict[str, Path], source: Path, predict: Any) -> None:
    found = predict("classes", source.read_bytes(), "--keep=text", "--batch_size=7")
    assert [each["text"] for each in found] == [line.decode("utf-8", "replace") for line in LINES]
    model = tf.saved_model.load(str(models["classes"]))
    for row, line in zip(found[:7], LINES, strict=False):
        wanted = model(tf.constant([line]))
        assert list(row) == ["text", "label", "probabilities"]
        assert row["label"] == wanted["label"][0].numpy().decode()
        np.testing.assert_allclose(row["probabilities"], wanted["probabilities"][0], atol=1e-6)
    assert predict("classes", b"") == []
    assert len(predict("classes", b"a\r\n\nb")) == 3


def test_numbers_are_the_shortest_that_give_the_float32_back(
    models: dict[str, Path], predict: Any
) -> None:
    (found,) = predict("vectors", b"a b c\n")
    assert list(found) == ["default"]
    (vector,) = tf.saved_model.load(str(models["vectors"]))(tf.constant([b"a b c"])).numpy()
    assert found["default"] == [float(str(number)) for number in vector]
    np.testing.assert_array_equal(np.float32(found["default"]), vector)


def test_any_number_of_things_a_row(predict: Any) -> None:
    found = predict("words", "über a\n\nb cc\xff".encode() + b"\xff\n")
    assert [each["count"] for each in found] == [2, 0, 2]
    assert found[1]["found"] == []
    first, second = found[0]["found"]
    assert first == {"score": [0.2, pytest.approx(math.log(4))], "word": "über"}
    assert second == {"score": [1.0, None], "word": "a"}  # infinite
    assert found[2]["found"][1]["word"] == "ccÿ\ufffd"
    assert predict("words", b"a b", "--fields=word") == [{"found": [{"word": "a"}, {"word": "b"}]}]
    assert predict("words", b"a b", "--fields=count") == [{"count": 2}]
    # As many words as texts.
    assert [len(each["found"]) for each in predict("words", b"a\nb\n")] == [1, 1]


def test_several_answers_a_row(predict: Any) -> None:
    wanted = [{"answer": ["q", "c"], "start": [1, 1]}, {"answer": ["qq", "cc"], "start": [2, 2]}]
    table = b"context\tquestion\nc\tq\ncc\tqq\n"
    assert predict("answers", table, "--format=tsv") == wanted
    assert predict("answers", table, "--format=tsv", "--columns=context,question") == wanted
    table = b"id\tC\tQ\n1\tc\tq\n2\tcc\tqq\n"
    assert predict("answers", table, "--format=tsv", "--columns=Q,C") == wanted
    said = predict("answers", b"who?\n")
    assert "takes 1 text, found serving_default (question, context); say which columns" in said
    assert "an empty context" in predict("answers", b"context\tquestion\n\tq", "--format=tsv")
    said = predict("answers", table, "--format=tsv", "--columns=Q,C", "--fields=logits")
    assert "logits: expected 2 rows for 2 texts, found the shape [3]" in said


def rows_of(objects: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in objects)


def test_columns_choose_the_signature(predict: Any) -> None:
    pairs = [{"id": at, "text": "a b", "text_pair": pair} for at, pair in enumerate("cd")]
    table = b"id\ttext_pair\ttext\n0\tc\ta b\n1\td\ta b\n"
    wanted = predict("classes", rows_of(pairs), "--format=jsonl")
    assert predict("classes", table, "--format=tsv") == wanted
    assert predict("classes", b"\xef\xbb\xbf" + table, "--format=tsv") == wanted
    single = predict("classes", b"a b\na b\n")
    assert predict("classes", b"\xef\xbb\xbfa b\r\na b", "--keep=text") == [
        {"text": "a b", **each} for each in single
    ]
    # Places of one batch may round otherwise.
    np.testing.assert_allclose(*(each["probabilities"] for each in single), rtol=0, atol=1e-6)
    assert single[0]["label"] == single[1]["label"]
    assert single[1] != wanted[0] != wanted[1]
    for form, content in {"tsv": table, "jsonl": rows_of(pairs)}.items():
        ask = functools.partial(predict, "classes", content, f"--format={form}")
        assert ask("--columns=text") == ask("--signature=serving_default") == single
        assert ask("--columns=text,text_pair") == ask("--columns=text_pair,text") == wanted
        assert ask("--signature=serving_pair") == wanted
        assert ask("--columns=text_pair,id") != wanted or form == "jsonl"
        kept = ask("--keep=id,text", "--fields=label,logits")
        assert [list(each) for each in kept] == [["id", "text", "label", "logits"]] * 2
        assert [int(each["id"]) for each in kept] == [0, 1]
    assert predict("classes", b"", "--format=jsonl") == []
    assert predict("classes", b"text\n", "--format=tsv") == []
    assert len(predict("preprocessor", b"a b\n", "--fields=input_mask")[0]["input_mask"]) == 40
    tokens = predict("preprocessor", b"a b\n", "--signature=tokenize")
    assert [[*each] for each in tokens[0]["found"]] == [["ids"]] * 2


def test_what_json_can_hold(predict: Any) -> None:
    lone = [{"text": "a \ud800b", "n": {"x": [1, None, "\udfff"]}}]
    ask = functools.partial(predict, "words", rows_of(lone), "--format=jsonl", "--keep=n,text")
    (found,) = ask()
    assert found["text"] == "a \ufffdb"
    assert found["n"] == {"x": [1, None, "\ufffd"]}
    assert found["found"][1]["word"] == "\ufffdb"


@pytest.mark.parametrize(
    ("form", "content", "words"),
    [
        ("tsv", b"", "line 1: expected names of columns"),
        ("tsv", b"text\t\n", "line 1: expected names of columns"),
        ("tsv", b"text\ttext\na\tb", "line 1: several columns are called text"),
        ("tsv", b"text\tb\na\tb\nc\nd", "-: line 3: expected 2 columns (text, b), found 1"),
        ("tsv", b"text\tb\na\tb\tc", "-: line 2: expected 2 columns (text, b), found 3"),
        ("tsv", b"sentence\na", "some of the columns sentence, found serving_default (text)"),
        ("jsonl", b'{"text": "a"}\n{"text": ', "line 2: expected an object in JSON"),
        ("jsonl", b'{"text": "a"}\n["a"]\n', 'line 2: expected an object in JSON, found ["a"]'),
        ("jsonl", b'{"text": "a"}\n\n', "line 2: expected an object in JSON, found an empty line"),
        ("jsonl", b'{"text": "a"}\n{"text": 5}', "line 2: text: expected a string, found 5"),
        ("jsonl", b'{"text": "a"}\n{"b": null}', "line 2: expected text; found b"),
        ("jsonl", b'{"text": "a", "n": NaN}', "line 1: expected an object in JSON"),
        ("jsonl", b"[" * 100_000, "line 1: expected an object in JSON"),
        ("jsonl", b'{"a": "b"}', "some of the columns a, found"),
    ],
)
def test_bad_rows_are_named(predict: Any, form: str, content: bytes, words: str) -> None:
    assert words in predict("classes", content, f"--format={form}")


@pytest.mark.parametrize(
    ("model", "flags", "words"),
    [
        ("classes", ["--columns=text"], "plain lines have none; say --format=tsv"),
        ("classes", ["--signature=x"], "expected the signature x, found serving_default (text);"),
        ("classes", ["--signature=serving_pair"], "expected 2, for text, text_pair; found text"),
        ("classes", ["--fields=score"], "expected some of label, logits, probabilities, found"),
        ("classes", ["--keep=id"], "-: line 1: expected id; found text"),
        ("classes", ["--format=tsv", "--columns=a,b,c"], "takes 3 texts, found"),
        ("classes", ["--format=csv"], "format must be one of auto, text, tsv, jsonl"),
        ("classes", ["--input=none.txt"], "none.txt: no such file"),
        ("classes", ["--output=x.txt"], "expected a name that ends in .jsonl"),
        ("classes", ["--output=none/x.jsonl"], "no such folder"),
        ("classes", ["--batch_size=0"], "batch_size must be 1 or more"),
        ("encoder", [], "found none that takes texts"),
    ],
)
def test_arguments_that_lead_nowhere(
    predict: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    flags: Sequence[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in predict(model, b"a\n", *flags)
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_must_not_be_an_output(predict: Any) -> None:
    ask = functools.partial(
        predict, "classes", b"text\tlabel\na\tno\n", "--format=tsv", "--keep=label"
    )
    assert "keep: label: is what an output is called, too" in ask()
    assert ask("--fields=logits")[0]["label"] == "no"


def test_names_say_the_form(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = functools.partial(to_file, models["words"])
    contents = {"a.tsv": b"text\nb c\n", "a.ndjson": b'{"text": "b c"}', "a.v2": b"b c"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        plain, packed = tmp_path / f"{name}.jsonl", tmp_path / f"{name}.gz.jsonl"
        assert ask(tmp_path / name, plain) == ask(tmp_path / f"{name}.gz", packed) == 0
        assert plain.read_bytes() == packed.read_bytes()
        assert [each["word"] for each in parsed(plain)[0]["found"]] == ["b", "c"]
    (tmp_path / "a.csv").write_bytes(b"text\nb c\n")
    assert ask(tmp_path / "a.csv", tmp_path / "x.jsonl") == 1
    assert "found .csv; make one of them of it" in capsys.readouterr().err
    assert ask(tmp_path / "a.csv", tmp_path / "x.jsonl", "--format=tsv") == 0
    assert ask(tmp_path / "none.jsonl", tmp_path / "x.jsonl") == 1
    assert ask(tmp_path / "a.tsv.jsonl", tmp_path / "a.tsv.jsonl") == 1
    assert "is the input" in capsys.readouterr().err
    assert to_file(tmp_path, tmp_path / "a.v2", tmp_path / "y.jsonl") == 1
    said = capsys.readouterr().err
    assert "not a text model that hub_export wrote" in said
    assert "expected <output_dir>/<name>_<task>/<version>" in said


TABLE = b"id\ttext\n" + b"".join(b"%d\ta b c %d\n" % (at, at) for at in range(10_000))


@pytest.mark.usefixtures("optimized")  # as the process is that is killed
def test_a_killed_process_is_taken_up(models: dict[str, Path], tmp_path: Path) -> None:
    source, output, whole = (tmp_path / name for name in ("a.tsv", "x.jsonl", "whole.jsonl"))
    source.write_bytes(TABLE)
    command = [sys.executable, "-m", "hub_export.use.predict_cli", f"--model={models['classes']}"]
    command += ["--format=tsv", "--keep=id", "--quiet"]
    process = subprocess.Popen([*command, f"--output={output}"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(TABLE[:150_000])  # then it waits for more
    process.stdin.flush()
    state, deadline = tmp_path / "x.jsonl.state", time.monotonic() + 240
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not output.exists()
    assert 0 < json.loads(state.read_text())["rows"] < 10_000
    assert to_file(models["classes"], source, output, "--keep=id", "--format=tsv") == 0
    assert to_file(models["classes"], source, whole, "--keep=id") == 0
    assert output.read_bytes() == whole.read_bytes()
    assert [int(each["id"]) for each in parsed(output)] == [*range(10_000)]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.tsv", "whole.jsonl", "x.jsonl"]


def test_a_line_is_put_right_and_the_run_goes_on(
    models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(records, "WINDOW_LINES", 50)
    source, output, whole = (tmp_path / name for name in ("a.jsonl", "x.jsonl", "whole.jsonl"))
    lines = rows_of([{"text": f"a {at}"} for at in range(240)]).splitlines(keepends=True)
    source.write_bytes(b"".join([*lines[:170], b'{"text"}\n', *lines[171:]]))
    ask = functools.partial(to_file, models["words"])
    assert ask(source, output) == 1
    assert f"{source}: line 171: expected an object" in capsys.readouterr().err
    assert json.loads((tmp_path / "x.jsonl.state").read_text())["rows"] == 150
    answered: list[Any] = []
    right = text_job.TextJob._append
    monkeypatch.setattr(
        text_job.TextJob,
        "_append",
        lambda self, window, advance: answered.extend(window) or right(self, window, advance),
    )
    source.write_bytes(b"".join(lines))
    assert ask(source, output) == 0
    assert len(answered) == 90
    assert ask(source, whole) == 0
    assert output.read_bytes() == whole.read_bytes()


def test_a_run_is_not_taken_up_otherwise(
    models: dict[str, Path],
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(records, "WINDOW_LINES", 50)
    output, content = tmp_path / "x.jsonl", source.read_bytes()
    right = text_job.TextJob._append

    def stops(self: Any, window: Any, advance: Any) -> None:
        if self._files[0].file.tell():
            raise KeyboardInterrupt
        right(self, window, advance)

    with monkeypatch.context() as patch:
        patch.setattr(text_job.TextJob, "_append", stops)
        assert to_file(models["words"], source, output) == 1
    assert "interrupted; with --output, run it again" in capsys.readouterr().err
    ask = functools.partial(to_file, models["words"], source, output)
    assert to_file(models["vectors"], source, output) == 1
    assert "begun with another model" in capsys.readouterr().err
    assert ask("--fields=word") == 1
    assert "begun with other options (" in capsys.readouterr().err
    source.write_bytes(b"b" + content[1:])
    assert ask() == 1
    assert "are not those that have been answered" in capsys.readouterr().err
    assert ask("--restart", "--fields=word") == 0
    assert ask() == 1
    assert "--overwrite" in capsys.readouterr().err
    assert ask("--overwrite") == 0
    assert len(parsed(output)) == len(LINES)


def test_a_reader_may_stop_reading(models: dict[str, Path]) -> None:
    command = f"{sys.executable} -m hub_export.use.predict_cli --model={models['words']} | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        input=b"a b c d e f g\n" * 20_000,
        capture_output=True,
        check=True,
    )
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


def test_a_model_can_be_sent_to_another_process(models: dict[str, Path]) -> None:
    model = SavedTextModel(models["words"])
    sent = pickle.loads(pickle.dumps(model))
    assert str(sent) == str(model)
    assert sent.fingerprint == model.fingerprint
    ((rows, outputs),) = sent("serving_default", {"text": [b"c d", b"a"]}, 8)
    assert rows.tolist() == [1, 0]
    assert outputs["word"].tolist() == [b"a", b"c", b"d"]
    nothing = SavedTextModel(models["words"] / "none")
    with pytest.raises(ExportError, match="not a text model"):
        _ = nothing.signatures


def test_help_shows_the_forms() -> None:
    done = predict_cli.main.help()
    for words in ("echo", ".tsv", '{"found": [', "--columns", "--keep", "serving_pair"):
        assert words in done


def test_parquet_is_answered(models: dict[str, Path], tmp_path: Path) -> None:
    source, output = tmp_path / "rows.parquet", tmp_path / "answers.jsonl"
    ids = [datetime.date(2000, 1, day) for day in (1, 2, 3)]
    pyarrow.parquet.write_table(pyarrow.table({"day": ids, "text": ["a", "b c", ""]}), source)
    assert to_file(models["classes"], source, output, "--keep=day") == 0
    rows = parsed(output)
    assert [row["day"] for row in rows] == ["2000-01-01", "2000-01-02", "2000-01-03"]
    assert all(abs(sum(row["probabilities"]) - 1) < 1e-5 for row in rows)
