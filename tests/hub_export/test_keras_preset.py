"""Keras presets, against keras-hub's own backbones and tokenizers."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf

import hub_export
from hub_export.errors import ExportError, SourceError
from hub_export.models.session import Session
from hub_export.settings import Settings
from hub_export.sources import find
from hub_export.sources.keras import preset as keras_preset
from hub_export.sources.keras import tokenizer as keras_tokenizer
from tests import checkpoints, unsaved
from tests.outcomes import assert_passed

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
keras_hub = pytest.importorskip(
    "keras_hub", reason="keras-hub is not installed (pip install .[keras])"
)

SIZES = {
    "vocabulary_size": len(checkpoints.PIECES),
    "num_layers": 2,
    "num_heads": 3,
    "hidden_dim": 24,
    "intermediate_dim": 36,
    "max_sequence_length": 40,
}
BACKBONES: dict[str, dict[str, Any]] = {
    "BertBackbone": {"num_segments": 3, "dropout": 0.2},
    "DistilBertBackbone": {},
    "AlbertBackbone": {
        "num_layers": 6,
        "num_groups": 2,
        "num_inner_repetitions": 3,
        "embedding_dim": 16,
    },
    "RobertaBackbone": {},
    "XLMRobertaBackbone": {"max_sequence_length": 33},
}
NO_TYPES = {"DistilBertBackbone", "RobertaBackbone", "XLMRobertaBackbone"}
ENCODER = ("encoder",)


def backbone(kind: str, **options: Any) -> Any:
    """A backbone whose weights are spread wide enough that every part shows."""
    made = getattr(keras_hub.models, kind)(**{**SIZES, **BACKBONES[kind], **options})
    generator = np.random.default_rng(7)
    for variable in made.weights:
        spread = generator.normal(0, 0.3, variable.shape)
        base = 1 if variable.path.endswith("gamma") else 0
        variable.assign(base + spread)
    return made


def batch(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, mask and types of rows with padding at their end."""
    generator = np.random.default_rng(3)
    ids = generator.integers(5, SIZES["vocabulary_size"], (4, 17))
    mask = (np.arange(17) < np.array([[17], [5], [1], [12]])).astype(np.int32)
    types = generator.integers(0, 2, ids.shape) * (kind not in NO_TYPES)
    return ids.astype(np.int32), mask, types.astype(np.int32)


def outputs(made: Any, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """keras-hub's sequence, and its pooled output or the first token's vector."""
    ids, mask, types = batch(kind)
    inputs = {"token_ids": ids, "padding_mask": mask, "segment_ids": types}
    found = made({name: each for name, each in inputs.items() if name in made.input})
    if not isinstance(found, dict):
        return np.array(found), np.array(found[:, 0])
    return np.array(found["sequence_output"]), np.array(found["pooled_output"])


def close(found: Any, expected: np.ndarray, mask: np.ndarray) -> None:
    scale = max(1.0, float(np.abs(expected).max()))
    kept = mask.astype(bool) if expected.ndim == 3 else slice(None)
    np.testing.assert_allclose(np.asarray(found)[kept], expected[kept], rtol=0, atol=1e-5 * scale)


def bert_tokenizer(**options: Any) -> Any:
    return keras_hub.models.BertTokenizer(vocabulary=checkpoints.PIECES, **options)


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier with all its files."""
    folder = tmp_path_factory.mktemp("presets") / "tiny_bert_en"
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(
        bert_tokenizer(lowercase=True), sequence_length=20
    )
    task = keras_hub.models.BertTextClassifier(
        backbone("BertBackbone"), num_classes=3, preprocessor=preprocessor
    )
    task.save_to_preset(str(folder))
    return folder


@pytest.fixture
def folder(preset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(preset, tmp_path / "preset"))


@pytest.mark.parametrize("kind", BACKBONES)
@pytest.mark.parametrize("shards", [False, True], ids=["one file", "shards"])
def test_numbers_of_every_backbone(kind: str, shards: bool, tmp_path: Path) -> None:
    """Against keras-hub itself, on the tensors as they are mapped."""
    made = backbone(kind)
    made.save_to_preset(str(tmp_path / "tiny"), **({"max_shard_size": 1e-5} if shards else {}))
    assert len(list((tmp_path / "tiny").glob("*.h5"))) > 1 or not shards
    assert_equal(checkpoints.built(tmp_path / "tiny")[0], made, kind)


def assert_equal(encode: checkpoints.Encode, made: Any, kind: str) -> None:
    ids, mask, types = batch(kind)
    found = encode(ids, mask, types)
    sequence, pooled = outputs(made, kind)
    close(found.sequence, sequence, mask)
    close(found.pooled, pooled, mask)


def byte_pairs() -> Any:
    """RoBERTa's tokenizer, of a small vocabulary."""
    model = json.loads(checkpoints.byte_pairs().to_str())["model"]
    merges = [" ".join(pair) for pair in model["merges"]]
    return keras_hub.models.RobertaTokenizer(vocabulary=model["vocab"], merges=merges)


TOKENIZERS: dict[str, Callable[[], Any]] = {
    "AlbertBackbone": lambda: keras_hub.models.AlbertTokenizer(proto=checkpoints.sentence_pieces()),
    "RobertaBackbone": byte_pairs,
    "XLMRobertaBackbone": lambda: keras_hub.models.XLMRobertaTokenizer(
        proto=checkpoints.sentence_pieces(fairseq=True)
    ),
}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_tokens_and_numbers_of_one_preset(kind: str, tmp_path: Path) -> None:
    folder, tokenizer = tmp_path / "tiny", TOKENIZERS[kind]()
    made = backbone(kind, vocabulary_size=tokenizer.vocabulary_size())
    made.save_to_preset(str(folder))
    tokenizer.save_to_preset(str(folder))
    assert_equal(checkpoints.built(folder)[0], made, kind)
    session = Session(find.read(str(folder)), Settings(str(folder)))
    preprocessor = session.tokenization.preprocessor(session.tokenization.seq_length)
    texts = ["kalo mi", "", "Treing  12-er.", "ñesu x"]
    expected = [list(map(int, row)) for row in tokenizer(texts)]
    assert preprocessor.tokenizer.tokenize(tf.constant(texts)).to_list() == expected
    assert preprocessor.special.padding == tokenizer.pad_token_id


def test_kinds_are_those_of_the_tokenizers(tmp_path: Path) -> None:
    for name, make in [("BertBackbone", bert_tokenizer), *TOKENIZERS.items()]:
        tokenizer, folder = make(), tmp_path / name
        tokenizer.save_to_preset(str(folder))
        built = json.loads(keras_tokenizer.read(folder / "tokenizer.json").to_str())
        assert keras_tokenizer.CLASSES[type(tokenizer).__name__].model == built["model"]["type"]


def test_a_task_preset_from_end_to_end(preset: Path, tmp_path: Path) -> None:
    done = hub_export.export(preset, tmp_path, seq_length=20, verify="full")
    assert {path.parent.name for path in done.paths.values()} == {
        "tiny_bert_en_L-2_H-24_A-3",
        "tiny_bert_en_preprocess",
        "tiny_bert_en_text_embedding",
    }
    unused = done.report.notes["encoder"]["unused_tensors"]
    assert unused["task.weights.h5:layers/dense/vars/0"] == "belongs to a task head"
    assert unused["task.weights.h5:optimizer/vars/0"] == "belongs to the optimizer"
    page = (done.paths["encoder"] / "assets.extra/README.md").read_text()
    assert "- `task.weights.h5:layers/dense/vars/0`: belongs to a task head" in page
    assert "keras-hub's own tokenizer" in page
    assert done.report.source["sha256"].keys() == {
        "config.json",
        "task.json",
        "preprocessor.json",
        "tokenizer.json",
        "vocabulary.txt",
        "model.weights.h5",
    }
    packer = tf.saved_model.load(str(done.paths["preprocessor"]))
    texts = ["Hello, world! a-b", "", "x" * 30 + " 12"]
    packed = packer(tf.constant(texts))
    own = keras_hub.models.BertTextClassifierPreprocessor.from_preset(str(preset))(texts)
    np.testing.assert_array_equal(packed["input_word_ids"], own["token_ids"])
    np.testing.assert_array_equal(packed["input_mask"], own["padding_mask"])
    np.testing.assert_array_equal(packed["input_type_ids"], own["segment_ids"])


EMBEDDED = ["Hello, world! a-b", "", "a bad cab " * 20, "x"]


@pytest.mark.parametrize(
    ("mode", "normalize"), [("mean", True), ("cls", False), ("max", True), ("mean", False)]
)
def test_a_text_embedder(mode: str, normalize: bool, tmp_path: Path) -> None:
    """Its vectors are those of keras-hub, which are not the pooler's."""
    preprocessor = keras_hub.models.BertTextEmbedderPreprocessor(
        bert_tokenizer(lowercase=True), sequence_length=20
    )
    own = keras_hub.models.BertTextEmbedder(
        backbone("BertBackbone"), preprocessor, pooling_mode=mode, normalize=normalize
    )
    own.save_to_preset(str(tmp_path / "tiny"))
    (model, notes), checks = unsaved.checks(tmp_path / "tiny", "text_embedding")
    assert_passed(checks)
    said = notes["embedding"]
    assert (said["pooling"], said["max_length"]) == (mode, 20)
    wanted = own.encode_text(EMBEDDED)
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(model(tf.constant(EMBEDDED)), wanted, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class_name": "BertCausalLM"}, "the task 'BertCausalLM' is not supported"),
        ({"class_name": ["x"]}, "class_name: expected the name of a class, found ['x']"),
        ({"class_name": None}, "class_name: expected the name of a class, found None"),
        (
            {"class_name": "BertTextEmbedder", "config": [1]},
            "config: expected an object of options, found [1]",
        ),
        (
            {"class_name": "BertTextEmbedder", "config": {"pooling_mode": "attention"}},
            "pooling_mode: one of mean, cls, max, not 'attention'",
        ),
        ({"class_name": "BertTextEmbedder", "config": {"new": 1}}, "unknown options"),
        ({"class_name": "BertTextEmbedder", "config": {"normalize": 1}}, "expected bool"),
    ],
)
def test_tasks_that_are_not_known(folder: Path, change: dict[str, Any], words: str) -> None:
    content = json.loads((folder / "task.json").read_text())
    (folder / "task.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(SourceError, match=re.escape(words)):
        find.read(str(folder)).pipeline()


def test_bfloat16_weights(tmp_path: Path) -> None:
    made = backbone("BertBackbone", dtype="bfloat16")
    made.save_to_preset(str(tmp_path / "tiny"))
    tensors = find.read(str(tmp_path / "tiny")).tensors()
    kernel = made.get_layer("pooled_dense").kernel.numpy()
    np.testing.assert_array_equal(tensors["pooler.dense.weight"], kernel.T)
    assert tensors["pooler.dense.weight"].dtype.name == "bfloat16"
    encoder, _ = checkpoints.built(tmp_path / "tiny")
    np.testing.assert_array_equal(encoder.pooler.dense.kernel, kernel.astype(np.float32))
    assert find.read(str(tmp_path / "tiny")).notes[-1].startswith("keras-hub computes this preset")


# Tokenizers.

TEXTS = ["Hello World", "a,b. c!", "  tabs\tand\nlines ", "x" * 40, "", "12-34 (ab)"]


SMALL = {
    "BertBackbone": {"num_layers": 1},
    "AlbertBackbone": {"num_layers": 1, "num_groups": 1, "num_inner_repetitions": 1},
}


@pytest.mark.parametrize("kind", SMALL)
def test_int8_weights_are_brought_back(kind: str, tmp_path: Path) -> None:
    """Every value is that of the preset before it was quantised, but for half a step of int8."""
    made = backbone(kind, **SMALL[kind])
    made.save_to_preset(str(tmp_path / "float32"))
    made.quantize("int8")
    made.save_to_preset(str(tmp_path / "int8"))
    checkpoint = find.read(str(tmp_path / "int8"))
    wanted, found = find.read(str(tmp_path / "float32")).tensors(), checkpoint.tensors()
    assert {*found} == {*wanted}
    for name, values in wanted.items():
        step = np.abs(values).max() / 127
        assert np.abs(found[name] - values).max() <= 0.501 * step, name
    assert any(not np.array_equal(found[name], wanted[name]) for name in wanted)
    assert "brought back to float32" in " ".join(checkpoint.notes)
    assert checkpoints.built(tmp_path / "int8")


@pytest.mark.parametrize("mode", ["int4/128", "float8", "gptq/4/128"])
def test_other_quantized_presets_are_refused(folder: Path, mode: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    layer = {"class_name": "QuantizedDTypePolicy", "config": {"mode": mode, "source_name": None}}
    policies = {"default_policy": None, "policy_map": {"token_embedding": layer}}
    config["config"]["dtype"] = {"class_name": "DTypePolicyMap", "config": policies}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match=rf"config.json: the preset is quantised \({mode}\)"):
        find.read(str(folder))


def same_tokens(made: Any, folder: Path, texts: list[str]) -> None:
    made.save_to_preset(str(folder))
    (folder / "config.json").write_text(json.dumps({"class_name": "BertBackbone", "config": {}}))
    found = keras_preset.tokenizer.read(folder / "tokenizer.json")
    for text in texts:
        (expected,) = made([text])
        assert found.encode(text, add_special_tokens=False).ids == list(expected), text


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lowercase": True},
        {"lowercase": True, "strip_accents": True},
        {"special_tokens_in_strings": True},
    ],
    ids=str,
)
def test_word_pieces(options: dict[str, Any], tmp_path: Path) -> None:
    same_tokens(bert_tokenizer(**options), tmp_path, [*TEXTS, "Éa [MASK] é", "ab [SEP]", "一b日本"])


def test_byte_pairs(assets: Path, tmp_path: Path) -> None:
    folder = assets / "tokenizers" / "roberta"
    made = keras_hub.models.RobertaTokenizer(
        vocabulary=str(folder / "vocab.json"), merges=str(folder / "merges.txt")
    )
    same_tokens(made, tmp_path, [*TEXTS, "It's a <mask>!", "Éa naïve café…", "日本語"])


def test_sentence_pieces(assets: Path, tmp_path: Path) -> None:
    proto = (assets / "tokenizers" / "albert-privately" / "spiece.model").read_bytes()
    made = keras_hub.models.AlbertTokenizer(proto=proto)
    same_tokens(made, tmp_path, [*TEXTS, "Éa naïve café…", "``quoted''"])


def test_fairseq_pieces(assets: Path, tmp_path: Path) -> None:
    proto = (assets / "tokenizers" / "albert-privately" / "spiece.model").read_bytes()
    pieces = keras_hub.models.AlbertTokenizer(proto=proto).get_vocabulary()
    assert pieces[:4] == ["<pad>", "<unk>", "[CLS]", "[SEP]"]
    made = keras_hub.models.XLMRobertaTokenizer(proto=_fairseq(proto))
    same_tokens(made, tmp_path, [*TEXTS, "Éa naïve café…"])
    found = keras_preset.tokenizer.read(tmp_path / "tokenizer.json")
    assert found.encode("a", "b").tokens == ["<s>", "▁a", "</s>", "</s>", "▁b", "</s>"]
    assert found.token_to_id("<mask>") == made.mask_token_id


def _fairseq(proto: bytes) -> bytes:
    """The model with the first pieces that XLM-RoBERTa's has."""
    from sentencepiece import sentencepiece_model_pb2 as pb2

    model = pb2.ModelProto.FromString(proto)
    for piece, (name, kind) in zip(
        model.pieces, [("<unk>", 2), ("<s>", 3), ("</s>", 3)], strict=False
    ):
        piece.piece, piece.type = name, kind
    spec = model.trainer_spec
    spec.unk_id, spec.bos_id, spec.eos_id, spec.pad_id = 0, 1, 2, -1
    spec.unk_piece, spec.bos_piece, spec.eos_piece = "<unk>", "<s>", "</s>"
    return model.SerializeToString()


# Downloads.


def test_a_repository_of_the_hub(preset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(preset)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    checkpoint = find.read("hf://user/tiny_bert")
    assert checkpoint.name == "user/tiny_bert"
    assert checkpoint.config["model_type"] == "bert"
    ((name, patterns),) = asked
    assert name == "user/tiny_bert"
    wanted = {"config.json", "tokenizer.json", "assets/tokenizer/*", "model*.weights.h5"}
    wanted |= {"*.lora.h5"}  # of what adapts a preset
    assert wanted <= set(patterns)


@pytest.mark.parametrize(
    ("model", "handle", "name"),
    [
        ("kaggle://me/bert/keras/mine", "me/bert/keras/mine", "mine"),
        ("kaggle://me/bert/keras/mine/4", "me/bert/keras/mine/4", "mine"),
        ("bert_base_en", "keras/bert/keras/bert_base_en/3", "bert_base_en"),
    ],
)
def test_kaggle(
    preset: Path, monkeypatch: pytest.MonkeyPatch, model: str, handle: str, name: str
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "kagglehub.model_download", lambda handle: asked.append(handle) or str(preset)
    )
    checkpoint = find.read(model)
    assert (asked, checkpoint.name) == ([handle], name)


def test_the_presets_of_the_brief_are_known() -> None:
    for name in ("distil_bert_base_en_uncased", "albert_base_en_uncased", "roberta_base_en"):
        assert keras_preset.is_built_in(name)
    for name in ("distilbert-base-cased", "user/bert_base_en", "no_such_preset", "gpt2"):
        assert not keras_preset.is_built_in(name)


def test_what_kaggle_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: str) -> str:
        raise OSError(f"403 Client Error for {handle}\nmore")

    monkeypatch.setattr("kagglehub.model_download", refuse)
    with pytest.raises(SourceError, match="me/x/keras/y: cannot be had from Kaggle: 403 Client"):
        find.read("kaggle://me/x/keras/y")
    with pytest.raises(SourceError, match="expected kaggle://user/model/keras/variation"):
        find.read("kaggle://me/x/y")


def test_without_keras_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"needs keras-hub \(pip install '\.\[keras\]'"):
        find.read("kaggle://me/bert/keras/mine")


# Bad input: a damage -> the file and the words of the message.

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.weights.h5"
Damage = Callable[[Path], object]


def change(file: str, edit: Callable[[Any], object]) -> Damage:
    def damage(folder: Path) -> None:
        read = json.loads((folder / file).read_text())
        edit(read)
        (folder / file).write_text(json.dumps(read))

    return damage


def options(file: str, **changes: Any) -> Damage:
    return change(file, lambda read: read["config"].update(changes))


def weights(edit: Callable[[h5py.File], object]) -> Damage:
    def damage(folder: Path) -> None:
        with h5py.File(folder / WEIGHTS, "a") as file:
            edit(file)

    return damage


def without(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def lines(name: str, kept: int) -> Damage:
    """All that is behind the first ones is lost."""

    def damage(folder: Path) -> None:
        read = (folder / name).read_text().splitlines()
        (folder / name).write_text("\n".join(read[:kept]))

    return damage


def external(file: h5py.File) -> None:
    values = file["layers/dense/vars/1"][()]
    del file["layers/dense/vars/1"]
    path = Path(file.filename).with_name("elsewhere")
    path.write_bytes(values.tobytes())
    outside = [(str(path), 0, h5py.h5f.UNLIMITED)]
    file["layers/dense/vars"].create_dataset("1", values.shape, "f4", external=outside)


KERNEL = "layers/dense/vars/0"


@pytest.mark.parametrize(
    ("damage", "file", "words"),
    [
        pytest.param(
            change(CONFIG, lambda it: it.update(class_name="GemmaBackbone")),
            CONFIG,
            ["class GemmaBackbone is not supported", "BertBackbone, DistilBertBackbone"],
            id="class",
        ),
        pytest.param(
            change(CONFIG, lambda it: it.pop("config")),
            CONFIG,
            ["object of options"],
            id="no options",
        ),
        pytest.param(
            change(CONFIG, lambda it: it.update(class_name={"x": 1})),
            CONFIG,
            ["class_name: expected the name of a class, found {'x': 1}"],
            id="class of another type",
        ),
        pytest.param(
            options(CONFIG, novelty=3), CONFIG, ["unknown options", "novelty"], id="option"
        ),
        pytest.param(
            change(CONFIG, lambda it: it["config"].pop("num_heads")),
            CONFIG,
            ["missing: num_heads"],
            id="no heads",
        ),
        pytest.param(
            options(CONFIG, max_sequence_length=None),
            CONFIG,
            ["max_sequence_length", "None"],
            id="no positions",
        ),
        pytest.param(
            options(CONFIG, num_heads=5), CONFIG, ["width of 24", "split over 5"], id="heads"
        ),
        pytest.param(options(CONFIG, num_layers="2"), CONFIG, ["num_hidden_layers"], id="text"),
        pytest.param(
            options(CONFIG, num_layers=3),
            WEIGHTS,
            ["missing (16)", "layers/transformer_encoder_2/_feedforward"],
            id="layers",
        ),
        pytest.param(
            options(CONFIG, num_layers=1),
            WEIGHTS,
            ["not part of the encoder (16)", "layers/transformer_encoder_1/_feedforward"],
            id="fewer layers",
        ),
        pytest.param(without(WEIGHTS), WEIGHTS, ["no such file", "download"], id="no weights"),
        pytest.param(
            lambda folder: (folder / WEIGHTS).write_text("version https://git-lfs"),
            WEIGHTS,
            ["not an HDF5 file", "download"],
            id="pointer",
        ),
        pytest.param(
            lambda folder: os.truncate(folder / WEIGHTS, 20_000), WEIGHTS, ["download"], id="cut"
        ),
        pytest.param(
            weights(lambda file: file.pop(KERNEL)), WEIGHTS, ["missing (1)", KERNEL], id="missing"
        ),
        pytest.param(
            weights(lambda file: file.create_dataset("layers/more/vars/0", data=[1.0])),
            WEIGHTS,
            ["not part of the encoder (1)", "layers/more/vars/0"],
            id="left over",
        ),
        pytest.param(
            weights(lambda file: (file.pop(KERNEL), file.create_dataset(KERNEL, data=[[1.0]]))),
            WEIGHTS,
            ["pooler.dense.weight: expected shape [24, 24], found [1, 1]"],
            id="shape",
        ),
        pytest.param(
            weights(external), WEIGHTS, ["layers/dense/vars/1 lies in another file"], id="external"
        ),
    ],
)
def test_bad_presets(folder: Path, tmp_path: Path, damage: Damage, file: str, words: Any) -> None:
    damage(folder)
    refuse(folder, tmp_path / "out", ENCODER, str(folder / file), *words)


@pytest.mark.parametrize(
    ("damage", "file", "words"),
    [
        pytest.param(without(TOKENIZER), TOKENIZER, ["no such file"], id="none"),
        pytest.param(
            change(TOKENIZER, lambda it: it.update(class_name="GemmaTokenizer")),
            TOKENIZER,
            ["class GemmaTokenizer is not supported", "BertTokenizer"],
            id="class",
        ),
        pytest.param(
            change(TOKENIZER, lambda it: it.update(class_name=["x"])),
            TOKENIZER,
            ["class_name: expected the name of a class, found ['x']"],
            id="class of another type",
        ),
        pytest.param(
            change(TOKENIZER, lambda it: it.update(config=["x"])),
            TOKENIZER,
            ["config: expected an object of options, found ['x']"],
            id="no options",
        ),
        *(
            pytest.param(
                options(TOKENIZER, **{name: value}),
                TOKENIZER,
                [f"{name}: expected {kind}", f"found {value!r}"],
                id=f"{name} {value!r}",
            )
            for name, value, kind in [
                ("lowercase", "yes", "bool"),
                ("lowercase", None, "bool"),
                ("strip_accents", [1], "bool"),
                ("split", 1, "bool"),
                ("split_on_cjk", {}, "bool"),
                ("special_tokens_in_strings", "no", "bool"),
                ("suffix_indicator", 5, "str"),
                ("oov_token", ["[UNK]"], "str"),
                ("special_tokens", 5, "list | None"),
                ("special_tokens", "[X]", "list | None"),
                ("special_tokens", [5], "a list of tokens"),
            ]
        ),
        pytest.param(options(TOKENIZER, split=False), TOKENIZER, ["split false"], id="split"),
        pytest.param(
            options(TOKENIZER, novelty=3), TOKENIZER, ["unknown option novelty"], id="option"
        ),
        pytest.param(
            without("assets/tokenizer/vocabulary.txt"),
            "assets/tokenizer/vocabulary.txt",
            ["no such file"],
            id="no vocabulary",
        ),
        pytest.param(
            lines("assets/tokenizer/vocabulary.txt", 50),
            "assets/tokenizer/vocabulary.txt",
            ["the vocabulary ends at id 49, the word embedding has 57 rows", "padded_embedding"],
            id="short vocabulary",
        ),
        pytest.param(
            options(TOKENIZER, oov_token="[UNKNOWN]"),
            "assets/tokenizer/vocabulary.txt",
            ["has no [UNKNOWN]"],
            id="unknown token",
        ),
    ],
)
def test_bad_tokenizers(
    folder: Path, tmp_path: Path, damage: Damage, file: str, words: list[str]
) -> None:
    damage(folder)
    refuse(folder, tmp_path / "out", ("preprocessor",), str(folder / file), *words)


def refuse(model: Path, out: Path, parts: tuple[str, ...], *words: str) -> None:
    with pytest.raises(ExportError) as caught:
        hub_export.export(model, out, parts=parts, seq_length=20, verify="none")
    message = str(caught.value)
    assert caught.type is SourceError, message
    assert [word for word in words if word not in message] == [], message
    assert not out.exists() or not list(out.iterdir())
