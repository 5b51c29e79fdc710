"""LiteRT copies: what is in them, and what they answer."""

import dataclasses
import itertools
import json
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

import encoders
import hub_export
from encoders import distilbert
from hub_export import ExportError, SourceError, support
from hub_export.litert import Model, TextModel, one_signature
from hub_export.litert.description import INPUTS, Description, read
from hub_export.litert.description import LABELS as LABELS_FILE
from hub_export.litert.interpreters import Interpreters, interpreter
from hub_export.litert.model import Row
from hub_export.models.product import OfRows
from hub_export.publish.pages import facts, pages, places, speed
from hub_export.use import embed_cli, predict_cli
from hub_export.use.corpora.text_embedder import TextEmbedder
from tests import checkpoints
from tests.hub_export import samples
from tests.outcomes import assert_passed

TEXTS = [
    "the cat sat on the mat",
    "",
    "x",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t",
    "l'été 日本語 🎉",
    "[SEP] [MASK] ab",
    *("word " * count for count in range(1, 14)),
]
LABELS = ("bad", "good", "so-so")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> hub_export.Export:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    named = {"id2label": dict(enumerate(LABELS)), "label2id": {}}
    small = {"num_hidden_layers": 1, "max_position_embeddings": 24}
    checkpoints.save_model(folder, "bert", "BertForSequenceClassification", **named, **small)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    return hub_export.export(
        folder,
        tmp_path_factory.mktemp("exported"),
        parts=["encoder", "text_embedding", "task_model"],
        verify="full",
        litert=["float32", "int8"],
    )


@pytest.fixture(scope="module")
def embedding(copied: hub_export.Export) -> Path:
    return copied.paths["text_embedding_litert"]


@pytest.fixture(scope="module")
def classification(copied: hub_export.Export) -> Path:
    return copied.paths["text_classification_litert"]


def test_every_copy_is_compared(copied: hub_export.Export) -> None:
    found = [each for each in copied.report.checks if each.subject.startswith("LiteRT")]
    assert_passed(found)
    subjects = {each.subject.split(",")[0] for each in found}
    assert subjects == {"LiteRT float32", "LiteRT int8"}
    kinds = {each.subject.partition(", ")[2].split(" of ")[0].split(",")[0] for each in found}
    assert kinds >= {"numbers", "vectors", "order", "logits", "probabilities", "labels"}


def test_what_is_in_the_folder(classification: Path, embedding: Path) -> None:
    names = {"model.json", "model_float32.tflite", "model_int8.tflite", "README.md"}
    names |= {"verification.json", "contents.json", "tokenizer.json"}
    assert {each.name for each in embedding.iterdir()} == names
    assert {each.name for each in classification.iterdir()} == names | {"labels.txt"}
    lines = (classification / "labels.txt").read_text(encoding="utf-8").splitlines()
    assert tuple(lines) == LABELS


def test_its_pages(copied: hub_export.Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the whole name copies and their sizes; those of a copy alone, it."""
    known = facts.gather(copied.paths["encoder"])
    assert {part.name for part in known.parts} == {*copied.paths}
    monkeypatch.chdir(copied.paths["encoder"].parents[1])
    page = pages.tf_hub(known, places.beside("me", "tiny"))
    blocks = [each for each in samples.blocks(page, "python") if "hub_export.litert" in each]
    assert len(blocks) == 3
    for block in blocks:
        samples.run_python(block)
    for part in known.parts[3:]:
        assert part.is_copy
        for name, size in part.models.items():
            assert f"| | `{part.place}/{name}` | | {size / 1e6:.1f} MB |" in page
        alone = dataclasses.replace(known, parts=[part])
        card = pages.metadata(alone)
        assert card.tags == ["savedmodel", "tf-hub", part.name.replace("_", "-"), "tflite"]
        instance = pages.kaggle_instance(alone, part, "me", "tiny", "x")
        assert instance["framework"] == "tfLite"
        assert instance["fineTunable"] is False
    assert "- LiteRT copies whose weights are int8 are close to the source, not equal" in page
    copies = ("text_classification_litert", "text_embedding_litert")
    measured = speed.measured(known)
    assert {(each.part, each.precision) for each in measured.speeds} == {
        ("text_classification", ""),
        ("text_embedding", ""),
        *itertools.product(copies, ("float32", "int8")),
    }
    assert all(each.milliseconds > 0 < each.texts_per_second for each in measured.speeds)


def graph(file: Path) -> Any:
    return schema.ModelT.InitFromPackedBuf(file.read_bytes())


def test_weights_are_stored_once(copied: hub_export.Export, embedding: Path) -> None:
    [table] = [
        each.numpy()
        for each in tf.saved_model.load(str(copied.paths["text_embedding"])).variables
        if each.shape[0] == len(checkpoints.PIECES)
    ]
    found = graph(embedding / "model_float32.tflite")
    stored = [bytes(each.data) for each in found.buffers if each.data is not None]
    assert len(found.signatureDefs) == len(found.subgraphs) == 6
    assert stored.count(table.tobytes()) == 1


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_operations_are_built_in(classification: Path, precision: str) -> None:
    codes = graph(classification / f"model_{precision}.tflite").operatorCodes
    assert len(codes) > 5
    assert not [each.customCode for each in codes if each.customCode]


def test_vectors_are_those_of_the_saved_model(copied: hub_export.Export, embedding: Path) -> None:
    wanted = tf.saved_model.load(str(copied.paths["text_embedding"]))(tf.constant(TEXTS)).numpy()
    found = TextModel(embedding)(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())
    one_by_one = np.concatenate([TextModel(embedding, threads=1)([text]) for text in TEXTS])
    np.testing.assert_allclose(one_by_one, found, rtol=0, atol=1e-5 * np.abs(wanted).max())
    rough = TextModel(embedding, precision="int8")(TEXTS)
    assert np.abs(rough - wanted).max() > 1e-3  # else it would be no other model


def test_answers_are_those_of_the_saved_model(
    copied: hub_export.Export, classification: Path
) -> None:
    saved = tf.saved_model.load(str(copied.paths["text_classification"]))
    model = TextModel(classification)
    pairs = list(reversed(TEXTS))
    for wanted, found in [
        (saved.signatures["serving_default"](text=tf.constant(TEXTS)), model(TEXTS)),
        (
            saved.signatures["serving_pair"](text=tf.constant(TEXTS), text_pair=tf.constant(pairs)),
            model(TEXTS, pairs),
        ),
    ]:
        assert {*found} == {*wanted} == {"logits", "probabilities", "label"}
        np.testing.assert_allclose(found["logits"], wanted["logits"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(
            found["probabilities"], wanted["probabilities"], rtol=0, atol=1e-5
        )
        assert [*found["label"]] == [each.decode() for each in wanted["label"].numpy()]


def test_bytes_are_read_as_utf8(embedding: Path) -> None:
    model = TextModel(embedding)
    np.testing.assert_array_equal(model([b"caf\xe9 x"]), model(["caf\ufffd x"]))


def test_no_texts(embedding: Path, classification: Path) -> None:
    assert TextModel(embedding)([]).shape == (0, 24)
    found = TextModel(classification)([])
    assert {name: np.shape(each) for name, each in found.items()} == {
        "logits": (0, 3),
        "probabilities": (0, 3),
        "label": (0,),
    }


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_signature_by_itself(embedding: Path, precision: str) -> None:
    file = embedding / f"model_{precision}.tflite"
    before, whole = file.read_bytes(), interpreter()(str(file))
    for name, entry in whole.get_signature_list().items():
        content = one_signature.content(file, name)
        assert content is not None
        made = schema.ModelT.InitFromPackedBuf(content)
        assert [each.signatureKey.decode() for each in made.signatureDefs] == [name]
        assert len(made.subgraphs) == 1
        alone = interpreter()(model_content=content)
        count, length = map(int, re.findall("[0-9]+", name))
        inputs = {each: np.ones((count, length), np.int32) for each in entry["inputs"]}
        found, wanted = (each.get_signature_runner(name)(**inputs) for each in (alone, whole))
        assert {*found} == {*entry["outputs"]}
        for each, values in found.items():
            np.testing.assert_array_equal(values, wanted[each])
    assert file.read_bytes() == before


def test_the_whole_file_where_a_signature_cannot_be_had(embedding: Path, tmp_path: Path) -> None:
    file = embedding / "model_int8.tflite"
    content = file.read_bytes()
    assert one_signature.content(file, "no such") is None
    damaged = tmp_path / "damaged.tflite"
    draw = random.Random(0)
    for _ in range(300):
        changed = bytearray(content[: draw.choice([8, 40, 400, len(content)])])
        for _ in range(8):
            changed[draw.randrange(min(len(changed), 3000))] = draw.randrange(256)
        damaged.write_bytes(changed)
        one_signature.content(damaged, "rows_1_length_16")  # raises nothing


def test_few_signatures_have_interpreters_of_their_own(embedding: Path) -> None:
    lending, ones = Interpreters(embedding / "model_int8.tflite", 1), {}
    with mock.patch.object(lending, "_make", wraps=lending._make) as make:
        for count, length in [(1, 16), (8, 16), (1, 24), (1, 16), (8, 24), (1, 16), (1, 24)]:
            ones = {each: np.ones((count, length), np.int32) for each in INPUTS}
            with lending.lent(f"rows_{count}_length_{length}") as run:
                assert run(f"rows_{count}_length_{length}", ones)["default"].shape == (count, 24)
    kinds = [next(iter(call.kwargs)) for call in make.call_args_list]
    assert kinds == ["model_content"] * 3 + ["model_path"]


def test_many_threads_ask_one_model(embedding: Path) -> None:
    model = pickle.loads(pickle.dumps(TextModel(embedding, "float32", threads=2)))
    wanted = model(TEXTS)
    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(model, [TEXTS] * 12):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


NEEDED = ("numpy", "numpy.libs", "tokenizers", "ai_edge_litert", "flatbuffers")


def test_it_needs_little(embedding: Path, tmp_path: Path) -> None:
    """In an environment that has nothing but a few packages."""
    installed = Path(np.__file__).parents[1]
    for place in (*(installed / name for name in NEEDED), Path(hub_export.__file__).parent):
        if place.exists():  # numpy.libs is not there on every system
            (tmp_path / place.name).symlink_to(place)
    script = """
import sys
sys.path.insert(0, sys.argv[2])
from hub_export.litert import TextModel
print(TextModel(sys.argv[1], precision="int8")(["a text", "another"]).shape)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(embedding), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "(2, 24)\n", done.stderr


def test_an_encoder_takes_rows(copied: hub_export.Export) -> None:
    model = Model(copied.paths["encoder_litert"])
    rows = [Row([2, 7, 9, 3], [1, 1, 1, 1], [0, 0, 1, 1]), Row([2] * 21, [1] * 21, [0] * 21)]
    found = model(rows)
    assert [each.shape for each in found["sequence_output"]] == [(4, 24), (21, 24)]
    encoder = tf.saved_model.load(str(copied.paths["encoder"]))
    names = ("input_word_ids", "input_mask", "input_type_ids")
    for at, row in enumerate(rows):
        wanted = encoder({k: tf.constant([v]) for k, v in zip(names, row, strict=True)})
        for name in ("pooled_output", "sequence_output"):
            np.testing.assert_allclose(found[name][at], wanted[name][0], rtol=0, atol=2e-5)
    with pytest.raises(ExportError, match="at most 24 tokens, found 25"):
        model([Row([2] * 25, [1] * 25, [0] * 25)])


def test_the_commands_take_it(embedding: Path, classification: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    vectors, answers = tmp_path / "vectors.npy", tmp_path / "answers.jsonl"
    file = embedding / "model_int8.tflite"
    common = [f"--input={lines}", "--quiet"]
    assert embed_cli.main([f"--model={file}", f"--output={vectors}", *common]) == 0
    model = TextModel(embedding, "int8")
    np.testing.assert_allclose(np.load(vectors), model(TEXTS), rtol=0, atol=1e-5)
    predict = [f"--model={classification}", f"--output={answers}", *common]
    assert predict_cli.main(predict) == 0
    rows = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    assert [row["label"] for row in rows] == [*TextModel(classification)(TEXTS)["label"]]


def test_tokens_are_counted(copied: hub_export.Export, embedding: Path) -> None:
    lines = [text.encode() for text in TEXTS]
    saved, copy = (TextEmbedder(each, 2) for each in (copied.paths["text_embedding"], embedding))
    assert copy.tokens(lines) == saved.tokens(lines) > len(lines)
    assert copy.tokens([]) == saved.tokens([]) == 0


def test_longer_texts_are_cut(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    checkpoints.save_model(folder, "bert", num_hidden_layers=1)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    done = hub_export.export(
        folder,
        tmp_path / "exported",
        parts=["text_embedding"],
        verify="full",
        litert=["float32"],
        litert_length=16,
    )
    model = TextModel(done.paths["text_embedding_litert"])
    assert max(len(row.word_ids) for row in model.rows(TEXTS)) == 16
    with pytest.raises(ExportError, match="takes one text a row, no pairs"):
        model(["a"], ["b"])
    assert done.report.passed


def needing_digamma(encoder: Any) -> OfRows:
    def compute(word_ids: tf.Tensor, *others: tf.Tensor) -> dict[str, tf.Tensor]:
        del others
        return {"digamma": tf.math.digamma(tf.cast(word_ids, tf.float32))}

    return OfRows(encoder, compute)


def test_what_does_not_convert_is_refused_by_name(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_export.models.encoder.of_rows", needing_digamma)
    options: dict[str, Any] = {"parts": ["encoder"], "verify": "none", "litert": ["int8"]}
    words = r"LiteRT cannot compute the encoder of this bert: it has no tf\.Digamma"
    with pytest.raises(ExportError, match=words):
        hub_export.export(tiny_bert, tmp_path / "out", **options, litert_length=16)
    assert not (tmp_path / "out").exists() or [*(tmp_path / "out").iterdir()] == []


def test_what_does_not_convert_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "of_rows", needing_digamma)
    found = support.attempt(distilbert.ARCHITECTURE)
    assert "it has no tf.Digamma" in found[support.LITERT]
    assert found[support.BFLOAT16] == support.YES


def test_what_is_wrong_is_said(embedding: Path, copied: hub_export.Export, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no LiteRT copy that hub_export wrote"):
        TextModel(tmp_path)
    with pytest.raises(SourceError, match="expected the precision float16, found float32, int8"):
        TextModel(embedding, "float16")
    with pytest.raises(ExportError, match="threads must be 1 or more, not 0"):
        TextModel(embedding, threads=0)
    with pytest.raises(SourceError, match="takes ids, not texts"):
        TextModel(copied.paths["encoder_litert"])
    with pytest.raises(ExportError, match="expected 1 second texts, one for each, found 2"):
        TextModel(embedding)(["a"], ["b", "c"])
    with pytest.raises(ExportError, match="expected a list of texts, found one text"):
        TextModel(embedding)("ab")
    with pytest.raises(ExportError, match="expected texts, strings or bytes, found None"):
        TextModel(embedding)(["a", None])  # type: ignore[list-item]
    with pytest.raises(ExportError, match="half of a surrogate pair, character 1 of"):
        TextModel(embedding)(["a\ud800"])
    with pytest.raises(ExportError, match="are all ids, and type ids, among those that"):
        Model(copied.paths["encoder_litert"])([Row([10**6], [1], [0])])
    damaged = tmp_path / "damaged"
    shutil.copytree(embedding, damaged)
    (damaged / "model_float32.tflite").write_bytes(b"TFL3 no model")
    with pytest.raises(SourceError, match="cannot be read as a LiteRT model"):
        TextModel(damaged)(["a"])
    (damaged / "tokenizer.json").write_text("{}")
    with pytest.raises(SourceError, match="cannot be read as a tokenizer"):
        TextModel(damaged)
    other = json.loads((embedding / "model.json").read_text())
    (damaged / "model.json").write_text(json.dumps({**other, "name": "haiku"}))
    with pytest.raises(SourceError, match="found one of haiku; take the hub_export that wrote it"):
        TextModel(damaged)
    (damaged / "model.json").write_text('{"format": 9}')
    with pytest.raises(SourceError, match="expected format 1, found 9"):
        TextModel(damaged)
    (damaged / "model.json").write_text("[]")
    with pytest.raises(SourceError, match="is damaged"):
        TextModel(damaged)


def test_a_line_break_in_a_label(tmp_path: Path) -> None:
    Description("x", 0, 2, [(1, 16)], labels=["a\nb", "c"]).write(tmp_path)
    assert (tmp_path / LABELS_FILE).read_text(encoding="utf-8") == "a b\nc\n"
    assert read(tmp_path).labels == ["a\nb", "c"]


def test_where_the_system_cannot_tell_cores(
    embedding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity")
    assert TextModel(embedding)(["a"]).shape == (1, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"litert_length": 16}, "litert_length: only for LiteRT copies; say litert, too"),
        ({"litert_tolerance": 0.1}, "litert_tolerance: only for LiteRT copies; say litert or"),
        ({"litert_tolerance": -1.0, "litert": ["int8"]}, "litert_tolerance must be 0 or more"),
        ({"litert_length": 15, "litert": ["int8"]}, "litert_length must be 16 or more, not 15"),
        ({"parts": ["preprocessor"], "litert": ["int8"]}, "but exported is preprocessor"),
    ],
)
def test_copies_that_lead_nowhere(
    tiny_bert: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        hub_export.export(tiny_bert, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_bfloat16_has_no_copy(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="litert: of float32 exports, not of bfloat16"):
        hub_export.export(tiny_bert, tmp_path, litert=["int8"], compute_dtype="bfloat16")


def test_what_was_tried_is_written_down() -> None:
    """Two rows are tried again; `conformance/test_encoders.py` has the whole cases converted."""
    assert support.tried().keys() == encoders.architectures().keys()
    for model_type in ("static_embedding", "xlm"):
        found = support.attempt(encoders.architectures()[model_type])
        assert found == support.tried()[model_type]


def test_every_architecture_is_tried_small() -> None:
    """By the table of what LiteRT can compute."""
    for architecture in encoders.architectures().values():
        encoder = architecture.declare(support.small(architecture))
        assert (encoder.dimensions.layers, encoder.dimensions.width) in {(1, 64), (0, 64)}
