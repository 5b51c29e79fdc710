"""Vectors of tokens (ColBERT): against sentence-transformers, in the three layouts."""

import io
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import sentence_transformers
import tensorflow as tf
import torch
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

import hub_export
from hub_export import ExportError, SourceError
from hub_export.models.tasks import late_interaction
from hub_export.terminal import Progress
from hub_export.use import predict_cli
from hub_export.verify import samples, texts
from hub_export.verify.checks import Outcome
from hub_export.verify.closeness import CLOSENESS
from hub_export.verify.tasks import late_interaction as verification
from tests import checkpoints, unsaved
from tests.outcomes import assert_passed

PART, WIDTH = "late_interaction", 8
PIECES = [*checkpoints.PIECES, *"!,.", "[unused0]", "[unused1]"]
VOCABULARY = {"vocab_size": len(PIECES)}
FIXED = {"strategy": "fixed", "attend": False, "length": 12}
TEXTS = ["a bad, bad cab!", "", "c " * 60, b"\xff a", "[unused0]!"]


def save(folder: Path, **options: Any) -> Path:
    """An encoder with its tokenizer."""
    checkpoints.save_model(folder, "bert", num_hidden_layers=1, **{**VOCABULARY, **options})
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(PIECES))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("late") / "base")


def late(
    base: Path,
    folder: Path,
    options: Mapping[str, Any],
    mask: Mapping[str, Any],
    prompts: Mapping[str, str],
    **model: Any,
) -> Path:
    """Writes a MultiVectorEncoder."""
    torch.manual_seed(1)
    names = {"module_input_name": "token_embeddings"}
    modules = [
        Transformer(str(base), **options),
        Dense(24, 12, bias=True, activation_function=torch.nn.Tanh(), **names),
        MultiVectorMask(**mask),
        Dense(12, WIDTH, bias=False, activation_function=torch.nn.Identity(), **names),
        Normalize(**names),
    ]
    sentence_transformers.MultiVectorEncoder(
        modules=modules, prompts=dict(prompts), device="cpu", **model
    ).save(str(folder), create_model_card=False)
    return folder


def own(base: Path, folder: Path) -> Path:
    """Queries of twelve tokens, to whose masks no token attends; documents without punctuation."""
    options = {"document_length": 30, "query_expansion": FIXED}
    prompts = {"query": "q a", "document": "d "}
    return late(base, folder, options, {"skiplist_words": ["!", ",", "#"]}, prompts)


def least(base: Path, folder: Path) -> Path:
    """Queries of 9 to 20 tokens, filled up with another; what both sides leave out; mean scores."""
    options = {
        "query_length": 20,
        "query_expansion": {**FIXED, "strategy": "min", "length": 9, "token": "z"},
    }
    mask = {
        "skiplist_words": ["b"],
        "skiplist_tasks": ["query", "document"],
        "keep_only_token_ids": [*range(2, 30)],
    }
    return late(base, folder, options, mask, {}, similarity_fn_name="meanmaxsim")


def pylate(base: Path, folder: Path, **options: Any) -> Path:
    """As PyLate saves it: dense layers alone, and options of its own."""
    del base  # its vocabulary lacks the markers
    save(folder, vocab_size=len(PIECES) + 2)
    tokenizer = checkpoints.wordpiece(PIECES, added=["[Q] ", "[D] "])
    checkpoints.save_tokenizer(folder, tokenizer)
    edit("tokenizer_config.json", pad_token="[MASK]")(folder)
    torch.manual_seed(1)
    dense = Dense(24, WIDTH, bias=False, activation_function=torch.nn.Identity())
    (folder / "1_Dense").mkdir()
    dense.save(str(folder / "1_Dense"))
    written = folder / "1_Dense" / "config.json"
    names = ("module_input_name", "module_output_name")
    config = {k: v for k, v in json.loads(written.read_text()).items() if k not in names}
    write(written, config)
    kinds = ["sentence_transformers.models.Transformer", "pylate.models.Dense.Dense"]
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": kind}
        for at, (path, kind) in enumerate(zip(["", "1_Dense"], kinds, strict=True))
    ]
    write(folder / "modules.json", modules)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 29, "do_lower_case": False})
    known = {
        "model_type": "ColBERT",
        "similarity_fn_name": "MaxSim",
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": 12,
        "document_length": 30,
        "attend_to_expansion_tokens": True,
        "skiplist_words": ["!", "."],
    }
    said = {key: value for key, value in {**known, **options}.items() if value is not None}
    write(folder / "config_sentence_transformers.json", said)
    return folder


def older_pylate(base: Path, folder: Path) -> Path:
    """Before it said what it is; queries are not filled up, and all punctuation is left out."""
    return pylate(base, folder, model_type=None, do_query_expansion=False, skiplist_words=None)


def stanford(base: Path, folder: Path, **metadata: Any) -> Path:
    """As Stanford's code saves it: the dense layer beside the encoder."""
    shutil.copytree(base, folder)
    file = folder / "model.safetensors"
    torch.manual_seed(1)
    tensors = {f"bert.{name}": x for name, x in safetensors.torch.load_file(file).items()}
    tensors["linear.weight"] = torch.randn(WIDTH, 24)
    safetensors.torch.save_file(tensors, file, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    write(folder / "config.json", {**config, "architectures": ["HF_ColBERT"]})
    known = {
        "query_token_id": "[unused0]",
        "doc_token_id": "[unused1]",
        "query_maxlen": 12,
        "doc_maxlen": 30,
        "mask_punctuation": True,
        "attend_to_mask_tokens": False,
        "similarity": "cosine",
        "interaction": "colbert",
        "nbits": 1,
    }
    write(folder / "artifact.metadata", {**known, **metadata})
    return folder


def write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


def export(source: Path, out: Path, **options: Any) -> hub_export.Export:
    return hub_export.export(source, out, **{"parts": ("task_model",), **options})


@pytest.fixture(scope="module")
def exported(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint, and what was exported of it."""
    folder = tmp_path_factory.mktemp("exported")
    source = own(base, folder / "late")
    done = export(source, folder / "out", verify="full")
    assert_passed(done.report.checks)
    return source, done.paths[PART]


@pytest.fixture(scope="module")
def model(exported: tuple[Path, Path]) -> Any:
    return tf.saved_model.load(str(exported[1]))


@pytest.mark.parametrize("make", [least, pylate, older_pylate, stanford], ids=lambda x: x.__name__)
def test_layouts(make: Any, base: Path, tmp_path: Path) -> None:
    """All is compared with what sentence-transformers makes of the checkpoint."""
    (model, _), checks = unsaved.checks(make(base, tmp_path / "late"), "task_model")
    assert_passed(checks)
    counts = [check.figures.get("compared") for check in checks]
    compared = len(samples.AWKWARD) + texts.RANDOM + texts.OF_ALL_LENGTHS
    assert counts.count(compared) == 4, "texts with markers are compared as well"
    subjects = [check.subject for check in checks]
    assert {"kept tokens of queries", "vectors of documents", "scores of pairs"} < {*subjects}
    lengths = model.query(["a b", "c " * 60]).row_lengths().numpy().tolist()
    unlike = {least: [8, 20], older_pylate: [5, 12]}
    assert lengths == unlike.get(make, [12, 12])
    markers = {least: PIECES.index("a"), stanford: PIECES.index("[unused0]")}
    first = model.signatures["query"](text=tf.constant(["a b"]))["token_id"][1]
    assert first == markers.get(make, len(PIECES)), "a marker is one token, behind the first"


def test_not_compared() -> None:
    """Where sentence-transformers cannot be asked, the report says why."""
    [check] = verification.compare(None, "why", CLOSENESS["float32"], Progress(quiet=True))
    assert (check.outcome.value, check.found) == ("not compared", "why")


def test_as_sentence_transformers(exported: tuple[Path, Path], model: Any) -> None:
    theirs = sentence_transformers.MultiVectorEncoder(str(exported[0]), device="cpu")
    texts = [text if isinstance(text, str) else text.decode("utf-8", "replace") for text in TEXTS]
    queries, documents = theirs.encode_query(texts), theirs.encode_document(texts)
    for call, wanted in (
        (model.query, queries),
        (model.document, documents),
        (model, documents),
    ):
        found = call(tf.constant(TEXTS))
        assert found.shape == (len(TEXTS), None, WIDTH)
        assert [len(each) for each in wanted] == found.row_lengths().numpy().tolist()
        np.testing.assert_allclose(found.values, torch.cat(wanted), rtol=0, atol=1e-5)
    scores = model.signatures["serving_pair"](
        text=tf.constant(TEXTS), text_pair=tf.constant(TEXTS[::-1])
    )["score"]
    pairs = theirs.similarity_pairwise(queries, documents[::-1])
    np.testing.assert_allclose(scores, pairs, rtol=0, atol=1e-4)


def test_tokens(model: Any) -> None:
    """A query is filled up, its prompt and special tokens count; punctuation counts there alone."""
    found = {
        name: model.signatures[name](text=tf.constant(["b!c", ""]))
        for name in ("query", "document", "serving_default")
    }
    tokens = {
        name: tf.RaggedTensor.from_row_splits(each["token"], each["row_splits"]).to_list()
        for name, each in found.items()
    }
    start, end, mask = b"[CLS]", b"[SEP]", b"[MASK]"
    assert tokens["query"] == [
        [start, b"q", b"a", b"##b", b"!", b"c", end, *[mask] * 5],
        [start, b"q", b"a", end, *[mask] * 8],
    ]
    assert tokens["document"] == [[start, b"d", b"b", b"c", end], [start, b"d", end]]
    assert tokens["serving_default"] == tokens["document"]
    assert found["query"]["vectors"].shape == (24, WIDTH)
    assert found["query"]["token_id"].dtype == tf.int32


def test_without_texts(model: Any) -> None:
    none = tf.constant([], tf.string)
    for call in (model.query, model.document):
        assert call(none).shape == (0, None, WIDTH)
    assert model.signatures["query"](text=none)["row_splits"].numpy().tolist() == [0]
    assert model.signatures["serving_pair"](text=none, text_pair=none)["score"].shape == (0,)


def test_gradients(model: Any) -> None:
    for call in (model.query, model.document):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(call(tf.constant(["a b", "c"]), training=True).values[:, 0])
        gradients = tape.gradient(loss, model.trainable_variables)
        assert all(each is not None for each in gradients)


def test_maxsim() -> None:
    """A document without vectors comes last, as in sentence-transformers."""
    queries = tf.ragged.constant([[[1.0, 0.0], [0.0, -1.0]], [[1.0, 0.0]]], ragged_rank=1)
    documents = tf.RaggedTensor.from_row_splits([[0.5, 3.0], [-1.0, 2.0]], [0, 2, 2])
    lists: Any = [[torch.tensor(row.numpy()) for row in each] for each in (queries, documents)]
    for is_mean in (False, True):
        found = late_interaction.maxsim(queries, documents, is_mean)
        wanted = sentence_transformers.util.maxsim_pairwise(*lists, length_normalize=is_mean)
        np.testing.assert_allclose(found, wanted)


def test_hub_predict(
    exported: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capfdbinary: Any
) -> None:
    def ask(content: bytes, *flags: str) -> list[Any]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert predict_cli.main([f"--model={exported[1]}", *flags]) == 0
        return [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]

    [document] = ask(b"b!c\n")
    assert [each["token"] for each in document["found"]] == ["[CLS]", "d", "b", "c", "[SEP]"]
    assert len(document["found"][0]["vectors"]) == WIDTH
    [query] = ask(b"b!c\n", "--signature=query")
    assert len(query["found"]) == 12
    pair = b'{"question": "b", "text": "c"}\n'
    [row] = ask(pair, "--format=jsonl", "--columns=question,text")
    assert row["score"] <= 12


def test_what_differs_is_found(
    exported: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, counted = late_interaction.Rows.vectors, late_interaction.Rows.counted
    monkeypatch.setattr(late_interaction.Rows, "vectors", lambda *inputs: 1.001 * vectors(*inputs))
    monkeypatch.setattr(late_interaction.Rows, "counted", lambda *inputs: counted(*inputs)[:, ::-1])
    _, checks = unsaved.checks(exported[0], "task_model")
    assert [check.subject for check in checks if check.outcome is Outcome.FAILED] == [
        "vectors of queries",  # all their tokens are kept
        "kept tokens of documents",
        "vectors of documents",
        "scores of pairs",
    ]


def edit(file: str, **values: Any) -> Any:
    def change(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        write(folder / file, {**content, **values})

    return change


def append(kind: str) -> Any:
    def change(folder: Path) -> None:
        modules = json.loads((folder / "modules.json").read_text())
        more = {"idx": 5, "name": "5", "path": "5", "type": kind}
        write(folder / "modules.json", [*modules, more])

    return change


def drop(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def unmasked(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    write(folder / "modules.json", [m for m in modules if not m["type"].endswith("Mask")])


POOLING = "sentence_transformers.multi_vector_encoder.modules.HierarchicalTokenPooling"
BERT = "sentence_bert_config.json"


@pytest.mark.parametrize(
    ("make", "change", "words"),
    [
        (own, append(POOLING), r"HierarchicalTokenPooling is not supported.*MultiVectorMask"),
        (own, append("elsewhere.Dense"), r"modules\.json: the module elsewhere\.Dense"),
        (own, unmasked, r"expected one MultiVectorMask in a MultiVectorEncoder, found 0"),
        (own, edit(BERT, query_expansion={**FIXED, "strategy": "max"}), "strategy: .*'max'"),
        (own, edit(BERT, query_expansion={"strategy": "min"}), "length: expected a positive"),
        (own, edit(BERT, query_expansion={**FIXED, "length": 99}), "40 .positions.*found 99"),
        (own, edit(BERT, query_expansion={**FIXED, "token": "w0"}), "'w0' in the vocabulary"),
        (own, edit(BERT, query_length=5), "query_length is 5, less than 12"),
        (own, edit(BERT, document_length=1), "expected from 2 tokens .*each document, found 1"),
        (own, edit("tokenizer_config.json", padding_side="left"), "padding_side is left"),
        (own, edit("2_MultiVectorMask/config.json", skiplist_words=[3]), "skiplist_words"),
        (own, edit("2_MultiVectorMask/config.json", novelty=3), "unknown options .*novelty"),
        (own, edit("1_Dense/config.json", module_input_name="sentence_embedding"), "token_emb"),
        (own, edit("4_Normalize/config.json", module_input_name="x"), "module_input_name.*found x"),
        (pylate, edit("config_sentence_transformers.json", query_prefix="[X] "), r"'\[X\] '"),
        (stanford, drop("artifact.metadata"), r"artifact\.metadata: no such file"),
        (stanford, edit("artifact.metadata", similarity="l2"), "similarity: only 'cosine'"),
        (stanford, edit("artifact.metadata", doc_token_id="[D]"), r"marker '\[D\]'"),
    ],
)
def test_refusals(make: Any, change: Any, words: str, base: Path, tmp_path: Path) -> None:
    source = make(base, tmp_path / "late")
    change(source)
    with pytest.raises(SourceError, match=words):
        export(source, tmp_path / "out", verify="none")


def test_what_is_asked_for(exported: tuple[Path, Path], base: Path, tmp_path: Path) -> None:
    source, _ = exported
    for option in ({"prompt": "query"}, {"dimensions": 3}, {"pooling": ("cls",)}):
        parts = ("task_model", "text_embedding")
        with pytest.raises(
            ExportError, match=f"{next(iter(option))}: not for a checkpoint of late"
        ):
            export(source, tmp_path / "no", **{"parts": parts, **option})
    with pytest.raises(ExportError, match="special tokens tell queries from documents"):
        export(source, tmp_path / "no", task="late-interaction", special_tokens_in_text=False)
    with pytest.raises(
        SourceError, match=r"task late-interaction: expected \.\.\.HF_ColBERT under"
    ):
        export(base, tmp_path / "no", task="late-interaction")
    with pytest.raises(SourceError, match="task fill-mask"):
        export(source, tmp_path / "no", task="fill-mask")
    named = save(tmp_path / "named")
    edit("config.json", architectures=["HF_ColBERT"])(named)
    first = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    write(named / "modules.json", [first])
    write(named / "config_sentence_transformers.json", {"model_type": "SentenceTransformer"})
    with pytest.raises(SourceError, match="task late-interaction: expected"):
        export(named, tmp_path / "no", task="late-interaction")
    with pytest.raises(ExportError, match="has no task that is supported"):
        parts = ("text_embedding", "task_model")
        export(source, tmp_path / "no", task="feature-extraction", parts=parts)
