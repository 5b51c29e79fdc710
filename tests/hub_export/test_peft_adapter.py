"""PEFT adapters, against peft's own merged models."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file

import encoders
import hub_export
from hub_export.errors import ExportError, SourceError
from hub_export.sources import find, huggingface
from hub_export.sources.adapters import peft as peft_adapter
from hub_export.verify import samples
from hub_export.verify.references.families import settled
from tests import checkpoints, unsaved
from tests.outcomes import assert_passed

peft = pytest.importorskip("peft", reason="peft is not installed (pip install .[test])")

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ENCODER = ("encoder",)
QUERY = "encoder.layer.0.attention.self.query"


def adapter(base: Path, folder: Path, kind: str = "AutoModel", **options: Any) -> Any:
    """Writes an adapter with random values over all that it trains; returns peft's merged model."""
    torch.manual_seed(5)
    model = getattr(transformers, kind).from_pretrained(base, attn_implementation="eager")
    configured = getattr(peft, f"{options.pop('method', 'Lora')}Config")
    options = options if configured in (peft.IA3Config, peft.OFTConfig) else {"r": 4, **options}
    adapted = peft.get_peft_model(model, configured(**options))
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn_like(parameter))
    adapted.save_pretrained(folder)
    return adapted.eval().merge_and_unload()


def assert_equal(encode: checkpoints.Encode, merged: Any) -> None:
    encoder = settled(getattr(merged, merged.base_model_prefix, merged))
    config = encoder.config.to_dict()
    size = encoders.architectures()[config["model_type"]].dimensions(config)
    *_, (ids, mask, types), _, _ = samples.batches(size)  # rows with padding and holes
    found = encode(ids, mask, types)
    optional = {"token_type_ids": torch.tensor(types)} if size.types else {}
    with torch.inference_mode():
        expected = encoder(torch.tensor(ids), attention_mask=torch.tensor(mask), **optional)
    scale = float(expected[0].abs().max())
    wanted = expected[0].numpy()
    np.testing.assert_allclose(found.sequence, wanted, rtol=0, atol=1e-5 * scale)
    if getattr(encoder, "pooler", None) is not None:
        np.testing.assert_allclose(found.pooled, expected[1], rtol=0, atol=1e-5 * scale)


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("AutoModel", {"target_modules": ["query", "value"]}),
    "every linear layer": ("AutoModel", {"target_modules": "all-linear", "lora_alpha": 3}),
    "rank-stabilised": ("AutoModel", {"target_modules": ["dense"], "use_rslora": True}),
    "patterns": (
        "AutoModel",
        {
            "target_modules": ["query", "key", "dense"],
            "rank_pattern": {"layer.0.attention.self.query": 2, "key": 7},
            "alpha_pattern": {"pooler.dense": 1, "key": 32, ".*1.*dense": 5},
        },
    ),
    "a pattern of all": (
        "AutoModel",
        {"target_modules": ["query"], "lora_alpha": 3, "alpha_pattern": {".*": 11}},
    ),
    "DoRA": ("AutoModel", {"target_modules": ["query", "dense"], "use_dora": True}),
    "IA3": (
        "AutoModel",
        {
            "method": "IA3",
            "target_modules": ["query", "value", "output.dense"],
            "feedforward_modules": ["output.dense"],
        },
    ),
    "LoHa": (
        "AutoModel",
        {
            "method": "LoHa",
            "target_modules": ["query", "dense"],
            "alpha": 5,
            "alpha_pattern": {"query": 2},
        },
    ),
    "VeRA": ("AutoModel", {"method": "Vera", "target_modules": ["query", "dense"]}),
    "OFT": (
        "AutoModel",
        {"method": "OFT", "oft_block_size": 4, "target_modules": ["query", "dense"]},
    ),
    "OFT, exact": (
        "AutoModel",
        {
            "method": "OFT",
            "r": 3,
            "oft_block_size": 0,
            "use_cayley_neumann": False,
            "target_modules": ["query"],
        },
    ),
    "OFT, constrained, of shared blocks": (
        "AutoModel",
        {
            "method": "OFT",
            "oft_block_size": 6,
            "block_share": True,
            "coft": True,
            "eps": 0.3,
            "num_cayley_neumann_terms": 3,
            "target_modules": ["query"],
        },
    ),
    "tokens": (
        "AutoModel",
        {"target_modules": ["query"], "trainable_token_indices": [3, 7, 5]},
    ),
    "tokens of an embedding": (
        "AutoModel",
        {"target_modules": ["query"], "trainable_token_indices": {"word_embeddings": [2, 9]}},
    ),
    "biases": ("AutoModel", {"target_modules": ["key"], "bias": "all"}),
    "biases of adapted layers": ("AutoModel", {"target_modules": ["key"], "bias": "lora_only"}),
    "embeddings": ("AutoModel", {"target_modules": ["word_embeddings", "query"]}),
    "fan_in_fan_out": ("AutoModel", {"target_modules": ["query"], "fan_in_fan_out": True}),
    "some layers": (
        "AutoModel",
        {"target_modules": ["query"], "layers_to_transform": [1], "layers_pattern": "layer"},
    ),
    "classifier": (
        "AutoModelForSequenceClassification",
        {
            "target_modules": ["query", "dense"],
            "modules_to_save": ["LayerNorm"],
            "task_type": "SEQ_CLS",
        },
    ),
    "masked language model": ("AutoModelForMaskedLM", {"target_modules": ["query"]}),
}


@pytest.mark.parametrize("case", CASES)
def test_numbers(deeper_bert: Path, tmp_path: Path, case: str) -> None:
    kind, options = CASES[case]
    merged = adapter(deeper_bert, tmp_path / "mine", kind, **options)
    encoder, filled = checkpoints.built(tmp_path / "mine", deeper_bert)
    assert_equal(encoder, merged)
    assert ("classifier.weight" in filled.unused) == (case == "classifier")


def test_trained_tokens_that_are_not_all_there(tiny_bert: Path, tmp_path: Path) -> None:
    adapter(tiny_bert, tmp_path / "mine", target_modules=["query"], trainable_token_indices=[3, 4])
    options(trainable_token_indices={"other": [3, 4]})(tmp_path / "mine")
    words = ["trainable_tokens_delta [2, 24] do not go with embeddings.word_embeddings.weight"]
    refuse(tmp_path / "mine", tmp_path / "out", SourceError, *words)


def test_weights_that_torch_pickled(tiny_bert: Path, tmp_path: Path) -> None:
    merged = adapter(tiny_bert, tmp_path / "mine", target_modules=["query"])
    file = tmp_path / "mine" / WEIGHTS
    tensors = {name: torch.tensor(each) for name, each in load_file(file).items()}
    file.unlink()
    torch.save(tensors, file.with_suffix(".bin"))
    assert_equal(checkpoints.built(tmp_path / "mine", tiny_bert)[0], merged)


def test_projections_that_were_not_saved(tiny_bert: Path, tmp_path: Path) -> None:
    options = {"method": "Vera", "target_modules": ["query"], "save_projection": False}
    adapter(tiny_bert, tmp_path / "mine", **options)
    refuse(tmp_path / "mine", tmp_path / "out", SourceError, "save_projection=True")


@pytest.mark.parametrize("model_type", checkpoints.in_transformers())
def test_every_architecture(model_type: str, tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path / "base", model_type, pad_token_id=1)
    loads = encoders.architectures()[model_type].reference
    merged = adapter(tmp_path / "base", tmp_path / "mine", loads, target_modules="all-linear")
    if model_type in peft_adapter.UNSUPPORTED:
        refuse(tmp_path / "mine", tmp_path / "out", SourceError, model_type, "not supported")
        return
    assert_equal(checkpoints.built(tmp_path / "mine")[0], merged)


def test_over_a_roberta_classifier_from_end_to_end(tmp_path: Path) -> None:
    base = tmp_path / "base"
    vocabulary = checkpoints.save_byte_pairs(base)
    sizes = {"vocab_size": vocabulary, "type_vocab_size": 1, "num_hidden_layers": 1}
    checkpoints.save_model(base, "roberta", **sizes)
    merged = adapter(
        base,
        tmp_path / "mine",
        "AutoModelForSequenceClassification",
        target_modules=["query", "value"],
        task_type="SEQ_CLS",
    )
    parts = ["encoder", "preprocessor"]
    done = hub_export.export(tmp_path / "mine", tmp_path / "out", parts=parts, verify="full")
    assert_equal(checkpoints.saved(done.paths["encoder"]), merged)
    assert done.paths["encoder"].parent.name == "mine_L-1_H-24_A-3"
    page = (done.paths["encoder"] / "assets.extra/README.md").read_text()
    assert "A LoRA adapter, merged into the weights of base." in page
    notes = done.report.notes["encoder"]
    assert notes["pooled_output"] == "the pooler's output"
    assert {"classifier.dense.weight", "classifier.out_proj.bias"} <= notes["unused_tensors"].keys()
    assert {"base model: vocab.json", "base model: merges.txt"} <= done.report.source[
        "sha256"
    ].keys()


def test_the_adapter_makes_a_difference(tiny_bert: Path, tmp_path: Path) -> None:
    adapter(tiny_bert, tmp_path / "mine", target_modules=["query"])
    before = find.read(str(tiny_bert)).tensors()[f"{QUERY}.weight"]
    after = find.read(str(tmp_path / "mine"), str(tiny_bert)).tensors()[f"{QUERY}.weight"]
    assert np.abs(before - after).max() > 0.1


def test_over_a_task_model_with_old_names(tiny_bert: Path, tmp_path: Path) -> None:
    """The base model has a prefix and old names of norms; the adapter has neither."""
    base = Path(shutil.copytree(tiny_bert, tmp_path / "base"))
    read = load_file(base / "model.safetensors")
    old = {f"bert.{name}": each for name, each in read.items()}
    for name in [name for name in old if "LayerNorm" in name]:
        new = name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta")
        old[new] = old.pop(name)
    save_file(old, base / "model.safetensors", metadata={"format": "pt"})
    merged = adapter(
        tiny_bert, tmp_path / "mine", target_modules=["query"], modules_to_save=["LayerNorm"]
    )
    assert_equal(checkpoints.built(tmp_path / "mine", base)[0], merged)


TASKS = {
    "text_classification": ("AutoModelForSequenceClassification", "SEQ_CLS"),
    "token_classification": ("AutoModelForTokenClassification", "TOKEN_CLS"),
}


@pytest.mark.parametrize(
    ("model_type", "product"),
    [
        ("bert", "text_classification"),
        ("roberta", "text_classification"),
        ("distilbert", "text_classification"),
        ("bert", "token_classification"),
    ],
)
def test_a_task_with_its_head(model_type: str, product: str, tmp_path: Path) -> None:
    """The base model is an encoder alone; what the adapter brings along makes a task of it."""
    kind, task_type = TASKS[product]
    base, targets = tmp_path / "base", {"distilbert": ["q_lin"]}.get(model_type, ["query"])
    checkpoints.save_model(base, model_type, pad_token_id=0, num_hidden_layers=1)
    checkpoints.save_tokenizer(base, checkpoints.wordpiece(checkpoints.PIECES))
    merged = adapter(base, tmp_path / "mine", kind, target_modules=targets, task_type=task_type)
    (model, notes), checks = unsaved.checks(tmp_path / "mine", "task_model")
    assert_passed(checks)
    assert notes["task"]["labels"] == ("LABEL_0", "LABEL_1")
    ids = find.read(str(tmp_path / "mine")).tokenizer().encode("a b [MASK] c").ids
    with torch.inference_mode():
        wanted = merged(torch.tensor([ids])).logits.numpy()
    found = model(["a b [MASK] c"])["logits"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_the_names_of_the_labels_are_the_base_models(tiny_bert: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(tiny_bert, tmp_path / "base"))
    config = json.loads((base / "config.json").read_text())
    for names in ({"0": "no", "1": "yes"}, {"0": "a", "1": "b", "2": "c"}):
        (base / "config.json").write_text(json.dumps({**config, "id2label": names}))
        kind = "AutoModelForSequenceClassification"
        options = {"target_modules": ["query"], "task_type": "SEQ_CLS"}
        if len(names) == 2:
            adapter(base, tmp_path / "mine", kind, **options)
        read = find.read(str(tmp_path / "mine"), str(base)).config["id2label"]
        assert read == (names if len(names) == 2 else {"0": "LABEL_0", "1": "LABEL_1"})


def test_distilbert(tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path / "base", "distilbert")
    merged = adapter(
        tmp_path / "base",
        tmp_path / "mine",
        "AutoModelForSequenceClassification",
        target_modules=["q_lin", "lin2"],
        task_type="SEQ_CLS",
    )
    encoder, filled = checkpoints.built(tmp_path / "mine", tmp_path / "base")
    assert_equal(encoder, merged)
    assert {"classifier.weight", "pre_classifier.weight"} <= filled.unused.keys()


def test_the_base_model_of_the_config_and_its_tokenizer(tiny_bert: Path, tmp_path: Path) -> None:
    adapter(tiny_bert, tmp_path / "mine", target_modules=["query"])
    checkpoint = find.read(str(tmp_path / "mine"))
    assert checkpoint.tokenizer_file == tiny_bert / "tokenizer.json"
    assert {CONFIG, WEIGHTS, "base model: model.safetensors"} <= checkpoint.files.keys()


def test_its_own_tokenizer(tiny_bert: Path, tmp_path: Path) -> None:
    adapter(tiny_bert, tmp_path / "mine", target_modules=["query"])
    pieces = [*checkpoints.PIECES[:-1], "own"]
    checkpoints.save_tokenizer(tmp_path / "mine", checkpoints.wordpiece(pieces))
    tokenizer = find.read(str(tmp_path / "mine")).tokenizer()
    assert tokenizer.encode("own").tokens == ["[CLS]", "own", "[SEP]"]


@pytest.fixture
def mine(tiny_bert: Path, tmp_path: Path) -> Path:
    adapter(tiny_bert, tmp_path / "mine", target_modules=["query"])
    return tmp_path / "mine"


Damage = Callable[[Path], object]


def options(**changes: Any) -> Damage:
    return checkpoints.changing(CONFIG, **changes)


def weights(edit: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    def damage(folder: Path) -> None:
        read = load_file(folder / WEIGHTS)
        edit(read)
        save_file(read, folder / WEIGHTS)

    return damage


FIRST = f"base_model.model.{QUERY}.lora_A.weight"
MAGNITUDE = f"base_model.model.{QUERY}.lora_magnitude_vector"
FACTORS = f"base_model.model.{QUERY}.ia3_l"
SECOND = f"base_model.model.{QUERY}.lora_B.weight"


@pytest.mark.parametrize(
    ("damage", "file", "words"),
    [
        pytest.param(
            options(peft_type="LOKR"),
            CONFIG,
            ["peft_type: 'LOKR' is not supported; supported: 'LORA', 'IA3'"],
            id="type",
        ),
        pytest.param(
            weights(lambda read: read.update({MAGNITUDE: np.ones(23, np.float32)})),
            WEIGHTS,
            ["lora_magnitude_vector [23] do not go with", f"{QUERY}.weight [24, 24]"],
            id="DoRA",
        ),
        pytest.param(
            weights(lambda read: read.update({FACTORS: np.ones((5, 1), np.float32)})),
            WEIGHTS,
            [f"{QUERY}.ia3_l [5, 1] do not go with {QUERY}."],
            id="IA3",
        ),
        pytest.param(
            options(init_lora_weights="pissa"), CONFIG, ["init_lora_weights: 'pissa'"], id="PiSSA"
        ),
        pytest.param(options(novelty=3, lora_bias=True), CONFIG, ["novelty", "lora_bias"], id="2"),
        pytest.param(
            options(alpha_pattern={"query": "x"}),
            CONFIG,
            ["alpha_pattern: query: expected a number, found 'x'"],
            id="alpha",
        ),
        pytest.param(
            options(alpha_pattern={"(?=a)b": 1}),
            CONFIG,
            ["'(?=a)b' is no regular expression of RE2"],
            id="look-ahead",
        ),
        pytest.param(options(alpha_pattern=[1]), CONFIG, ["expected an object"], id="patterns"),
        pytest.param(
            options(lora_alpha=10**400), CONFIG, ["lora_alpha: expected a number"], id="huge alpha"
        ),
        pytest.param(
            options(lora_alpha=float("nan")), CONFIG, ["lora_alpha: expected a number"], id="NaN"
        ),
        pytest.param(
            options(base_model_name_or_path=5),
            CONFIG,
            ["base_model_name_or_path: expected a text, found 5"],
            id="base model 5",
        ),
        pytest.param(
            weights(
                lambda read: read.update(
                    {FIRST: read[FIRST][:0].copy(), SECOND: read[SECOND][:, :0].copy()}
                )
            ),
            WEIGHTS,
            ["[0, 24]", "[24, 0]"],
            id="rank 0",
        ),
        pytest.param(
            options(base_model_name_or_path=None), CONFIG, ["--base_model"], id="no base model"
        ),
        pytest.param(
            options(base_model_name_or_path="/nowhere"),
            "",
            ["/nowhere", "--base_model"],
            id="base model",
        ),
        pytest.param(
            lambda folder: (folder / WEIGHTS).unlink(),
            WEIGHTS,
            ["no such file", "safetensors"],
            id="no weights",
        ),
        pytest.param(
            weights(lambda read: read.pop(SECOND)),
            WEIGHTS,
            [f"has {QUERY}.lora_A.weight, but no {QUERY}.lora_B.weight"],
            id="half",
        ),
        pytest.param(
            weights(lambda read: read.pop(FIRST)),
            WEIGHTS,
            [f"has {QUERY}.lora_B.weight, but no {QUERY}.lora_A.weight"],
            id="other half",
        ),
        pytest.param(
            weights(lambda read: read.update({FIRST: read[FIRST][:, 1:].copy()})),
            WEIGHTS,
            ["[4, 23]", "[24, 4]", f"{QUERY}.weight [24, 24]", "--base_model"],
            id="shape",
        ),
        pytest.param(
            weights(lambda read: read.update({FIRST.replace("query", "other"): read[FIRST]})),
            WEIGHTS,
            ["adapts encoder.layer.0.attention.self.other", "--base_model"],
            id="another module",
        ),
    ],
)
def test_bad_adapters(
    mine: Path, tmp_path: Path, damage: Damage, file: str, words: list[str]
) -> None:
    damage(mine)
    refuse(mine, tmp_path / "out", SourceError, str(mine / file), *words)


def test_a_pattern_that_would_run_away(mine: Path) -> None:
    """Python's own engine needs hours for it."""
    options(alpha_pattern={"(e*)*x": 1, "(.*)*y": 2})(mine)
    assert find.read(str(mine)).tensors()[f"{QUERY}.weight"].shape == (24, 24)


def test_two_that_adapt_each_other(mine: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(mine, tmp_path / "other"))
    options(base_model_name_or_path=str(other))(mine)
    options(base_model_name_or_path=str(mine))(other)
    with pytest.raises(SourceError, match="of which it is itself the base model") as error:
        find.read(str(mine))
    assert len(str(error.value)) < 1500


def test_notes_are_those_of_the_tokenizer_that_is_taken(mine: Path, tmp_path: Path) -> None:
    base = Path(json.loads((mine / CONFIG).read_text())["base_model_name_or_path"])
    odd = Path(shutil.copytree(base, tmp_path / "odd"))
    config = json.loads((odd / "tokenizer_config.json").read_text())
    (odd / "tokenizer_config.json").write_text(json.dumps({**config, "never_split": ["x"]}))
    noted = find.read(str(mine), base_model=str(odd)).notes
    assert any("never_split" in note for note in noted)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / file, mine)
    noted = find.read(str(mine), base_model=str(odd)).notes
    assert not any("never_split" in note for note in noted)


def test_the_revision_of_the_base_model(
    mine: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, revision: str | None, weights: bool = True) -> Path:
        asked.append((name, revision))
        return tiny_bert

    monkeypatch.setattr(huggingface, "download", download)
    options(base_model_name_or_path="user/base", revision="1f2e")(mine)
    find.read(str(mine))
    find.read(str(mine), base_model="user/other")
    assert asked == [("user/base", "1f2e"), ("user/other", None)]


def test_in_the_folder_of_its_base_model(tiny_bert: Path, mine: Path, tmp_path: Path) -> None:
    both = Path(shutil.copytree(tiny_bert, tmp_path / "both"))
    for file in (CONFIG, WEIGHTS):
        shutil.copy(mine / file, both)
    options(base_model_name_or_path=str(both))(both)
    name = f"{QUERY}.weight"
    found, wanted = (find.read(str(each)).tensors()[name] for each in (both, mine))
    np.testing.assert_array_equal(found, wanted)


def test_arguments(mine: Path, tiny_bert: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refuse(tiny_bert, out, ExportError, "base_model is for adapters", base_model=tiny_bert)
    refuse(mine, out, ExportError, "weights=none", "base model", weights="none")


def refuse(model: Path, out: Path, error: type[ExportError], *words: str, **arguments: Any) -> None:
    with pytest.raises(ExportError) as caught:
        hub_export.export(model, out, parts=ENCODER, verify="none", **arguments)
    message = str(caught.value)
    assert caught.type is error, message
    assert [word for word in words if word not in message] == [], message
    assert not out.exists() or not list(out.iterdir())
