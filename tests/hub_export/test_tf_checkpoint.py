"""Checkpoints of TensorFlow 1, written here under the names that Google's code gives variables."""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf
import torch
import transformers

import encoders
import hub_export
from hub_export.errors import ExportError, SourceError
from hub_export.models.session import Session
from hub_export.settings import Settings
from hub_export.sources import find
from hub_export.verify import samples
from tests import checkpoints

CONFIG, VOCABULARY, PREFIX = "bert_config.json", "vocab.txt", "bert_model.ckpt"
OPTIONS = {
    "vocab_size": len(checkpoints.PIECES),
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 36,
    "max_position_embeddings": 40,
    "type_vocab_size": 3,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.2,
}
ENCODER = ("encoder",)
TANH = {"hidden_act": "gelu_new", "initializer_range": 0.3}


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def bert_name(name: str) -> str:
    """A parameter of torch's -> a variable of `google-research/bert`."""
    for pattern, written in (
        (r"layer\.(\d+)", r"layer_\1"),
        (r"(word|position|token_type)_embeddings\.weight", r"\1_embeddings"),
        (r"LayerNorm\.weight", "LayerNorm/gamma"),
        (r"LayerNorm\.bias", "LayerNorm/beta"),
        (r"\.weight", "/kernel"),
        (r"\.", "/"),
    ):
        name = re.sub(pattern, written, name)
    return name


ALBERT_NAMES = (
    ("encoder.albert_layer_groups.", "encoder/transformer/group_"),
    (".albert_layers.", "/inner_group_"),
    ("full_layer_layer_norm", "LayerNorm_1"),
    ("attention.LayerNorm", "LayerNorm"),
    ("attention.dense", "attention_1/output/dense"),
    ("attention.query", "attention_1/self/query"),
    ("attention.key", "attention_1/self/key"),
    ("attention.value", "attention_1/self/value"),
    ("ffn_output", "ffn_1/intermediate/output/dense"),
    ("ffn.", "ffn_1/intermediate/dense."),
    ("pooler.", "pooler/dense."),
    ("LayerNorm_1.weight", "LayerNorm_1/gamma"),
    ("LayerNorm_1.bias", "LayerNorm_1/beta"),
)


def albert_name(name: str) -> str:
    for theirs, written in ALBERT_NAMES:
        name = name.replace(theirs, written)
    return bert_name(name)


def variables(model: torch.nn.Module, rename: Callable[[str], str]) -> dict[str, np.ndarray]:
    """The model's parameters, and what an optimizer and a head put beside them."""
    found = {}
    for name, parameter in model.named_parameters():
        values = parameter.detach().numpy()
        written = "bert/" + rename(name)
        found[written] = values.T if written.endswith("kernel") else values
    slots = {f"{name}/adam_{slot}": 0 * each for name, each in found.items() for slot in "mv"}
    head = {
        "cls/predictions/output_bias": np.zeros(5, np.float32),
        "cls/seq_relationship/output_weights": np.zeros((2, 24), np.float32),
        "global_step": np.array(7, np.int64),
    }
    return {**found, **slots, **head}


def write(prefix: Path, values: Mapping[str, np.ndarray]) -> None:
    names = sorted(values)
    tensors = [tf.constant(values[name]) for name in names]
    tf.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors
    )
    index = prefix.with_name(f"{prefix.name}.index")
    assert index.exists()


@pytest.fixture(scope="module")
def bert() -> Any:
    config = transformers.BertConfig(**OPTIONS, **TANH, attn_implementation="eager")
    return randomised(transformers.BertModel(config))


@pytest.fixture(scope="module")
def original(bert: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tf") / "uncased_L-2_H-24_A-3"
    folder.mkdir()
    write(folder / PREFIX, variables(bert, bert_name))
    config = {**OPTIONS, "hidden_act": "gelu", "initializer_range": 0.02}
    (folder / CONFIG).write_text(json.dumps(config))
    (folder / VOCABULARY).write_text("".join(f"{piece}\n" for piece in checkpoints.PIECES))
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "checkpoint"))


def test_from_end_to_end(original: Path, bert: Any, tmp_path: Path) -> None:
    done = hub_export.export(original, tmp_path, seq_length=32, verify="full")
    assert [path.parent.name for path in done.paths.values()] == [
        "uncased_L_2_H_24_A_3_L-2_H-24_A-3",
        "uncased_L_2_H_24_A_3_preprocess",
        "uncased_L_2_H_24_A_3_text_embedding",
    ]
    unused = done.report.notes["encoder"]["unused_tensors"]
    assert unused["cls/predictions/output_bias"] == "belongs to a task head"
    assert unused["global_step"] == "belongs to the optimizer"
    assert unused["bert/pooler/dense/kernel/adam_v"] == "belongs to the optimizer"
    assert len(unused) == 3 + 2 * len(list(bert.parameters()))
    assert done.report.source["sha256"].keys() == {
        CONFIG,
        VOCABULARY,
        f"{PREFIX}.index",
        f"{PREFIX}.data-00000-of-00001",
    }
    page = (done.paths["encoder"] / "assets.extra/README.md").read_text()
    assert "Text is lower-cased: by the rule that the vocabulary has an entry" in page
    assert "`gelu` is computed in its tanh form" in page
    assert_equal(checkpoints.saved(done.paths["encoder"]), bert)


def assert_equal(encode: checkpoints.Encode, model: Any) -> None:
    """The encoder gives what a model of torch gives."""
    config = model.config.to_dict()
    size = encoders.architectures()[config["model_type"]].dimensions(config)
    *_, (ids, mask, types), _, _ = samples.batches(size)
    found = encode(ids, mask, types)
    with torch.inference_mode():
        expected = model(*map(torch.tensor, (ids, mask, types)))
    for values, each in ((found.sequence, expected[0]), (found.pooled, expected[1])):
        scale = float(each.abs().max())
        np.testing.assert_allclose(values, each.numpy(), rtol=0, atol=1e-5 * max(scale, 1))


def test_albert(tmp_path: Path) -> None:
    spiece = checkpoints.sentence_pieces()
    options = {
        **OPTIONS,
        "vocab_size": len(sentencepiece.SentencePieceProcessor(model_proto=spiece)),
        "num_hidden_layers": 6,
        "num_hidden_groups": 2,
        "inner_group_num": 2,
        "embedding_size": 16,
        "type_vocab_size": 2,
    }
    config = transformers.AlbertConfig(**options, **TANH, attn_implementation="eager")
    model = randomised(transformers.AlbertModel(config))
    found = variables(model, albert_name)
    group = "bert/encoder/transformer/group_1/inner_group_1"
    for name in (
        f"{group}/attention_1/self/query/kernel",
        f"{group}/attention_1/output/dense/bias",
        f"{group}/ffn_1/intermediate/dense/kernel",
        f"{group}/ffn_1/intermediate/output/dense/kernel",
        f"{group}/LayerNorm/beta",
        f"{group}/LayerNorm_1/gamma",
        "bert/encoder/embedding_hidden_mapping_in/kernel",
        "bert/embeddings/LayerNorm/gamma",
        "bert/pooler/dense/kernel",
    ):
        assert name in found
    folder = tmp_path / "albert_tiny"
    folder.mkdir()
    write(folder / "model.ckpt-best", found)
    google = {"net_structure_type": 0, "gap_size": 0, "num_memory_blocks": 0}
    written = {**options, **google, "hidden_act": "gelu", "down_scale_factor": 1}
    (folder / "albert_config.json").write_text(json.dumps(written))
    (folder / "30k-clean.model").write_bytes(spiece)
    assert_equal(checkpoints.built(folder)[0], model)
    checkpoint = find.read(str(folder))
    assert {"albert_config.json", "30k-clean.model"} <= checkpoint.files.keys()
    assert [each for each in checkpoint.notes if "splits the comma off a piece" in each]
    session = Session(checkpoint, Settings(str(folder)))
    tokenize = session.tokenization.preprocessor(session.tokenization.seq_length).tokenizer.tokenize
    one, other = (tokenize(tf.constant([each])) for each in ("LÖ ``ka''", 'lo "ka"'))
    assert one.to_list() == other.to_list()


@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-cased", "bert-multi-cased"])
def test_the_tokenizer_is_that_of_transformers(
    assets: Path, folder: Path, tmp_path: Path, name: str
) -> None:
    """Cased or not is told by the vocabulary alone."""
    shutil.copy(assets / "tokenizers" / name / "vocab.txt", folder / VOCABULARY)
    other = tmp_path / "transformers"
    other.mkdir()
    shutil.copy(folder / VOCABULARY, other / VOCABULARY)
    uncased = name.endswith("uncased")
    theirs = transformers.BertTokenizer.from_pretrained(other, do_lower_case=uncased)
    ours = find.read(str(folder)).tokenizer()
    texts = [
        *samples.AWKWARD,
        "Ünïcode [MASK] 日本語 ½ Hello",
        *samples.fuzz(["a", "É"], ["[MASK]"], 500),
    ]
    for text in texts:
        expected = theirs.backend_tokenizer.encode(text, "pair")
        found = ours.encode(text, "pair")
        assert (found.ids, found.type_ids) == (expected.ids, expected.type_ids), text


def test_a_tokenizer_config_decides_on_case(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    checkpoint = find.read(str(folder))
    assert checkpoint.tokenizer().encode("A").tokens == ["[CLS]", "[UNK]", "[SEP]"]
    assert "Text is not lower-cased: tokenizer_config.json has do_lower_case false." in (
        checkpoint.notes
    )


def test_without_a_pooler(folder: Path, bert: Any, tmp_path: Path) -> None:
    kept = {name: each for name, each in variables(bert, bert_name).items() if "pooler" not in name}
    write(folder / PREFIX, kept)
    assert checkpoints.built(folder)[1].absent == ("pooler",)


Damage = Callable[[Path], object]


def options(**changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        found = {**json.loads((folder / CONFIG).read_text()), **changes}
        kept = {name: each for name, each in found.items() if each is not None}
        (folder / CONFIG).write_text(json.dumps(kept))

    return damage


def object_based(folder: Path) -> None:
    """As TensorFlow 2 and the Model Garden write."""
    for each in folder.glob(f"{PREFIX}.*"):
        each.unlink()
    tf.train.Checkpoint(dense=tf.Variable([1.0])).write(str(folder / PREFIX))


def changed(edit: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    def damage(folder: Path) -> None:
        reader = tf.train.load_checkpoint(str(folder / PREFIX))
        values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
        edit(values)
        write(folder / PREFIX, values)

    return damage


WORDS = "bert/embeddings/word_embeddings"


@pytest.mark.parametrize(
    ("damage", "file", "words"),
    [
        pytest.param(
            options(num_hidden_layers=None),
            CONFIG,
            ["options are missing: num_hidden_layers"],
            id="no layers",
        ),
        pytest.param(options(novelty=3), CONFIG, ["novelty: unknown option"], id="option"),
        pytest.param(options(hidden_act="snake"), CONFIG, ["activation 'snake'"], id="activation"),
        pytest.param(
            options(num_hidden_layers=3),
            PREFIX,
            ["missing (16)", "bert/encoder/layer_2/attention/self/query/kernel"],
            id="layers",
        ),
        pytest.param(
            options(num_hidden_layers=1), PREFIX, ["not part of the encoder (16)"], id="fewer"
        ),
        pytest.param(
            changed(lambda it: it.pop(WORDS)), PREFIX, ["missing (1)", WORDS], id="missing"
        ),
        pytest.param(
            changed(lambda it: it.update({WORDS: it[WORDS][1:]})),
            PREFIX,
            ["embeddings.word_embeddings.weight: expected shape [57, 24], found [56, 24]"],
            id="shape",
        ),
        pytest.param(
            object_based, PREFIX, ["no variables bert/", "TensorFlow 2"], id="TensorFlow 2"
        ),
        pytest.param(
            lambda folder: (folder / f"{PREFIX}.data-00000-of-00001").unlink(),
            PREFIX,
            ["cannot be read"],
            id="no data",
        ),
        pytest.param(
            lambda folder: os.truncate(folder / f"{PREFIX}.data-00000-of-00001", 100),
            PREFIX,
            ["cannot be read"],
            id="truncated",
        ),
        pytest.param(
            lambda folder: (folder / f"{PREFIX}.index").write_text("x"),
            PREFIX,
            ["cannot be read"],
            id="no index",
        ),
        pytest.param(
            lambda folder: (folder / f"{PREFIX}.index").unlink(),
            "",
            ["no *.ckpt*.index"],
            id="no checkpoint",
        ),
        pytest.param(
            lambda folder: (folder / "model.ckpt-7.index").write_text("x"),
            "",
            ["expected one *.ckpt*.index", "bert_model.ckpt.index, model.ckpt-7.index"],
            id="two checkpoints",
        ),
        pytest.param(
            lambda folder: (folder / VOCABULARY).unlink(), "", ["no vocab.txt"], id="vocabulary"
        ),
        pytest.param(
            lambda folder: (folder / VOCABULARY).write_text("[PAD]\n[UNK]\na\na\n"),
            VOCABULARY,
            ["1 entries stand there twice"],
            id="twice",
        ),
    ],
)
def test_bad_checkpoints(
    folder: Path, tmp_path: Path, damage: Damage, file: str, words: list[str]
) -> None:
    damage(folder)
    with pytest.raises(ExportError) as caught:
        hub_export.export(folder, tmp_path / "out", name="x", parts=ENCODER, verify="none")
    message = str(caught.value)
    assert caught.type is SourceError, message
    assert [word for word in [str(folder / file), *words] if word not in message] == [], message
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
