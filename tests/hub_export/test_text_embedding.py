"""The text embedding, from end to end, beside sentence-transformers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Dropout, LayerNorm, Pooling
from tokenizers import normalizers

import hub_export
from encoders import DenseModule
from hub_export.models import text as text_model
from hub_export.verify.checks import Outcome
from tests import checkpoints, unsaved
from tests.outcomes import assert_passed

TEXTS = ["a bad cab", "", "  \t ", "d e f", "x[MASK]y", "a " * 200, "Üben A b", "[SEP] \0 a\0b"]
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")

Make = Callable[..., Path]


def writing(base: Path, folder: Path) -> Make:
    def made(*modules: Any, max_seq_length: int = 20, **options: Any) -> Path:
        path = folder / "source"
        transformer = Transformer(str(base), max_seq_length=max_seq_length)
        model = SentenceTransformer(modules=[transformer, *modules], device="cpu", **options)
        model.save(str(path), create_model_card=False)
        return path

    return made


@pytest.fixture
def make(tiny_bert: Path, tmp_path: Path) -> Make:
    """Writes a checkpoint of sentence-transformers around the tiny BERT."""
    return writing(tiny_bert, tmp_path)


@pytest.fixture(scope="module")
def model(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A text embedding with a dense layer, loaded."""
    make = writing(tiny_bert, tmp_path_factory.mktemp("embedding"))
    return load(export(make(Pooling(24, pooling_mode="mean"), Dense(24, 8), Normalize())))


def export(source: Path, **options: Any) -> hub_export.Export:
    out = source.parent / "out"
    return hub_export.export(
        source, out, name="x", parts=["text_embedding"], **{"verify": "none", **options}
    )


def load(done: hub_export.Export) -> Any:
    return tf.saved_model.load(str(done.paths["text_embedding"]))


def product(source: Path, **options: Any) -> unsaved.Product:
    """What an export would save."""
    return unsaved.product(source, "text_embedding", **options)


def subjects(source: Path, **options: Any) -> list[str]:
    """What an export would compare, all of which must pass."""
    _, checks = unsaved.checks(source, "text_embedding", **options)
    assert_passed(checks)
    return [check.subject for check in checks]


def assert_same(call: Callable[..., Any], source: Path, **options: Any) -> None:
    """The vectors, in one batch, are those that sentence-transformers gives one by one."""
    model = SentenceTransformer(str(source), device="cpu", local_files_only=True)
    wanted = model.encode(TEXTS, batch_size=1, show_progress_bar=False, **options)
    found = call(tf.constant(TEXTS)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def notes(done: hub_export.Export) -> dict[str, Any]:
    file = done.paths["text_embedding"] / "assets.extra" / "verification.json"
    found: dict[str, Any] = json.loads(file.read_text())["notes"]["text_embedding"]
    return found["embedding"]


def test_the_real_checkpoint(minilm: Path, minilm_export: hub_export.Export) -> None:
    done = minilm_export
    assert done.paths["text_embedding"].parent.name == "all_minilm_l6_v2_text_embedding"
    assert [check.subject for check in done.report.checks][-2:] == [
        "weights of the text embedding",
        "vectors, against sentence-transformers",
    ]
    assert_same(load(done), minilm)
    layer = hub.KerasLayer(
        str(done.paths["text_embedding"]), input_shape=[], dtype=tf.string, trainable=True
    )
    assert layer(tf.constant(["a", "b c"])).shape == (2, 384)
    assert len(layer.trainable_weights) == len(load(done).trainable_variables) > 0


def test_poolings_stand_behind_each_other(make: Make) -> None:
    """And no row depends on its neighbours."""
    source = make(Pooling(24, pooling_mode=MODES[::-1]))
    model, said = product(source)
    assert_same(model, source)
    assert said["embedding"]["pooling"] == " + ".join(MODES[::-1])
    together = model(tf.constant(TEXTS)).numpy()
    assert np.isfinite(together).all()
    scale = np.linalg.norm(together, axis=1)
    for at, text in enumerate(TEXTS):
        alone = model(tf.constant([text]))[0]
        np.testing.assert_allclose(alone, together[at], rtol=0, atol=1e-6 * scale[at])
    assert model(tf.constant([], tf.string)).shape == (0, 144)


@pytest.mark.usefixtures("optimized")
def test_modules(make: Make) -> None:
    source = make(
        Pooling(24, pooling_mode="mean"),
        Dense(24, 12, activation_function=torch.nn.GELU()),
        LayerNorm(12),
        Dense(12, 12, bias=False, use_residual=True),
        Dense(12, 7, activation_function=torch.nn.Identity(), use_residual=True),
        Dropout(0.5),
        Normalize(),
    )
    done = export(source, verify="full")
    assert_same(load(done), source)
    assert load(done)(["a"]).shape == (1, 7)
    assert notes(done)["modules"][0] == "Dense (24 to 12, gelu)"


def test_rows_beyond_the_positions_are_cut_there(make: Make, tiny_bert: Path) -> None:
    """Published models ask for more rows than there are; sentence-transformers fails at them."""
    positions = json.loads((tiny_bert / "config.json").read_text())["max_position_embeddings"]
    done = export(
        make(Pooling(24, pooling_mode="mean"), max_seq_length=positions + 2), verify="full"
    )
    assert done.report.passed
    assert notes(done)["max_length"] == positions
    card = (done.paths["text_embedding"] / "assets.extra" / "README.md").read_text()
    assert f"no positions for {positions + 2}, which the checkpoint asks for" in card


def test_signatures(model: Any) -> None:
    assert set(model.signatures) == {"serving_default", "tokens"}
    texts = tf.constant(TEXTS)
    served = model.signatures["serving_default"](text=texts)
    assert list(served) == ["default"]
    np.testing.assert_allclose(served["default"], model(texts), atol=1e-6)
    tokens = model.signatures["tokens"](text=tf.constant(["a b", "c"]))
    assert tokens["sequence_output"].shape == (2, 4, 24)
    np.testing.assert_array_equal(tokens["input_mask"], [[1, 1, 1, 1], [1, 1, 1, 0]])


def test_prompts(make: Make) -> None:
    prompts = {"query": "a query: ", "passage": "b "}
    source = make(Pooling(24, pooling_mode="mean"), prompts=prompts, default_prompt_name="passage")
    done = export(source)
    assert_same(load(done), source)
    assert notes(done)["prompt"] == "b "
    assert_same(product(source, prompt="query").model, source, prompt_name="query")
    assert_same(product(source, prompt="").model, source, prompt="")
    with pytest.raises(
        hub_export.ExportError, match=r"no prompt 'nope'; it has: document, passage, query"
    ):
        export(source, prompt="nope")


def test_a_prompt_that_is_not_pooled(make: Make) -> None:
    source = make(
        Pooling(24, pooling_mode=MODES, include_prompt=False),
        prompts={"query": "represent this: "},
        default_prompt_name="query",
    )
    (model, _), checks = unsaved.checks(source, "text_embedding")
    assert_passed(checks)
    assert_same(model, source)


def test_dimensions(make: Make) -> None:
    source = make(Pooling(24, pooling_mode="mean"), Normalize())
    found = product(source, dimensions=8)
    assert_same(found.model, source, truncate_dim=8, normalize_embeddings=True)
    assert found.notes["embedding"]["dimensions"] == 8
    with pytest.raises(hub_export.ExportError, match="dimensions must be 1 or more, not 0"):
        export(source, dimensions=0)
    with pytest.raises(hub_export.ExportError, match="dimensions must be from 1 to 24, not 25"):
        export(source, dimensions=25)


@pytest.mark.parametrize("own", [[], [Normalize()]], ids=["raw", "normalized"])
@pytest.mark.parametrize("asked", [False, True])
def test_normalized_or_not(make: Make, own: list[Any], asked: bool) -> None:
    pooling, wanted = Pooling(24, pooling_mode="mean"), [Normalize()] if asked else []
    source = make(pooling, *own)
    found = product(source, normalize=asked)
    assert_same(found.model, make(pooling, *wanted))
    assert found.notes["embedding"]["modules"] == ["Normalize"] * asked


@pytest.mark.parametrize(
    ("own", "options"),
    [([], {"normalize": True}), ([Normalize()], {"normalize": False, "dimensions": 8})],
    ids=["normalize", "neither"],
)
def test_another_choice_is_verified(make: Make, own: list[Any], options: dict[str, Any]) -> None:
    assert subjects(make(Pooling(24, pooling_mode="mean"), *own), **options)


def test_columns_left_out_are_normalized_once(make: Make) -> None:
    source = make(Pooling(24, pooling_mode="mean"), Normalize())
    said = unsaved.notes(source, "text_embedding", dimensions=8, normalize=True)["embedding"]
    assert said["modules"] == ["Normalize", "the first 8 columns", "Normalize"]


def test_dimensions_of_the_checkpoint(make: Make) -> None:
    source = make(Pooling(24, pooling_mode="mean"), Normalize(), truncate_dim=6)
    assert_same(product(source).model, source)


def test_another_pooling(make: Make) -> None:
    source = make(Pooling(24, pooling_mode="mean"), Normalize())
    found = product(source, pooling=["max"])
    model = SentenceTransformer(str(source), device="cpu", local_files_only=True)
    model[1].pooling_mode = "max"
    wanted = model.encode(TEXTS, batch_size=1, show_progress_bar=False)
    np.testing.assert_allclose(found.model(tf.constant(TEXTS)), wanted, atol=1e-5)
    assert found.notes["embedding"]["pooling"] == "max"


def test_special_tokens_in_a_text_may_be_text(make: Make) -> None:
    source = make(Pooling(24, pooling_mode="mean"))
    assert subjects(source, special_tokens_in_text=False) == [
        "weights of the text embedding",
        "vectors, against sentence-transformers",
    ]


def test_a_plain_encoder_gives_its_pooled_output(tiny_export: hub_export.Export) -> None:
    assert set(tiny_export.paths) == {"encoder", "preprocessor", "text_embedding"}
    texts = tf.constant(["a bad cab", "", "e"])
    models = {part: tf.saved_model.load(str(path)) for part, path in tiny_export.paths.items()}
    wanted = models["encoder"](models["preprocessor"](texts))["default"]
    np.testing.assert_allclose(models["text_embedding"](texts), wanted, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"pooling": MODES}])
def test_a_plain_encoder_is_compared_with_torch(tiny_bert: Path, options: dict[str, Any]) -> None:
    assert subjects(tiny_bert, **options) == [
        "weights of the text embedding",
        "vectors, against torch, pooled in numpy",
    ]


def save_modules(source: Path, **options: Any) -> None:
    """Writes what older versions of sentence-transformers wrote beside a checkpoint."""
    scope = "sentence_transformers.models"
    names = [("", "Transformer"), ("1_Pooling", "Pooling")]
    files: dict[str, Any] = {
        "modules.json": [
            {"idx": at, "name": str(at), "path": path, "type": f"{scope}.{name}"}
            for at, (path, name) in enumerate(names)
        ],
        "sentence_bert_config.json": {"max_seq_length": 10, "do_lower_case": False, **options},
        "1_Pooling/config.json": {
            "word_embedding_dimension": 24,
            "pooling_mode_cls_token": True,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
        },
    }
    for name, content in files.items():
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(json.dumps(content))


def test_files_of_older_versions_and_lower_case(tmp_path: Path) -> None:
    """The tokenizer is cased; sentence-transformers puts a step before all of its others.

    It pads before a text, which counts as no position where there is one text only.
    """
    source = tmp_path / "source"
    checkpoints.save_model(source, "bert", num_hidden_layers=1)
    cased = normalizers.BertNormalizer(lowercase=False)
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(checkpoints.PIECES, cased))
    config = json.loads((source / "tokenizer_config.json").read_text())
    options = {"do_lower_case": False, "padding_side": "left"}
    (source / "tokenizer_config.json").write_text(json.dumps({**config, **options}))
    save_modules(source, do_lower_case=True)
    (model, said), checks = unsaved.checks(source, "text_embedding")
    assert_passed(checks)
    assert_same(model, source)
    assert (said["embedding"]["pooling"], said["embedding"]["max_length"]) == ("cls + mean", 10)


def test_whitespace_around_a_text_counts(tmp_path: Path) -> None:
    """Byte-level tokenizers keep it, and sentence-transformers no longer strips it."""
    source = tmp_path / "source"
    size = checkpoints.save_byte_pairs(source)
    options = {"vocab_size": size, "pad_token_id": 1, "type_vocab_size": 1}
    checkpoints.save_model(source, "roberta", num_hidden_layers=1, **options)
    save_modules(source)
    model = product(source).model
    assert_same(model, source)
    plain, spaced = model(tf.constant(["ka lo", "  ka lo \n"])).numpy()
    assert np.abs(plain - spaced).max() > 1e-3


def test_a_cross_encoder_takes_pairs(tmp_path: Path) -> None:
    source = tmp_path / "source"
    checkpoints.save_model(source, "bert", "BertForSequenceClassification", num_hidden_layers=1)
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(checkpoints.PIECES))
    (model, _), checks = unsaved.checks(source, "text_embedding")
    assert [(check.subject, check.outcome.value) for check in checks] == [
        ("weights of the text embedding", "passed"),
        ("vectors, against torch, pooled in numpy", "passed"),
        ("vectors of pairs, against torch, pooled in numpy", "passed"),
    ]
    pairs = {"text": tf.constant(["a b", "", "c " * 90]), "text_pair": tf.constant(["c", "d", "e"])}
    assert model.signatures["pair"](**pairs)["default"].shape == (3, 24)


def test_a_weight_or_a_pooling_that_is_wrong_is_found(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(Pooling(24, pooling_mode="mean"), Dense(24, 8), Normalize())
    right = DenseModule.fill

    def wrong(self: DenseModule, tensors: Any) -> None:
        right(self, tensors)
        self.linear.kernel[0, 0].assign(self.linear.kernel[0, 0] + 1e-2)

    monkeypatch.setattr(DenseModule, "fill", wrong)
    refuse(source)
    monkeypatch.setattr(DenseModule, "fill", right)
    pooling = text_model.Pooling
    monkeypatch.setattr(text_model, "Pooling", lambda modes, skipped: pooling(["cls"], skipped))
    _, checks = unsaved.checks(source, "text_embedding")
    failed = [check.subject for check in checks if check.outcome is Outcome.FAILED]
    assert failed == ["vectors, against sentence-transformers"]


def test_random_weights(make: Make) -> None:
    source = make(Pooling(24, pooling_mode="mean"), Dense(24, 8), LayerNorm(8), Normalize())
    for file in ("model.safetensors", "2_Dense/model.safetensors", "3_LayerNorm/model.safetensors"):
        (source / file).unlink()
    (model, _), checks = unsaved.checks(source, "text_embedding", weights="none")
    assert_passed(checks)
    assert model(["a", "b"]).shape == (2, 8)


def refuse(source: Path) -> None:
    with pytest.raises(hub_export.VerificationError, match=r"vectors, against.* FAILED"):
        export(source, verify="full")
    assert list((source.parent / "out").iterdir()) == []


def test_gradients_reach_every_variable(model: Any) -> None:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(tf.constant(["a b", "c", ""]), training=True)[:, 0])
    gradients = tape.gradient(loss, model.trainable_variables)
    assert len(gradients) > 20
    assert all(gradient is not None for gradient in gradients)
    assert model.regularization_losses == []


def test_other_inputs_are_refused(model: Any) -> None:
    for bad in (tf.constant([["a"]]), tf.constant([1]), tf.constant("a")):
        with pytest.raises(ValueError, match=r"TensorSpec\(shape=\(None,\), dtype=tf.string"):
            model(bad)
