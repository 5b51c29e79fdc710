"""Copies for MediaPipe: what is in them, and what MediaPipe itself answers."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tokenizers import BertWordPieceTokenizer, Tokenizer, normalizers

import hub_export
from hub_export import ExportError
from hub_export.litert import TextModel
from tests import checkpoints
from tests.outcomes import assert_passed
from tools import mediapipe_tokens, texts

TEXTS = ["the cat sat", "", "x", "a b, c!", "Ab CD  e\tf", "unknown 日本"]
LABELS = ("bad", "so\nso", "good")
LONGEST = 24


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> hub_export.Export:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    named = {"id2label": dict(enumerate(LABELS)), "label2id": {}}
    small = {"num_hidden_layers": 1, "max_position_embeddings": LONGEST}
    checkpoints.save_model(folder, "bert", "BertForSequenceClassification", **named, **small)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    return hub_export.export(
        folder,
        tmp_path_factory.mktemp("exported"),
        parts=["text_embedding", "task_model"],
        verify="quick",
        litert=["float32"],
        litert_length=16,
        mediapipe=True,
    )


@pytest.fixture(scope="module")
def embedding(exported: hub_export.Export) -> Path:
    return exported.paths["text_embedding_mediapipe"] / "model_float32.tflite"


@pytest.fixture(scope="module")
def classification(exported: hub_export.Export) -> Path:
    return exported.paths["text_classification_mediapipe"] / "model_float32.tflite"


@pytest.fixture(scope="module")
def tasks() -> Any:
    return pytest.importorskip(
        "mediapipe.tasks.python.text", reason="mediapipe is not installed (pip install mediapipe)"
    )


@pytest.fixture(scope="module")
def uncased(assets: Path) -> Tokenizer:
    """The tokenizer of bert-base-uncased."""
    vocabulary = assets / "tokenizers" / "bert-base-uncased" / "vocab.txt"
    return BertWordPieceTokenizer(str(vocabulary), lowercase=True)


def test_every_copy_is_compared(exported: hub_export.Export) -> None:
    found = [each for each in exported.report.checks if each.subject.startswith("MediaPipe")]
    assert_passed(found)
    subjects = " ".join(each.subject for each in found)
    assert all(f"MediaPipe float32, {kind}" in subjects for kind in ("vectors", "logits", "labels"))


def test_what_follows_the_file(embedding: Path, classification: Path) -> None:
    with zipfile.ZipFile(embedding) as archive:
        assert archive.namelist() == ["vocab.txt"]
        assert archive.read("vocab.txt").decode().splitlines() == checkpoints.PIECES
        [entry] = archive.infolist()
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)  # the same bytes at any time of day
    with zipfile.ZipFile(classification) as archive:
        assert archive.namelist() == ["vocab.txt", "labels.txt"]
        assert archive.read("labels.txt").decode() == "bad\nso so\ngood\n"


def test_one_graph_of_one_row_of_any_length(embedding: Path) -> None:
    found = schema.ModelT.InitFromPackedBuf(embedding.read_bytes())
    [graph] = found.subgraphs
    shapes = [[*graph.tensors[place].shapeSignature] for place in graph.inputs]
    assert shapes == [[1, -1]] * 3
    names = [each.name for each in found.metadata]
    buffer = found.buffers[found.metadata[names.index(b"TFLITE_METADATA")].buffer]
    assert bytes(buffer.data[4:8]) == b"M001"


def test_it_is_a_litert_copy_as_well(exported: hub_export.Export) -> None:
    model = TextModel(exported.paths["text_embedding_mediapipe"])
    copy = TextModel(exported.paths["text_embedding_litert"])
    np.testing.assert_allclose(model(TEXTS), copy(TEXTS), rtol=0, atol=1e-5)


def test_mediapipe_embeds(exported: hub_export.Export, embedding: Path, tasks: Any) -> None:
    wanted = vectors(exported, TEXTS)
    with tasks.TextEmbedder.create_from_model_path(str(embedding)) as task:
        found = [task.embed(text).embeddings[0] for text in TEXTS]
    assert {each.head_name for each in found} == {"default"}
    vectors_found = np.stack([each.embedding for each in found])
    np.testing.assert_allclose(vectors_found, wanted, rtol=0, atol=1e-4)


def test_mediapipe_cuts_as_the_source(
    exported: hub_export.Export, embedding: Path, tasks: Any
) -> None:
    """A copy of at most 16 tokens, beside a SavedModel of at most 24."""
    with tasks.TextEmbedder.create_from_model_path(str(embedding)) as task:
        found = task.embed("a b c d e f g h i j k l m n o p q r s t u v w x y z")
    wanted = vectors(exported, ["a b c d e f g h i j k l m n"])[0]
    np.testing.assert_allclose(found.embeddings[0].embedding, wanted, rtol=0, atol=1e-4)


def test_mediapipe_classifies(
    exported: hub_export.Export, classification: Path, tasks: Any
) -> None:
    saved = tf.saved_model.load(str(exported.paths["text_classification"]))
    wanted = saved.signatures["serving_default"](text=tf.constant(TEXTS))
    with tasks.TextClassifier.create_from_model_path(str(classification)) as task:
        found = [task.classify(text).classifications for text in TEXTS]
    for heads, probabilities, label in zip(
        found, wanted["probabilities"].numpy(), wanted["label"].numpy(), strict=True
    ):
        assert [each.head_name for each in heads] == ["probabilities", "logits"]
        scores = {each.index: each.score for each in heads[0].categories}
        np.testing.assert_allclose([scores[at] for at in range(3)], probabilities, atol=1e-4)
        assert heads[0].categories[0].category_name == " ".join(label.decode().split())


def vectors(exported: hub_export.Export, texts: list[str]) -> np.ndarray:
    """Those of the SavedModel."""
    saved = tf.saved_model.load(str(exported.paths["text_embedding"]))
    return np.asarray(saved(tf.constant(texts)))


def test_mediapipe_reads_english_as_the_source(
    uncased: Tokenizer, assets: Path, tasks: Any
) -> None:
    """docs/litert.md has the figures of all lines of all corpora."""
    corpora = texts.corpora(assets)
    with mediapipe_tokens.opened(uncased) as ids:
        assert mediapipe_tokens.differing(ids, uncased, corpora["ag_news_norm_test"][::5]) == 0
        assert mediapipe_tokens.differing(ids, uncased, corpora["botchan"]) == 1
        korean = corpora["xnli.test.ko"][:300]
        assert mediapipe_tokens.differing(ids, uncased, korean) >= 299
        assert mediapipe_tokens.differing(prepared(ids), uncased, korean) == 0
        assert ids("L'Été") != uncased.encode("L'Été").ids == prepared(ids)("L'Été")


def prepared(ids: mediapipe_tokens.Ids) -> mediapipe_tokens.Ids:
    return lambda text: ids(mediapipe_tokens.prepared(text))


WITH_CASE = normalizers.BertNormalizer(lowercase=False)
MODERN = [checkpoints.SPECIAL[0], "<unk>", "<s>", "</s>", "<mask>"]


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (lambda: checkpoints.wordpiece(CASED, WITH_CASE), "it lower-cases every text"),
        (lambda: checkpoints.wordpiece(PREFIXED, prefix="@@"), "the prefix of pieces is '##'"),
        (lambda: checkpoints.unigram(checkpoints.PIECES), "by WordPiece, here it is Unigram"),
        (lambda: checkpoints.wordpiece(NAMED, special=MODERN), "is [CLS] [SEP], here <s> </s>"),
    ],
    ids=["case", "prefix", "unigram", "frame"],
)
def test_other_tokenizers_are_refused(
    tokenizer: Callable[[], Tokenizer], message: str, tmp_path: Path
) -> None:
    made = tokenizer()
    checkpoints.save_model(tmp_path / "tiny", "bert", vocab_size=made.get_vocab_size())
    checkpoints.save_tokenizer(tmp_path / "tiny", made)
    with pytest.raises(ExportError) as error:
        export(tmp_path, tmp_path / "tiny", parts=["text_embedding"])
    assert "mediapipe: cannot read texts as" in str(error.value)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


CASED = [*checkpoints.PIECES, "A"]
PREFIXED = [each.replace("##", "@@") for each in checkpoints.PIECES]
NAMED = [*MODERN, *checkpoints.PIECES[5:]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"litert": []}, "mediapipe: only for LiteRT copies; say litert, too"),
        ({"parts": ["encoder"]}, "text_classification, but exported is encoder"),
    ],
)
def test_copies_that_lead_nowhere(
    tiny_bert: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        export(tmp_path, tiny_bert, **options)


def export(folder: Path, model: Path, **options: Any) -> hub_export.Export:
    asked = {"litert": ["int8"], "mediapipe": True, "verify": "none", **options}
    return hub_export.export(model, folder / "out", **asked)
