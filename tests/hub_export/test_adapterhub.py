"""Adapters of AdapterHub, against what they are in torch."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from safetensors.numpy import load_file, save_file

import hub_export
from encoders import HeadedEncoder, RealTokens
from encoders.core import bottleneck
from hub_export.errors import SourceError, VerificationError
from hub_export.models import task
from hub_export.settings import Settings
from hub_export.sources import find, huggingface
from hub_export.sources.adapters import adapterhub as source
from hub_export.verify.closeness import CLOSENESS
from tests import adapterhub, checkpoints
from tests.adapterhub import FULL, HOULSBY, PARALLEL, PFEIFFER
from tests.outcomes import assert_passed

CONFIG, HEAD = "adapter_config.json", "head_config.json"
IDS = np.random.default_rng(3).integers(5, 50, (4, 9), np.int32)
MASK = np.ones_like(IDS)
MASK[0, 5:], MASK[2, 2:] = 0, 0

CONFIGS: dict[str, dict[str, Any]] = {
    "Houlsby": HOULSBY,
    "Pfeiffer": PFEIFFER,
    "parallel": PARALLEL,
    "parallel, learned": {**PARALLEL, "mh_adapter": True, "scaling": "learned", "ln_after": True},
    "Adapter+": {
        **FULL,
        "original_ln_before": True,
        "original_ln_after": False,
        "residual_before_ln": False,
        "scaling": "channel",
    },
    "norms": {
        **PFEIFFER,
        "mh_adapter": True,
        "ln_before": True,
        "ln_after": True,
        "non_linearity": "leakyrelu",
        "residual_before_ln": "post_add",
        "reduction_factor": {"1": 5, "default": 0.5},
    },
    "residual before its norm": {
        **HOULSBY,
        "ln_after": True,
        "adapter_residual_before_ln": True,
        "scaling": 0.5,
    },
    "some blocks": {**HOULSBY, "leave_out": [0], "reduction_factor": 100},
}


def assert_close(found: Any, wanted: np.ndarray) -> None:
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * scale)


def assert_equal(folder: Path, base: Path, model: Any) -> None:
    """What is exported gives what the model in torch gives."""
    encoder, filled = checkpoints.built(folder, base)
    real = MASK[..., np.newaxis]
    wanted = adapterhub.outputs(model, IDS, MASK) * real
    assert_close(encoder(IDS, MASK).sequence * real, wanted)
    assert_close(encoder(IDS, MASK, arrange=RealTokens).sequence, wanted)
    assert not filled.unused


@pytest.mark.parametrize("case", CONFIGS)
def test_numbers(case: str, deeper_bert: Path, tmp_path: Path) -> None:
    config = CONFIGS[case]
    model = adapterhub.load(deeper_bert)
    before = adapterhub.outputs(model, IDS, MASK)
    adapterhub.adapt(model, config)
    adapterhub.save(tmp_path / "mine", model, config, old="norm" in case)
    assert np.abs(adapterhub.outputs(model, IDS, MASK) - before).max() > 0.1
    assert_equal(tmp_path / "mine", deeper_bert, model)


# What adapters 1.3.0 itself gives in the places [0, 3, :5], the largest value being under 4.
GIVEN_BY_THE_LIBRARY = {
    "Houlsby": [0.1504639, -1.901179, 0.004905321, 0.6271224, -0.7259729],
    "Pfeiffer": [-0.05283402, -2.056968, 0.2510352, 0.293106, -1.022115],
    "parallel": [-0.98781, 0.911934, -1.903539e-05, -0.6508874, 0.7658815],
    "parallel, learned": [-2.597056, -0.4981794, 0.6594073, -0.4014482, 0.6578939],
    "Adapter+": [-0.5308743, -2.278686, -0.5634602, 0.6344056, 0.04282382],
    "norms": [-1.656347, -1.420197, -0.2293809, 0.7504192, 0.2474204],
    "residual before its norm": [-0.09729894, -1.481847, -0.3674079, 0.3347723, -0.9091351],
    "some blocks": [-0.3631034, -1.955449, -0.01888837, 0.6015993, -0.5055884],
}


@pytest.mark.parametrize("case", CONFIGS)
def test_numbers_of_the_library(case: str, tmp_path: Path) -> None:
    config = CONFIGS[case]
    model = transformers.BertModel(checkpoints.config("bert")).eval()
    adapterhub.fill_with_waves(model)
    model.save_pretrained(tmp_path / "base")
    adapterhub.adapt(model, config)
    adapterhub.fill_with_waves(model)
    adapterhub.save(tmp_path / "mine", model, config, old="norm" in case)
    encoder, _ = checkpoints.built(tmp_path / "mine", tmp_path / "base")
    found = encoder(IDS, MASK).sequence[0, 3, :5]
    np.testing.assert_allclose(found, GIVEN_BY_THE_LIBRARY[case], rtol=0, atol=4e-5)


@pytest.mark.parametrize("model_type", source.SUPPORTED)
def test_every_architecture(model_type: str, tmp_path: Path) -> None:
    """ALBERT has several blocks in a group here; they are counted through."""
    options = {"num_hidden_groups": 2, "inner_group_num": 2} if model_type == "albert" else {}
    checkpoints.save_model(tmp_path / "base", model_type, pad_token_id=1, **options)
    model = adapterhub.load(tmp_path / "base")
    config = {**PFEIFFER, "leave_out": [1], "mh_adapter": model_type != "albert"}
    adapterhub.adapt(model, config)
    adapterhub.save(tmp_path / "mine", model, config)
    assert_equal(tmp_path / "mine", tmp_path / "base", model)


@pytest.fixture(scope="module")
def pfeiffer(deeper_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder with an adapter that names its base model, and its model in torch."""
    folder, model = tmp_path_factory.mktemp("adapters") / "pfeiffer", adapterhub.load(deeper_bert)
    adapterhub.adapt(model, PFEIFFER)
    adapterhub.save(folder, model, PFEIFFER, model_name=str(deeper_bert))
    return folder, model


@pytest.fixture
def mine(pfeiffer: tuple[Path, Any], tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(pfeiffer[0], tmp_path / "mine"))


def test_the_gradients_are_those_of_torch(pfeiffer: tuple[Path, Any]) -> None:
    folder, model = pfeiffer
    encoder, _ = checkpoints.built(folder)
    weights = np.random.default_rng(4).normal(size=(*IDS.shape, 24)).astype(np.float32)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(encoder(IDS, MASK).sequence * weights)
    own = [each for each in encoder.trainable_variables if each.name.startswith("adapters/")]
    assert len(own) == 2 * 4
    found = dict(zip([each.name for each in own], tape.gradient(value, own), strict=True))
    output = model(torch.tensor(IDS), attention_mask=torch.tensor(MASK)).last_hidden_state
    model.zero_grad()
    (output * torch.tensor(weights)).sum().backward()
    first = model.encoder.layer[0].output.adapters[adapterhub.NAME]
    wanted = first.adapter_down[0].weight.grad.numpy().T
    assert_close(found["adapters/0/feed_forward/down/kernel:0"], wanted)


def test_dropout_in_training_alone(mine: Path, pfeiffer: tuple[Path, Any]) -> None:
    options(dropout=0.5)(mine)
    with_dropout, without = (checkpoints.built(each)[0] for each in (mine, pfeiffer[0]))
    calm = [encoder(IDS, MASK).sequence for encoder in (with_dropout, without)]
    np.testing.assert_array_equal(*calm)
    adapter = with_dropout.adapters[0].feed_forward
    assert adapter.dropout.rate == 0.5
    assert np.mean(adapter.change(tf.ones([50, 24]), training=True) == 0) > 0.3


def test_bfloat16(pfeiffer: tuple[Path, Any], deeper_bert: Path) -> None:
    folder, model = pfeiffer
    encoder, _ = checkpoints.built(folder, deeper_bert, tf.bfloat16)
    adapter = encoder.adapters[0].feed_forward
    assert adapter.down.kernel.dtype == tf.bfloat16
    found, wanted = encoder(IDS, MASK).sequence.numpy(), adapterhub.outputs(model, IDS, MASK)
    real = MASK != 0
    closeness = CLOSENESS["bfloat16"]
    assert closeness.distance(found[real], wanted[real]) < closeness.tolerance


def test_adapters_stand_in_the_order_of_their_blocks(tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path / "base", "bert", num_hidden_layers=12)
    model = adapterhub.load(tmp_path / "base")
    adapterhub.adapt(model, HOULSBY)
    adapterhub.save(tmp_path / "mine", model, HOULSBY)
    encoder, _ = checkpoints.built(tmp_path / "mine", tmp_path / "base")
    for adapters, block in zip(encoder.adapters, encoder.blocks, strict=True):
        assert block.attention_join is adapters.attention
        assert block.feed_forward_join is adapters.feed_forward


def test_names_and_activations_of_the_first_version(deeper_bert: Path, tmp_path: Path) -> None:
    """Without a version, `gelu` means its tanh form; lists had the names of their kinds."""
    model = adapterhub.load(deeper_bert)
    adapterhub.adapt(model, {**PFEIFFER, "non_linearity": "gelu_new"})
    old_config = {**PFEIFFER, "non_linearity": "gelu", "inv_adapter": "nice"}
    adapterhub.save(tmp_path, model, old_config, old=True)
    read = torch.load(tmp_path / "pytorch_adapter.bin", weights_only=True)
    old = {name.replace(".adapters.", ".layer_text_task_adapters."): read[name] for name in read}
    torch.save(old, tmp_path / "pytorch_adapter.bin")
    assert_equal(tmp_path, deeper_bert, model)


LORA = {
    "alpha": 8,
    "architecture": "lora",
    "attn_matrices": ["q", "v"],
    "composition_mode": "add",
    "dropout": 0.0,
    "dtype": None,
    "init_weights": "lora",
    "intermediate_lora": True,
    "leave_out": [],
    "output_lora": False,
    "r": 4,
    "selfattn_lora": True,
    "use_dora": False,
    "use_gating": False,
    "vera_b": None,
    "vera_d": None,
}
IA3 = {**LORA, "alpha": 2, "composition_mode": "scale", "init_weights": "ia3", "r": 1}


def lora(folder: Path, base: Path, config: dict[str, Any], factor: float, **meta: Any) -> Any:
    """Writes LoRA or IA3; returns a model whose layers' outputs are changed by it."""
    model, tensors = adapterhub.load(base), dict[str, torch.Tensor]()
    draw = torch.Generator().manual_seed(7)
    is_scale = config["composition_mode"] == "scale"
    for name, layer in model.named_modules():
        if not name.endswith((".query", ".value", "intermediate.dense")):
            continue
        outputs, inputs = layer.weight.shape
        a = torch.randn(config["r"], inputs, generator=draw) * 0.3
        b = torch.randn(outputs, config["r"], generator=draw) * 0.3
        module = f"bert.{name}.loras.{adapterhub.NAME}"
        tensors |= {f"{module}.lora_B": b} | ({} if is_scale else {f"{module}.lora_A": a})

        def changed(_: Any, given: Any, output: Any, a: Any = a, b: Any = b) -> Any:
            return output * b[:, 0] * factor if is_scale else output + given[0] @ a.T @ b.T * factor

        layer.register_forward_hook(changed)
    adapterhub.write(folder, "adapter", config, tensors, model, **meta)
    return model


@pytest.mark.parametrize(
    ("config", "factor", "version"),
    [
        pytest.param(LORA, 8 / 4, "adapters.1.3.0", id="LoRA"),
        pytest.param(LORA, 1, "adapters.1.0.1", id="a version that took r for alpha"),
        pytest.param(IA3, 2, "adapters.1.1.0", id="IA3"),
    ],
)
def test_what_is_merged(
    config: dict[str, Any], factor: float, version: str, deeper_bert: Path, tmp_path: Path
) -> None:
    model = lora(tmp_path / "mine", deeper_bert, config, factor, version=version)
    assert_equal(tmp_path / "mine", deeper_bert, model)


CLASSIFIER = {
    "activation_function": "tanh",
    "bias": True,
    "dropout_prob": None,
    "head_type": "classification",
    "label2id": {"no": 1, "yes": 0, "?": 2},
    "layers": 2,
    "num_labels": 3,
    "use_pooler": False,
}
TAGGER = {
    "activation_function": "tanh",
    "dropout_prob": 0.3,
    "head_type": "tagging",
    "label2id": None,
    "layers": 1,
    "num_labels": 5,
}
ANSWERS = {**TAGGER, "head_type": "question_answering", "num_labels": 2}
MULTI_LABEL = {**CLASSIFIER, "head_type": "multilabel_classification"}
FEW = {"label2id": None, "num_labels": 1}
HEADS: dict[str, tuple[dict[str, Any], str, tuple[str, ...], str]] = {
    "classifier": (CLASSIFIER, "text-classification", ("yes", "no", "?"), "softmax"),
    "of the pooler": (
        {**CLASSIFIER, "layers": 1, "use_pooler": True},
        "text-classification",
        ("yes", "no", "?"),
        "softmax",
    ),
    "without activation": (
        {**CLASSIFIER, "activation_function": None},
        "text-classification",
        ("yes", "no", "?"),
        "softmax",
    ),
    "multi-label": (MULTI_LABEL, "text-classification", ("yes", "no", "?"), "sigmoid"),
    "regression": ({**CLASSIFIER, **FEW}, "text-classification", ("LABEL_0",), "linear"),
    "tagger": (TAGGER, "token-classification", tuple(f"LABEL_{at}" for at in range(5)), ""),
    "answers": (ANSWERS, "question-answering", (), ""),
}


@pytest.mark.parametrize("case", HEADS)
def test_heads(case: str, mine: Path, pfeiffer: tuple[Path, Any]) -> None:
    config, name, labels, activation = HEADS[case]
    model, between = pfeiffer[1], torch.nn.Tanh() if config["activation_function"] else None
    head = adapterhub.head(config["layers"], config["num_labels"], 24, between)
    adapterhub.save_head(mine, model, config, head)
    checkpoint = find.read(str(mine))
    found = task.read(checkpoint, Settings(model=str(mine), output_dir="out"))
    assert found is not None
    assert (found.name, found.labels, found.activation) == (name, labels, activation)
    architecture = checkpoints.architecture(checkpoint)
    made = found.head(checkpoint.config, architecture.declare(checkpoint.config))
    encoder, filled = architecture.build(checkpoint.config, checkpoint.tensors(), head=made)
    given = HeadedEncoder(encoder, made)(IDS, MASK)
    with torch.inference_mode():
        encoded = model(torch.tensor(IDS), attention_mask=torch.tensor(MASK))
        vectors = encoded.last_hidden_state
        if name == "text-classification":
            vectors = encoded.pooler_output if config["use_pooler"] else vectors[:, 0]
        logits = head(vectors).numpy()
    real = MASK[..., np.newaxis] if logits.ndim == 3 else 1
    joined = given["logits"] if "logits" in given else tf.stack([*given.values()], axis=-1)
    assert_close(joined * real, logits * real)
    assert made.dropout.rate == (config["dropout_prob"] or 0.1)
    assert not filled.unused


def test_a_head_of_a_class_of_transformers(mine: Path, pfeiffer: tuple[Path, Any]) -> None:
    """Its tensors have the names of the class; what it is called, `head_config.json` says."""
    head = torch.nn.Linear(24, 2)
    tensors = {f"classifier.{name}": each for name, each in head.state_dict().items()}
    adapterhub.write(
        mine,
        "head",
        None,
        tensors,
        pfeiffer[1],
        label2id={"bad": 0, "good": 1},
        model_class="BertForSequenceClassification",
    )
    checkpoint = find.read(str(mine))
    found = task.read(checkpoint, Settings(model=str(mine), output_dir="out"))
    assert found is not None and found.form is None and found.labels == ("bad", "good")
    np.testing.assert_array_equal(checkpoint.tensors()["classifier.bias"], head.bias.detach())


@pytest.fixture(scope="module")
def exported(
    pfeiffer: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory
) -> hub_export.Export:
    """A classifier, compared with torch."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(pfeiffer[0], folder / "mine")
    head = adapterhub.head(2, 3, 24, torch.nn.Tanh())
    adapterhub.save_head(folder / "mine", pfeiffer[1], CLASSIFIER, head)
    return hub_export.export(folder / "mine", folder / "out", parts=("task_model",), verify="quick")


def test_an_export_is_compared_with_torch(exported: hub_export.Export) -> None:
    assert_passed(exported.report.checks)
    assert {CONFIG, HEAD, "adapter.safetensors"} <= exported.report.source["sha256"].keys()
    page = (exported.paths["text_classification"] / "assets.extra/README.md").read_text()
    assert "Bottleneck adapters, inside the blocks of deeper-bert." in page


def test_the_adapters_of_an_export_can_be_trained_alone(exported: hub_export.Export) -> None:
    model = tf.saved_model.load(str(exported.paths["text_classification"]))
    assert set(model(["a b", "c"])["label"].numpy()) <= {b"yes", b"no", b"?"}
    own = [each for each in model.trainable_variables if each.name.startswith("adapters/")]
    assert len(own) == 2 * 4
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(["a b", "c"], training=True)["logits"]))
    gradients = tape.gradient(loss, own)
    assert all(np.abs(each).max() > 0 for each in gradients)


def test_a_wrong_adapter_is_seen(
    pfeiffer: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = bottleneck.Adapter.change
    monkeypatch.setattr(bottleneck.Adapter, "change", lambda *given: 1.001 * right(*given))
    with pytest.raises(VerificationError, match="numbers"):
        hub_export.export(pfeiffer[0], tmp_path, parts=("encoder",), verify="quick")


Damage = Callable[[Path], object]


def options(**changes: Any) -> Damage:
    """Changes of the adapter's options."""

    def damage(folder: Path) -> None:
        read = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps({**read, "config": {**read["config"], **changes}}))

    return damage


def top(**changes: Any) -> Damage:
    """Changes of what stands around them."""
    return checkpoints.changing(CONFIG, **changes)


def weights(edit: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    """Changes of the tensors."""

    def damage(folder: Path) -> None:
        read = load_file(folder / "adapter.safetensors")
        edit(read)
        save_file(read, folder / "adapter.safetensors")

    return damage


FIRST = f"bert.encoder.layer.0.output.adapters.{adapterhub.NAME}"


def drop_block(tensors: dict[str, np.ndarray]) -> None:
    for name in [name for name in tensors if name.startswith(FIRST)]:
        del tensors[name]


REFUSED: dict[str, tuple[Damage, str]] = {
    "prefix tuning": (options(architecture="prefix_tuning"), "prefix tuning is not supported"),
    "prompt tuning": (options(architecture="prompt_tuning"), "prompt tuning is not supported"),
    "a union": (options(architecture="union"), r"union of several kinds .* is not supported"),
    "ReFT": (options(architecture="reft"), "ReFT is not supported"),
    "Compacter": (options(phm_layer=True), "phm_layer: Compacter"),
    "gates": (options(use_gating=True), "use_gating: gates"),
    "cross-attention": (options(cross_adapter=True), "cross_adapter"),
    "DoRA": (options(**{**LORA, "use_dora": True}), "use_dora: DoRA"),
    "VeRA": (options(**{**LORA, "vera_d": 0.1}), "vera_d: VeRA"),
    "a novelty": (options(novelty=3), r"unknown options \{'novelty': 3\}"),
    "scaling": (options(scaling="sigmoid"), "expected a number, learned or channel"),
    "residual": (
        options(original_ln_before=False, residual_before_ln="post_add"),
        "residual_before_ln: expected true or false",
    ),
    "a part without tensors": (
        options(mh_adapter=True),
        "adapters of attention and feed-forward, found tensors of feed-forward",
    ),
    "a name for options": (top(config="pfeiffer"), "expected an object for config"),
    "another model": (
        top(model_type="roberta"),
        "is for model_type roberta, but deeper-bert is bert; say the right base model",
    ),
    "an architecture": (top(model_type="mbart"), "model_type mbart are not supported"),
    "a tensor too much": (
        weights(lambda tensors: tensors.update(more=np.ones(3, np.float32))),
        "the weights have more, which belongs to no bottleneck adapter",
    ),
    "left out": (options(leave_out=[[1]]), r"leave_out: expected numbers of layers"),
    "invertible": (
        weights(lambda tensors: tensors.update({"invertible_adapters.x": np.ones(2, "f4")})),
        "invertible adapters",
    ),
    "no weights": (
        lambda folder: (folder / "adapter.safetensors").unlink(),
        r"no weights; expected one of adapter\.safetensors, pytorch_adapter\.bin",
    ),
    "fusion": (
        lambda folder: (folder / "adapter_fusion_config.json").write_text("{}"),
        "AdapterFusion is not supported",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, mine: Path) -> None:
    damage, words = REFUSED[case]
    damage(mine)
    with pytest.raises(SourceError, match=words):
        find.read(str(mine))


def test_pickled_code_is_not_run(mine: Path) -> None:
    (mine / "adapter.safetensors").unlink()
    torch.save({"x": print}, mine / "pytorch_adapter.bin")
    with pytest.raises(SourceError, match="not a file of plain tensors"):
        find.read(str(mine))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (weights(drop_block), r"for blocks \[1\], the encoder has 2"),
        (options(non_linearity="laplace"), "unsupported activation 'laplace'"),
        (
            weights(lambda t: t.update({f"{FIRST}.adapter_up.bias": np.ones(3, np.float32)})),
            r"feed_forward\.up\.bias: expected shape \[24\], found \[3\]",
        ),
    ],
    ids=["a block", "activation", "shape"],
)
def test_what_does_not_fit_the_encoder(damage: Damage, words: str, mine: Path) -> None:
    damage(mine)
    with pytest.raises(SourceError, match=words):
        hub_export.export(mine, mine / "out", parts=("encoder",), verify="none")


@pytest.mark.parametrize(
    "files",
    [
        ["adapter.safetensors", "model_head.safetensors"],
        ["pytorch_adapter.bin", "pytorch_model_head.bin"],
    ],
)
def test_what_is_downloaded(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configurations and safetensors; pickled files where there are no others."""
    offered = {CONFIG, HEAD, *files, "pytorch_adapter.bin", "notes.txt"}

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        del name, revision
        for file in huggingface_hub.utils.filter_repo_objects(
            offered, allow_patterns=allow_patterns
        ):
            (tmp_path / file).touch()
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    huggingface.download("user/adapter", None)
    assert {each.name for each in tmp_path.iterdir()} == {CONFIG, HEAD, *files}


def test_a_stack(mine: Path, pfeiffer: tuple[Path, Any]) -> None:
    with pytest.raises(SourceError, match="a stack of adapters is not supported"):
        find.read(str(mine), str(pfeiffer[0]))


def test_attention_of_albert(mine: Path, tmp_path: Path) -> None:
    checkpoints.save_model(tmp_path / "base", "albert")
    top(model_type="albert")(mine)
    options(mh_adapter=True)(mine)
    with pytest.raises(SourceError, match="mh_adapter: not supported for albert"):
        find.read(str(mine), str(tmp_path / "base"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head_type": "multiple_choice"}, "a head of type multiple_choice is not supported"),
        ({"layers": 3}, "layers: up to 2 are supported, found 3"),
    ],
)
def test_heads_that_can_only_be_left_out(
    changes: dict[str, Any], words: str, mine: Path, pfeiffer: tuple[Path, Any]
) -> None:
    head = adapterhub.head(2, 3, 24, torch.nn.Tanh())
    adapterhub.save_head(mine, pfeiffer[1], {**CLASSIFIER, **changes}, head)
    checkpoint = find.read(str(mine))
    asked = {"model": str(mine), "output_dir": "out"}
    with pytest.raises(SourceError, match=f"{words}.*; to leave the head out, say task=feature"):
        task.read(checkpoint, Settings(**asked))
    assert task.read(checkpoint, Settings(**asked, task="feature-extraction")) is None


def test_a_head_without_its_configuration(mine: Path, pfeiffer: tuple[Path, Any]) -> None:
    adapterhub.save_head(mine, pfeiffer[1], CLASSIFIER, adapterhub.head(2, 3, 24, torch.nn.Tanh()))
    (mine / HEAD).unlink()
    with pytest.raises(SourceError, match=r"head_config\.json: no such file"):
        find.read(str(mine))


def test_a_head_of_other_tensors(mine: Path, pfeiffer: tuple[Path, Any]) -> None:
    adapterhub.save_head(mine, pfeiffer[1], CLASSIFIER, adapterhub.head(1, 3, 24, None))
    with pytest.raises(SourceError, match=r"heads\.mine\.4\.bias is in one only"):
        find.read(str(mine))
