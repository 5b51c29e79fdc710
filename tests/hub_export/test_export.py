"""Exports from end to end, verified in full."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from safetensors.numpy import load_file, save_file

import hub_export
from hub_export.publish import manifest, text_ops
from hub_export.settings import ENCODER
from tests import checkpoints, unsaved
from tests.conformance.cases import SavedPreprocessor, TokenizerCase
from tests.conformance.test_tokenizers import assert_same_tokens


def test_the_real_checkpoint(minilm: Path, minilm_export: hub_export.Export) -> None:
    done, out = minilm_export, minilm_export.paths["encoder"].parents[1]
    assert done.report.passed
    assert {part: path.relative_to(out) for part, path in done.paths.items()} == {
        "encoder": Path("all_minilm_l6_v2_L-6_H-384_A-12/1"),
        "preprocessor": Path("all_minilm_l6_v2_preprocess/1"),
        "text_embedding": Path("all_minilm_l6_v2_text_embedding/1"),
    }
    assert {check.subject.split(",")[0] for check in done.report.checks} == {
        "weights of the encoder",
        "numbers",
        "tokens",
        "vocabulary",
        "offsets",
        "packed texts and pairs",
        "weights of the text embedding",
        "vectors",
    }
    assert sorted(each.name for each in out.iterdir()) == [
        "all_minilm_l6_v2_L-6_H-384_A-12",
        "all_minilm_l6_v2_preprocess",
        "all_minilm_l6_v2_text_embedding",
    ]
    for path in done.paths.values():
        written = json.loads((path / "assets.extra" / "verification.json").read_text())
        assert written["source"]["sha256"]["model.safetensors"].startswith("53aa51172d14")
        assert written["versions"]["tensorflow"] == tf.__version__
        assert {check["outcome"] for check in written["checks"]} == {"passed"}
        assert set(manifest.custom_ops(path)) <= text_ops.OPS
    assert manifest.custom_ops(done.paths["encoder"]) == []
    assert_sentences_equal_transformers(minilm, done)


def test_a_tokenizer_goes_with_any_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    """A preprocessor alone needs no architecture that is supported, and no weights."""
    folder = tmp_path / "source"
    folder.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).write_bytes((tiny_bert / file).read_bytes())
    (folder / "config.json").write_text(json.dumps({"model_type": "bloom", "vocab_size": 99}))
    done = hub_export.export(folder, tmp_path / "out", parts=["preprocessor"])
    assert done.report.passed
    inputs = tf.saved_model.load(str(done.paths["preprocessor"]))(tf.constant(["a b"]))
    assert inputs["input_word_ids"].shape == (1, 128)
    with pytest.raises(hub_export.SourceError, match="model_type bloom is not supported"):
        hub_export.export(folder, tmp_path / "out", parts=["encoder", "preprocessor"])


def assert_sentences_equal_transformers(folder: Path, done: hub_export.Export) -> None:
    """Real sentences, by the two SavedModels, and by transformers alone."""
    pairs = [("A man is eating.", "Someone eats food."), ("Naïve café…", "[MASK] ½ ™")]
    model = tf.saved_model.load(str(done.paths["preprocessor"]))
    segments = [model.tokenize(tf.constant(each)) for each in zip(*pairs, strict=True)]
    inputs = model.bert_pack_inputs(segments, seq_length=24)
    outputs = tf.saved_model.load(str(done.paths["encoder"]))(inputs)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = [list(each) for each in zip(*pairs, strict=True)]
    expected = transformers.AutoModel.from_pretrained(folder)(
        **tokenizer(*texts, padding="max_length", max_length=24, return_tensors="pt")
    )
    wanted = expected.last_hidden_state.detach().numpy()
    np.testing.assert_allclose(outputs["sequence_output"], wanted, rtol=0, atol=1e-5)


def test_a_part_and_a_version(tiny_bert: Path, tmp_path: Path) -> None:
    parts = ["preprocessor"]
    (tmp_path / "tiny_bert_preprocess" / "1").mkdir(parents=True)
    hub_export.export(tiny_bert, tmp_path, version=2, seq_length=32, parts=parts, verify="none")
    assert sorted(map(str, (path.relative_to(tmp_path) for path in tmp_path.glob("*/*")))) == [
        "tiny_bert_preprocess/1",
        "tiny_bert_preprocess/2",
    ]
    model = tf.saved_model.load(str(tmp_path / "tiny_bert_preprocess" / "2"))
    assert model(tf.constant(["a b"]))["input_mask"].shape == (1, 32)
    report = json.loads(
        (tmp_path / "tiny_bert_preprocess/2/assets.extra/verification.json").read_text()
    )
    assert report["checks"] == []
    assert report["settings"]["verify"] == "none"


def test_without_torch_numbers_are_not_compared(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_export.sources.formats.torch_files.available", lambda: False)
    done = hub_export.export(tiny_bert, tmp_path / "auto", parts=["encoder"])
    assert [(check.subject, check.outcome.value) for check in done.report.checks] == [
        ("weights of the encoder", "passed"),
        ("numbers", "not compared"),
    ]
    assert "pip install '.[reference]'" in done.report.table()
    with pytest.raises(hub_export.ExportError, match="needs torch"):
        hub_export.export(tiny_bert, tmp_path / "full", verify="full")


def test_vocabulary_without_tokenizer_json(tiny_bert: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for file in tiny_bert.iterdir():
        if file.name != "tokenizer.json":
            (source / file.name).write_bytes(file.read_bytes())
    done = hub_export.export(source, tmp_path / "exported", parts=["preprocessor"])
    assert done.report.passed


def test_padding_that_is_not_zero(tmp_path: Path) -> None:
    """MPNet, as `transformers` builds its tokenizer from a vocabulary."""
    pieces = ["<s>", "<pad>", "</s>", "[UNK]", *checkpoints.PIECES[5:], "<mask>"]
    source = tmp_path / "source"
    checkpoints.save_model(source, "mpnet", vocab_size=len(pieces), num_hidden_layers=1)
    (source / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    parts = ["encoder", "preprocessor"]
    done = hub_export.export(source, tmp_path / "exported", parts=parts, verify="full")
    preprocessor, encoder = (
        tf.saved_model.load(str(done.paths[part])) for part in ("preprocessor", "encoder")
    )
    known = preprocessor.tokenize.get_special_tokens_dict()
    assert (int(known["padding_id"]), int(known["mask_id"])) == (1, len(pieces) - 1)
    inputs = preprocessor(tf.constant(["a bad cab", "", "d<mask>e <pad> f"]))
    words, mask = inputs["input_word_ids"].numpy(), inputs["input_mask"].numpy()
    assert words.shape == (3, 38)
    assert (words[mask == 0] == 1).all()
    expected = transformers.AutoModel.from_pretrained(source)(
        torch.tensor(words), attention_mask=torch.tensor(mask)
    )
    wanted = expected.last_hidden_state.detach().numpy()
    np.testing.assert_allclose(encoder(inputs)["sequence_output"], wanted, rtol=0, atol=3e-5)


@pytest.mark.parametrize(
    ("bias", "words"),
    [(1.0, "the pooler's output"), (0.0, "the output of the pooler, whose bias is zero")],
)
def test_whether_the_pooler_was_trained(tmp_path: Path, bias: float, words: str) -> None:
    checkpoints.save_model(tmp_path, "roberta", num_hidden_layers=1)
    tensors = load_file(tmp_path / "model.safetensors")
    pooler = {name: values * bias for name, values in tensors.items() if "pooler" in name}
    save_file({**tensors, **pooler}, tmp_path / "model.safetensors")
    assert unsaved.notes(tmp_path, ENCODER)["pooled_output"].startswith(words)


def test_the_card_says_what_the_pooled_output_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    checkpoints.save_model(source, "roberta", "RobertaForMaskedLM", num_hidden_layers=1)
    done = hub_export.export(source, tmp_path / "exported", parts=["encoder"], verify="none")
    text = (done.paths["encoder"] / "assets.extra" / "README.md").read_text()
    assert "`pooled_output` is the first token's vector" in text
    names = load_file(source / "model.safetensors")
    heads = [f"- `{name}`: belongs to a task head" for name in names if "lm_head" in name]
    assert heads
    assert not any(line in text for line in heads)  # they are those of `mlm`
    options: dict[str, Any] = {"task": "feature-extraction", "version": 2, "verify": "none"}
    done = hub_export.export(source, tmp_path / "exported", parts=["encoder"], **options)
    text = (done.paths["encoder"] / "assets.extra" / "README.md").read_text()
    assert all(line in text for line in heads)


def test_a_real_vocabulary_on_real_text(assets: Path, tmp_path: Path) -> None:
    """Through a SavedModel; `preprocess/test_published.py` has the others as they are compiled."""
    vocabulary = assets / "tokenizers" / "bert-multi-cased" / "vocab.txt"
    config = {"do_lower_case": False, "tokenizer_class": "BertTokenizer"}
    size = len(vocabulary.read_text(encoding="utf-8").splitlines())
    source = tmp_path / "source"
    source.mkdir()
    (source / "vocab.txt").write_bytes(vocabulary.read_bytes())
    (source / "tokenizer_config.json").write_text(json.dumps(config))
    (source / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": size}))
    done = hub_export.export(
        source, tmp_path / "out", name="real", parts=["preprocessor"], verify="none"
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(source).backend_tokenizer
    saved = SavedPreprocessor(TokenizerCase("real", lambda: tokenizer), done.paths["preprocessor"])
    assert_same_tokens(saved, corpus(assets))


def corpus(assets: Path) -> list[str]:
    """A sample of every corpus: news, prose, Japanese, Korean pairs."""
    folder = assets / "corpora"
    lines = [
        line
        for file in ("en/botchan.txt", "ja/wagahaiwa_nekodearu.txt", "ko-nli/xnli.test.ko.tsv")
        for line in (folder / file).read_text(encoding="utf-8").split("\n")[::3]
    ]
    with (folder / "ag-news/ag_news_norm_test.csv").open(encoding="utf-8") as file:
        lines += [text for row in list(csv.reader(file))[::3] for text in row[1:]]
    return lines
