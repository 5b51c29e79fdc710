"""Text in, entities out: against the pipeline of transformers."""

import functools
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, pre_tokenizers
from transformers.pipelines.token_classification import AggregationStrategy

import hub_export
from encoders import TokenClassification
from hub_export import VerificationError
from hub_export.contract import AGGREGATIONS
from hub_export.models.tasks import entities
from hub_export.verify import samples
from hub_export.verify.checks import Outcome
from hub_export.verify.loaded import TEXT, of_any_size
from hub_export.verify.tasks import token_classification as verification
from tests import checkpoints, unsaved
from tests.outcomes import assert_passed
from tools import texts as real

PART = "token_classification"
NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC", "X-O", "I-ORG-A"]
LABELS = {
    "id2label": dict(enumerate(NAMES)),
    "label2id": {name: at for at, name in enumerate(NAMES)},
}
Finding = dict[str, Callable[..., Any]]
"""The method of a model, by aggregation: of texts."""
Found = list[tuple[str, int, int, str]]


def save_model(folder: Path, model_type: str, architecture: str, size: int, **options: Any) -> None:
    """Random weights, but for a bias that makes no label likelier than the others."""
    architecture += "ForTokenClassification"
    sizes = {"vocab_size": size, "num_hidden_layers": 1}
    checkpoints.save_model(folder, model_type, architecture, **sizes, **LABELS, **options)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    with torch.inference_mode():
        logits = model(torch.randint(5, size, (16, 30))).logits
    model.classifier.bias.data -= logits.mean((0, 1))
    model.save_pretrained(folder)


def save(folder: Path, model_type: str, architecture: str, tokenizer: Tokenizer) -> Path:
    size = max(tokenizer.get_vocab().values()) + 1
    save_model(folder, model_type, architecture, size, pad_token_id=0)
    checkpoints.save_tokenizer(folder, tokenizer)
    return folder


def configure(folder: Path, **options: Any) -> Path:
    """Another tokenizer_config.json."""
    (folder / "tokenizer_config.json").write_text(json.dumps(options), encoding="utf-8")
    return folder


def bert(folder: Path) -> Path:
    return save(folder, "bert", "Bert", checkpoints.wordpiece(checkpoints.PIECES))


def roberta(folder: Path) -> Path:
    size = checkpoints.save_byte_pairs(folder)
    save_model(folder, "roberta", "Roberta", size, type_vocab_size=1)
    return folder


def albert(folder: Path) -> Path:
    """Unigram, with an unknown token that the configuration names."""
    pieces = [*"abcdefghij▁éß好", *map("".join, zip("▁abcde", "fghija", strict=True))]
    save(folder, "albert", "Albert", checkpoints.unigram(pieces))
    roles = {"unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
    return configure(folder, tokenizer_class="PreTrainedTokenizerFast", **roles)


def deberta(folder: Path) -> Path:
    """BPE that marks the pieces within a word, without a known unknown token."""
    tokenizer = checkpoints.bpe(
        pre_tokenizers.Whitespace(), unk_token="[UNK]", continuing_subword_prefix="##"
    )
    save(folder, "deberta-v2", "DebertaV2", tokenizer)
    return configure(folder, tokenizer_class="PreTrainedTokenizerFast", pad_token="[PAD]")


CASES: dict[str, Callable[[Path], Path]] = {
    "bert": bert,
    "roberta": roberta,
    "albert": albert,
    "deberta": deberta,
}


def export(folder: Path, out: Path, **options: Any) -> hub_export.Export:
    return hub_export.export(
        folder, out, **{"parts": ("task_model",), "verify": "quick", **options}
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    path = export(bert(folder / "ner"), folder, verify="none", name="ner").paths[PART]
    assert path == folder / "ner_token_classification" / "1"
    return path


@pytest.fixture(scope="module")
def model(exported: Path) -> Any:
    return tf.saved_model.load(str(exported))


def finding(model: Any) -> Finding:
    return {
        name: of_any_size(functools.partial(model.entities, aggregation=name), TEXT)
        for name in AGGREGATIONS
    }


@pytest.fixture(scope="module")
def find(model: Any) -> Finding:
    return finding(model)


def by_pipeline(folder: Path, longest: int, texts: Sequence[str]) -> dict[str, Any]:
    """Aggregation -> entities and scores of each text."""
    pipeline = transformers.pipeline("token-classification", model=str(folder))
    pipeline.tokenizer.model_max_length = longest
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = (pipeline.preprocess(text, is_split_into_words=False) for text in texts)
        computed = [[*map(pipeline.forward, each)] for each in parts]
        for name in AGGREGATIONS:
            strategy = AggregationStrategy(name)
            rows = [pipeline.postprocess(each, aggregation_strategy=strategy) for each in computed]
            found[name] = list(map(of_pipeline, texts, rows))
    return found


def of_pipeline(text: str, rows: Sequence[dict[str, Any]]) -> tuple[Found, list[float]]:
    spans = [(row["start"], row["end"]) for row in rows]
    places = [[len(text[:at].encode()) for at in each] for each in spans]
    labels = [row.get("entity_group", row.get("entity")) for row in rows]
    found = [
        (label, *place, text[slice(*span)])
        for label, place, span in zip(labels, places, spans, strict=True)
    ]
    return found, [float(row["score"]) for row in rows]


def of_export(found: dict[str, list[Any]], at: int) -> tuple[Found, list[float]]:
    """The entities of one text of what the method gives, as lists."""
    columns = (found[name][at] for name in ("label", "start", "limit", "text"))
    rows = [(a.decode(), b, c, d.decode()) for a, b, c, d in zip(*columns, strict=True)]
    return rows, found["score"][at]


def assert_same(folder: Path, texts: Sequence[str]) -> None:
    """What an export would save finds what the pipeline of transformers does."""
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    model, notes = unsaved.product(folder, "task_model")
    wanted = by_pipeline(folder, notes["task"]["max_length"], texts)
    find = finding(model)
    for name in AGGREGATIONS:
        found = {key: each.to_list() for key, each in find[name](texts).items()}
        for at, (rows, scores) in enumerate(wanted[name]):
            ours, own = of_export(found, at)
            assert ours == rows, (name, texts[at])
            np.testing.assert_allclose(own, scores, rtol=0, atol=1e-5)
        labels = [label for rows, _ in wanted[name] for label, *_ in rows]
        assert len(labels) > 100
        assert len({*labels}) > 2


@pytest.mark.parametrize("case", CASES)
def test_the_pipeline_of_transformers(case: str, tmp_path: Path) -> None:
    folder = CASES[case](tmp_path / "source")
    pieces = sorted(transformers.AutoTokenizer.from_pretrained(folder).get_vocab())
    texts = [*samples.AWKWARD, *samples.fuzz(pieces, checkpoints.SPECIAL, 60)]
    assert_same(folder, texts)


REAL = {"bert-base-cased": ("bert", "Bert", 28996), "roberta": ("roberta", "Roberta", 50265)}


@pytest.mark.parametrize("name", REAL)
def test_real_texts(name: str, assets: Path, tmp_path: Path) -> None:
    source, folder = assets / "tokenizers" / name, tmp_path / "source"
    folder.mkdir()
    for file in ("vocab.txt", "vocab.json", "merges.txt"):
        if (source / file).exists():
            (folder / file).write_bytes((source / file).read_bytes())
    save_model(folder, *REAL[name], max_position_embeddings=70)
    texts = [line for lines in real.corpora(assets).values() for line in lines[:300:7]]
    assert_same(folder, texts)


def test_verification(tmp_path: Path) -> None:
    """Of a text that many ties are in: logits that do not depend on it."""
    folder = roberta(tmp_path / "source")
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.weight"][:] = 0
    tensors["classifier.bias"][:] = tensors["classifier.bias"][1]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    _, checks = unsaved.checks(folder, "task_model")
    assert_passed(checks)
    subjects = {check.subject for check in checks}
    assert subjects >= {f"entities ({name})" for name in AGGREGATIONS}


def test_a_changed_head_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = TokenClassification.fill

    def spoilt(self: Any, *arguments: Any) -> Any:
        taken = fill(self, *arguments)
        self.output.bias.assign_add([0.0, 1e-3, *[0.0] * 6])
        return taken

    monkeypatch.setattr(TokenClassification, "fill", spoilt)
    monkeypatch.setattr(verification, "AGGREGATIONS", ["none"])
    words = r"headed\.head\.output\.bias\[1\]: expected(.|\n)*logits of tokens +FAILED"
    with pytest.raises(VerificationError, match=words):
        export(bert(tmp_path / "source"), tmp_path / "out")
    assert not (tmp_path / "out").exists() or [*(tmp_path / "out").iterdir()] == []


def test_another_grouping_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No number differs: only where words end."""
    monkeypatch.setattr(entities.Subwords, "__call__", lambda *_: tf.constant(True))
    _, checks = unsaved.checks(bert(tmp_path / "source"), "task_model")
    failed = {check.subject for check in checks if check.outcome is Outcome.FAILED}
    words = ("first", "average", "max")
    assert failed == {f"{each} ({name})" for each in ("entities", "scores") for name in words}


def test_odd_batches(model: Any, find: Finding) -> None:
    texts = tf.constant(["a b", "", "cde f"])
    for name in AGGREGATIONS:
        none = find[name](tf.constant([], tf.string))
        assert {each.shape[0] for each in none.values()} == {0}
        assert find[name](["", " "])["label"].to_list() == [[], []]
        flat = model.signatures[name](text=texts)
        ragged = find[name](texts)
        np.testing.assert_array_equal(flat.pop("row_splits"), ragged["label"].row_splits)
        for key, each in flat.items():
            np.testing.assert_array_equal(each, ragged[key].values)


def test_bytes_that_are_no_text(find: Finding) -> None:
    """Places and texts are of the bytes themselves; all else is as of what they are read as."""
    odd = b"ab \xff c\xe5\xa5d\xf0\x9f " * 3
    for name in AGGREGATIONS:
        found = find[name]([odd])
        read = find[name]([odd.decode(errors="replace")])
        assert found["label"].to_list() == read["label"].to_list()
        spans = zip(*(found[each][0].numpy() for each in ("start", "limit", "text")), strict=True)
        assert all(odd[start:limit] == text for start, limit, text in spans)
        assert len(found["label"][0]) > 0


def test_a_long_text_is_not_copied_for_each_entity(model: Any) -> None:
    """One unknown word of a megabyte among others."""
    text = "a b c d e f g h " + "x" * 2**20 + " i j k l"
    found = model.entities([text], aggregation="none")
    assert max(map(len, found["text"][0].numpy())) <= 2**20


def test_the_call_gives_logits_and_places(model: Any) -> None:
    texts = tf.constant(["ab é", ""])
    found = model(texts)
    assert found["logits"].shape == (2, 5, 8)
    assert found["input_mask"].numpy().tolist() == [[1] * 5, [1, 1, 0, 0, 0]]
    assert found["start"].numpy().tolist() == [[0, 0, 1, 3, 0], [0] * 5]
    assert found["limit"].numpy().tolist() == [[0, 1, 2, 5, 0], [0] * 5]
    assert not found["logits"][1, 2:].numpy().any()
    served = model.signatures["logits"](text=texts)
    for name, each in found.items():
        np.testing.assert_array_equal(served[name], each)


def test_a_card_names_the_labels(exported: Path) -> None:
    page = (exported / "assets.extra" / "README.md").read_text()
    assert "- O\n- B-PER\n- I-PER\n" in page
    assert "`entities(sentences, aggregation)`" in page
