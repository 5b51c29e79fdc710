"""Apache Beam: the export in its transforms, and the pipeline of hub_embed."""
# ruff: noqa: E402 (where it is not installed, nothing else is imported)

import gzip
import json
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hub_export
from hub_export.errors import ExportError
from hub_export.use import TextModel, embed_cli

beam: Any = pytest.importorskip("apache_beam", reason="apache-beam is not installed: '.[beam]'")

import pyarrow
import pyarrow.parquet
from apache_beam.ml.inference.base import RunInference
from apache_beam.ml.transforms.base import MLTransform
from apache_beam.ml.transforms.embeddings.tensorflow_hub import TensorflowHubTextEmbeddings

from hub_export.use.engines.beam import TextEmbeddings, TextModelHandler

TEXTS = ["a bad cab", "", "d " * 40, "üb", "c a b"]


@pytest.fixture(scope="module")
def model(calm_export: hub_export.Export) -> Path:
    return calm_export.paths["text_embedding"]


def vectors(model: Path, texts: Sequence[str | bytes]) -> dict[Any, Any]:
    found = TextModel(model)(texts)["default"]
    return dict(zip(texts, found, strict=True))


class Gathered(list[Any]):
    """What a pipeline that runs in this process gives."""

    all: dict[str, list[Any]] = {}  # noqa: RUF012 (the pipeline pickles all but this)


def gather(collection: Any, name: str) -> None:
    Gathered.all[name] = []
    collection | f"Gather{name}" >> beam.Map(lambda each: Gathered.all[name].append(each))


def in_process() -> Any:
    return beam.Pipeline("FnApiRunner")


def test_run_inference_gives_vectors(model: Path) -> None:
    with in_process() as pipeline:
        gather(pipeline | beam.Create(TEXTS) | RunInference(TextModelHandler(model)), "found")
    assert sorted(each.example for each in Gathered.all["found"]) == sorted(TEXTS)
    right = vectors(model, TEXTS)
    for each in Gathered.all["found"]:
        np.testing.assert_allclose(each.inference, right[each.example], atol=1e-5)
    counted = pipeline.result.metrics().query(
        beam.metrics.MetricsFilter().with_namespace("hub_export")
    )
    counters = {each.key.metric.name: each.result for each in counted["counters"]}
    assert counters["num_inferences"] == len(TEXTS)


def test_the_handler_is_small_and_refuses_arguments(model: Path) -> None:
    handler = pickle.loads(pickle.dumps(TextModelHandler(model)))
    assert handler.get_num_bytes(["a", ("b", "cd")]) == 4
    with pytest.raises(ExportError, match="inference_args: expected none, found top_k"):
        handler.validate_inference_args({"top_k": 1})
    handler.load_model()
    assert len(pickle.dumps(handler)) < 2000


def test_the_handler_asks_models_of_tasks(tmp_path: Path) -> None:
    class Words(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, text: Any) -> Any:
            words = tf.strings.split(text)
            return {"word": words.values, "row_splits": words.row_splits}

    module = Words()
    tf.saved_model.save(module, str(tmp_path), {"serving_default": module.serve})
    handler = TextModelHandler(tmp_path)
    found = [*handler.run_inference(["a b", "", "c"], handler.load_model())]
    words = [[each["word"] for each in result.inference["found"]] for result in found]
    assert words == [["a", "b"], [], ["c"]]


def test_ml_transform_embeds_columns(model: Path, tmp_path: Path) -> None:
    rows = [{"id": n, "text": text} for n, text in enumerate(TEXTS)]
    embeddings = TextEmbeddings(model, columns=["text"])
    transform = MLTransform(write_artifact_location=str(tmp_path)).with_transform(embeddings)
    with in_process() as pipeline:
        gather(pipeline | beam.Create(rows) | transform, "found")
    found = {each["id"]: each["text"] for each in Gathered.all["found"]}
    right = vectors(model, TEXTS)
    assert len(found) == len(TEXTS)
    for row in rows:
        np.testing.assert_allclose(found[row["id"]], right[row["text"]], atol=1e-5)


def test_beams_own_embeddings_take_the_pair(calm_export: hub_export.Export, tmp_path: Path) -> None:
    encoder, preprocessor = (calm_export.paths[part] for part in ("encoder", "preprocessor"))
    embeddings = TensorflowHubTextEmbeddings(
        columns=["text"], hub_url=str(encoder), preprocessing_url=str(preprocessor)
    )
    transform = MLTransform(write_artifact_location=str(tmp_path)).with_transform(embeddings)
    rows = [{"text": text} for text in TEXTS[:3]]
    with in_process() as pipeline:
        gather(pipeline | beam.Create(rows) | transform, "found")
    loaded, prepare = (tf.saved_model.load(str(each)) for each in (encoder, preprocessor))
    right = loaded(prepare(tf.constant(TEXTS[:3])))["pooled_output"].numpy()
    found = np.array([each["text"] for each in Gathered.all["found"]])
    by_first = [each[np.argsort(each[:, 0])] for each in (found, right)]
    np.testing.assert_allclose(*by_first, atol=1e-5)


def embed(model: Path, source: str, output: Path, *more: str) -> int:
    flags = [f"--model={model}", f"--input={source}", f"--output={output}", "--quiet"]
    return embed_cli.main(["--runner=FnApiRunner", *flags, *more])


def tables(folder: Path, pattern: str = "x-*.parquet") -> Any:
    parts = [pyarrow.parquet.read_table(path) for path in sorted(folder.glob(pattern))]
    return pyarrow.concat_tables(parts)


def test_lines_of_json_with_bad_ones(model: Path, tmp_path: Path) -> None:
    """All of the good ones are written once, with their ids, and each bad one with the reason."""
    texts = [TEXTS[n % 5] + " b" * (n % 7) for n in range(300)]
    lines = [json.dumps({"id": n, "text": text}) for n, text in enumerate(texts)]
    bad = ["nothing", '{"id": 7}', '{"id": "seven", "text": "a"}', '{"id": 7, "text": null}']
    content = "\n".join([*lines[:100], *bad, *lines[100:200], ""]).encode()
    (tmp_path / "in-0.jsonl").write_bytes(content)
    (tmp_path / "in-1.jsonl.gz").write_bytes(gzip.compress("\n".join(lines[200:]).encode()))
    source, output = str(tmp_path / "in-*"), tmp_path / "x.parquet"
    assert embed(model, source, output, "--format=jsonl", "--keep=id") == 0
    found = tables(tmp_path)
    assert sorted(found["id"].to_pylist()) == [*range(300)]
    right = vectors(model, texts)
    for row in found.to_pylist():
        np.testing.assert_allclose(row["vector"], right[texts[row["id"]]], atol=1e-5)
    [file] = tmp_path.glob("x.bad-*.jsonl")
    said = {row["record"]: row["reason"] for row in map(json.loads, file.open())}
    assert said.keys() == {*bad}
    assert said['{"id": 7}'] == "expected text; found id"
    assert said['{"id": 7, "text": null}'] == "text: expected a string, found null"


def test_parquet_to_records_and_back(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In two processes, as int8; then what was written is what is read, as float32."""
    table = pyarrow.table({"id": range(200), "abstract": TEXTS * 40, "other": [0.5] * 200})
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    output, flags = tmp_path / "x.tfrecord", ["--column=abstract", "--keep=id,abstract"]
    local = ["--", "--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    source = str(tmp_path / "in.parquet")
    assert embed(model, source, output, *flags, "--dtype=int8", *local) == 0
    right = vectors(model, TEXTS)
    ids = []
    for record in tf.data.TFRecordDataset([str(each) for each in tmp_path.glob("x-*.tfrecord")]):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        [number] = feature["id"].int64_list.value
        [scale] = feature["scale"].float_list.value
        [vector] = feature["vector"].bytes_list.value
        exact = right[TEXTS[number % 5]]
        off = np.abs(np.frombuffer(vector, np.int8) * scale - exact)
        assert off.max() <= 0.51 * scale
        ids.append(number)
    assert sorted(ids) == [*range(200)]
    back = str(tmp_path / "x-*.tfrecord")
    assert embed(model, back, tmp_path / "y.parquet", *flags, "--dtype=float32") == 0
    found = tables(tmp_path, "y-*.parquet")
    assert sorted(found["id"].to_pylist()) == [*range(200)]
    for row in found.slice(0, 20).to_pylist():
        np.testing.assert_allclose(row["vector"], right[row["abstract"]], atol=1e-5)
    assert embed(model, back, tmp_path / "y.parquet", *flags) == 1
    assert "exists; choose another name, or replace it with --overwrite" in capsys.readouterr().err


def test_overwrite_replaces_outputs_alone(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is deleted that no run wrote, and nothing before all arguments are found right."""
    old = [tmp_path / f"x-0000{n}-of-00002.parquet" for n in range(2)]
    bad = tmp_path / "x.bad-00000-of-00001.jsonl"
    others = [tmp_path / name for name in ("x-notes.parquet", "x-00000-of-00002.csv", "x.bad-a")]
    for path in (*old, bad, *others):
        path.write_text("a")
    source, flags = str(tmp_path / "x-in.txt"), ["--overwrite"]
    Path(source).write_text("a\nb\n")
    output = tmp_path / "x.parquet"
    for wrong in ("--model=none", "--keep=id", "--format=parquet", "--input=none-*.txt"):
        assert embed(model, source, output, *flags, wrong) == 1
    assert embed(model, source, output, *flags, "--", "--direct_num_workers=two") == 1
    capsys.readouterr()
    assert embed(model, str(tmp_path / "x-*"), output, *flags) == 1
    assert f"{old[0]}: is an input; choose another name" in capsys.readouterr().err
    assert all(path.read_text() == "a" for path in (*old, bad, *others))
    assert embed(model, source, output, *flags) == 0
    assert len(tables(tmp_path, "x-*-of-*.parquet")) == 2
    assert not any(path.exists() and path.read_bytes() == b"a" for path in (*old, bad))
    assert all(path.read_text() == "a" for path in others)


def test_places_may_be_relative(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in "ab":
        (tmp_path / f"in-{text}.txt").write_text(text)
    for code in (0, 1):
        assert embed(model, "in-*.txt", Path("x.parquet")) == code
        assert sorted(tables(tmp_path)["text"].to_pylist()) == ["a", "b"]
    assert "exists; choose another name" in capsys.readouterr().err


def test_places_that_are_no_patterns(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beam would read nothing, and fail when it has written all."""
    (tmp_path / "run[1]").mkdir()
    (tmp_path / "run[1]" / "in.txt").write_text("a")
    monkeypatch.chdir(tmp_path / "run[1]")
    assert embed(model, "in.txt", tmp_path / "x.parquet") == 1
    assert "run[1]/in.txt: Beam takes it for a pattern" in capsys.readouterr().err
    assert embed(model, "in.txt", Path("x.parquet")) == 1
    assert "run[1]/x.parquet: Beam takes it for a pattern" in capsys.readouterr().err


def test_places_that_beam_cannot_look_at(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(model, "nowhere://a/*.txt", tmp_path / "x.parquet") == 1
    said = capsys.readouterr().err
    assert "nowhere://a/*.txt: cannot be looked at" in said
    assert "apache-beam[gcp]" in said


def test_columns_that_are_null_at_first(model: Path, tmp_path: Path) -> None:
    """And bytes that are no text: through Parquet, records and Parquet again."""
    columns = {
        "text": pyarrow.array(["a"] * 150),
        "year": pyarrow.array([None] * 149 + [3], pyarrow.int16()),
        "hash": pyarrow.array([b"\xff\0"] * 150),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "in.parquet")
    source, flag = str(tmp_path / "in.parquet"), "--keep=text,year,hash"
    assert embed(model, source, tmp_path / "x.parquet", flag) == 0
    found = tables(tmp_path)
    assert {name: found[name].type for name in columns} == {
        name: column.type for name, column in columns.items()
    }
    assert sorted(found["year"].to_pylist(), key=str) == [3] + [None] * 149
    assert {*found["hash"].to_pylist()} == {b"\xff\0"}
    assert embed(model, source, tmp_path / "z.tfrecord", "--keep=text,hash") == 0
    back = str(tmp_path / "z-*.tfrecord")
    assert embed(model, back, tmp_path / "y.parquet", "--keep=text,hash") == 0
    found = tables(tmp_path, "y-*.parquet")
    assert {*zip(*(found[name].to_pylist() for name in ("text", "hash")), strict=True)} == {
        ("a", b"\xff\0")
    }


def test_lines_that_are_null_at_first(model: Path, tmp_path: Path) -> None:
    rows = [{"id": None, "text": "a"}] * 150 + [{"id": 7, "text": "a"}] * 60
    rows.append({"id": 0.5, "text": "a"})
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert embed(model, str(tmp_path / "in.jsonl"), tmp_path / "x.parquet", "--keep=id") == 0
    found = tables(tmp_path)["id"]
    assert (found.type, found.null_count, len(found)) == (pyarrow.int64(), 150, 210)
    [bad] = map(json.loads, next(tmp_path.glob("x.bad-*.jsonl")).open())
    assert bad["reason"].startswith("id: expected values of one type")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--output=x.npy"], "expected a name that ends in .parquet, .tfrecord"),
        (["--workers=2"], "workers: not with a --runner"),
        (["--input=none-*.jsonl"], "none-*.jsonl: no such files"),
        (["--input=a.tsv"], "a.tsv: expected files of text, .jsonl, .parquet or .tfrecord"),
        (["--input=-"], "-: expected files of text"),
        (["--keep=id"], "none of the first 1 records can be read: expected id; found text"),
        (["--column=b"], "column: plain lines have none"),
        (["--keep=vector"], "keep: vector: is a column of the output"),
        (["--format=jsonl", "--column=vector"], "keep: vector: is a column of the output"),
        (["--restart"], "restart: not with a --runner"),
        (["--model=none"], "not a text embedding"),
        (["--format=tfrecord"], "in.txt: damaged, or no TFRecord"),
        (
            ["--", "--direct_num_workers=two"],
            "error: argument --direct_num_workers: invalid",
        ),
    ],
)
def test_arguments_that_lead_nowhere(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("a\n")
    assert embed(model, "in.txt", tmp_path / "x.parquet", *flags) == 1
    assert words in capsys.readouterr().err


def test_places_may_be_urls(model: Path) -> None:
    flags = {"model": model, "input": "gs://a/*.parquet", "output": "gs://b/x.parquet"}
    corpus = embed_cli.corpus(embed_cli.EmbedSettings(**flags))
    assert (corpus.input, corpus.prefix, corpus.bad) == (flags["input"], "gs://b/x", "gs://b/x.bad")


def test_without_beam_it_says_what_to_install(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "hub_export.use.engines.beam_pipeline", raising=False)
    monkeypatch.delattr(hub_export.use.engines, "beam_pipeline", raising=False)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    assert embed(model, "in.txt", Path("x.parquet")) == 1
    assert "--runner needs Apache Beam (pip install '.[beam]'" in capsys.readouterr().err
