"""Checkpoints whose code came with them: read as what is known, their code never run."""

import functools
import json
import math
import shutil
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers.modeling_outputs import BaseModelOutputWithPooling

import encoders
import hub_export
from hub_export.models.session import Session
from hub_export.settings import Settings
from hub_export.sources import find
from hub_export.terminal import Progress
from hub_export.verify import outputs, vectors
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.closeness import CLOSENESS
from hub_export.verify.references.encoder import Reference
from hub_export.verify.references.own import models, nomic_bert_moe
from hub_export.verify.references.task import TaskReference
from hub_export.verify.source import Source
from hub_export.verify.texts import certain
from tests import checkpoints, published
from tests.outcomes import assert_passed

IDS = np.array([[2, 9, 8, 7, 12, 3], [2, 30, 3, 0, 0, 0]], np.int32)
WEIGHTS = "model.safetensors"
MASK = (IDS != 0).astype(np.int32)


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("model_type", ["new", "gte"])
def test_gte_has_the_fixed_scaling_of_its_paper(tmp_path: Path, model_type: str) -> None:
    """The native class with frequencies of the formula in the place of its own."""
    published.save_gte(tmp_path, type_vocab_size=0)
    checkpoints.changing("config.json", model_type=model_type)(tmp_path)
    names = load_file(tmp_path / "model.safetensors")
    assert "encoder.layer.0.attention.qkv_proj.weight" in names
    config = transformers.GteConfig(**{**checkpoints.config("gte").to_dict(), "type_vocab_size": 0})
    steps = torch.arange(0, 8, 2, dtype=torch.float64) / 8
    frequencies = (50.0 * 2.0) ** -steps / 2.0 ** (2 / 8)
    checkpoint = find.read(str(tmp_path))
    tensors = {name: torch.tensor(each) for name, each in checkpoint.tensors().items()}
    native = transformers.GteModel.from_pretrained(
        None, config=config, state_dict=tensors, attn_implementation="eager"
    ).eval()
    native.rotary_emb.inv_freq.copy_(frequencies)
    with torch.inference_mode():
        wanted = native(torch.tensor(IDS), torch.tensor(MASK)).last_hidden_state.numpy()
    encoder, _ = checkpoints.built(tmp_path)
    found = encoder(tf.constant(IDS), tf.constant(MASK)).sequence.numpy()
    close(found[MASK != 0], wanted[MASK != 0])


def test_gte_is_verified_against_transformers(tmp_path: Path) -> None:
    """A classifier, whose tensors begin with `new.`; the card says what was compared."""
    source = tmp_path / "source"
    published.save_gte(source, "GteForSequenceClassification", type_vocab_size=1)
    assert "new.pooler.dense.weight" in load_file(source / "model.safetensors")
    done = hub_export.export(source, tmp_path / "out", parts=("encoder",), verify="quick")
    assert_passed(done.report.checks)
    card = (done.paths["encoder"] / "assets.extra" / "README.md").read_text()
    assert "its code is remote and is never run" in card
    session = Session(find.read(str(source)), Settings(str(source)))
    logits = TaskReference(session)(IDS, MASK, np.zeros_like(IDS))["logits"]
    head, _ = session.head
    pooled = session.built[0](tf.constant(IDS), tf.constant(MASK))
    close(head(pooled, tf.constant(MASK), False)["logits"].numpy(), logits)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"logn_attention_scale": True}, "logn_attention_scale: only False is supported"),
        ({"layer_norm_type": "rms_norm"}, "layer_norm_type: only 'layer_norm'"),
        ({"pack_qkv": False}, "pack_qkv: only True"),
        ({"position_embedding_type": "absolute"}, "position_embedding_type: only 'rope'"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "type: only 'ntk'"),
        ({"rope_scaling": {"type": "ntk", "factor": 2.0, "mixed_b": 0.6}}, "mixed_b: only None"),
        ({"rope_scaling": {"type": "ntk"}}, "factor: expected"),
        ({"rope_scaling": {"type": "ntk", "factor": math.inf}}, "factor: expected a positive, fin"),
        ({"rope_scaling": {"type": "ntk", "factor": 10**400}}, "factor: expected a positive, fin"),
        ({"rope_scaling": {"type": "ntk", "factor": 1e308}}, "factor: 1e.308 times rope_theta 50"),
        ({"rope_theta": "x"}, "rope_theta: expected"),
        ({"rope_theta": math.nan}, "rope_theta: expected a positive, finite number, found nan"),
    ],
)
def test_what_gte_computes_otherwise_is_refused(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    published.save_gte(tmp_path)
    checkpoints.changing("config.json", **options)(tmp_path)
    with pytest.raises(hub_export.SourceError, match=words):
        find.read(str(tmp_path))


def test_an_option_that_only_their_code_may_read_is_refused(tmp_path: Path) -> None:
    published.save_gte(tmp_path)
    checkpoints.changing("config.json", made_up=3)(tmp_path)
    with pytest.raises(hub_export.SourceError, match="made_up: unknown option"):
        hub_export.export(tmp_path, tmp_path / "out", parts=("encoder",), verify="none")


def test_jina_bert_of_ours_is_bert_with_other_parts(tmp_path: Path) -> None:
    """transformers' BERT, given ALiBi as a mask and gated layers in the place of its own."""
    published.save_own(tmp_path, "jina_bert", num_attention_heads=3, type_vocab_size=2)
    checkpoint = find.read(str(tmp_path))
    ours = models.load(checkpoint, pooler=True)
    config = checkpoints.config("bert", attn_implementation="eager", hidden_act="gelu")
    theirs = transformers.BertModel(config).eval()
    state = ours.state_dict()
    for name, values in theirs.state_dict().items():
        if name in state:
            values.copy_(state[name])
    theirs.embeddings.position_embeddings.weight.data.zero_()
    for layer, own in zip(theirs.encoder.layer, ours.layers(), strict=True):
        gates = own["mlp"]["gated_layers"]
        layer.intermediate.forward = lambda x, gates=gates: geglu(gates(x))
        layer.output.dense, layer.output.LayerNorm = own["mlp"]["wo"], own["mlp"]["layernorm"]
    # The slopes of two heads, and the first of four: of a number that is no power of two.
    slopes = torch.tensor([2.0**-4, 2.0**-8, 2.0**-2])[:, None, None]
    places = torch.arange(IDS.shape[1])
    lowest = torch.finfo(torch.float32).min
    bias = torch.where(torch.tensor(MASK)[:, None, None] == 0, lowest, 0.0)
    bias = bias - slopes * (places - places[:, None]).abs()
    with torch.inference_mode():
        wanted = theirs(torch.tensor(IDS), bias)
        found = ours(torch.tensor(IDS), torch.tensor(MASK))
    close(found.last_hidden_state, wanted.last_hidden_state)
    close(found.pooler_output, wanted.pooler_output)


def geglu(x: torch.Tensor) -> torch.Tensor:
    gate, other = x.chunk(2, dim=-1)
    return torch.nn.functional.gelu(gate) * other


@pytest.mark.parametrize(
    ("model_type", "head"),
    [
        ("jina_bert", "SequenceClassification"),
        ("jina_bert", "TokenClassification"),
        ("jina_bert", "QuestionAnswering"),
        ("jina_bert", "MaskedLM"),
        ("nomic_bert_moe", "SequenceClassification"),
        ("nomic_bert_moe", "MaskedLM"),
    ],
)
def test_heads_of_ours_are_berts(tmp_path: Path, model_type: str, head: str) -> None:
    """transformers' BERT with the head, given our encoder in the place of its own."""
    options = MOE if model_type == "nomic_bert_moe" else {}
    labels = {"id2label": {"0": "a", "1": "b"}, **options}
    published.save_own(tmp_path, model_type, head=f"For{head}", **labels)
    session = Session(find.read(str(tmp_path)), Settings(str(tmp_path)))
    assert session.task is not None
    reference = TaskReference(session)
    found = reference(IDS, MASK, np.zeros_like(IDS))
    theirs = published.berts(f"For{head}", {**published.SIZES, **options, "num_labels": 2})
    for name, each in load_file(tmp_path / WEIGHTS).items():
        if not name.startswith("bert.") or (theirs.bert.pooler and "bert.pooler" in name):
            like = name.replace("transform.layer_norm", "transform.LayerNorm")
            theirs.get_parameter(like).data.copy_(torch.tensor(each))
    with torch.inference_mode():
        ours, pooler = reference.encoder(torch.tensor(IDS), torch.tensor(MASK)), theirs.bert.pooler
        pooled = pooler(ours[0]) if pooler is not None and ours[1] is None else ours[1]
        theirs.bert.forward = lambda *_, **__: BaseModelOutputWithPooling(ours[0], pooled)
        wanted = theirs(torch.tensor(IDS))
    encoder, _ = session.built
    headed = encoders.HeadedEncoder(encoder, session.head[0])
    given = headed(tf.constant(IDS), tf.constant(MASK))
    assert found.keys() == given.keys()
    for name, each in found.items():
        close(each, wanted[name].numpy())
        real = (slice(None),) if each.shape[1] == 2 else MASK != 0
        close(given[name].numpy()[real], each[real])


def test_normalised_queries_and_keys_of_ours_are_whole_vectors() -> None:
    """A layer of Jina BERT for code, one query of one head after another, in numpy."""
    torch.manual_seed(4)
    model = models.MODELS["jina_bert_qk_post_norm"](published.SIZES, False)
    checkpoints.spread_out(model)
    layer = model.layers()[0]
    weights = {name: each.detach().double().numpy() for name, each in layer.named_parameters()}
    given = torch.randn(1, 5, 24)
    with torch.inference_mode():
        found, _ = model.compute(layer, given, model.bias(5))
    x = given[0].double().numpy()

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)

    def normed(name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    own = "attention.self"
    queries = normed(f"{own}.layer_norm_q", dense(f"{own}.query", x))
    keys = normed(f"{own}.layer_norm_k", dense(f"{own}.key", x))
    values, heads = dense(f"{own}.value", x), np.zeros_like(x)
    for head, slope in enumerate((2.0**-4, 2.0**-8, 2.0**-2)):
        of = slice(8 * head, 8 * head + 8)
        for at in range(5):
            scores = keys[:, of] @ queries[at, of] / np.sqrt(8) - slope * abs(np.arange(5) - at)
            odds = np.exp(scores)
            heads[at, of] = odds / odds.sum() @ values[:, of]
    attended = normed("attention.output.LayerNorm", dense("attention.output.dense", heads) + x)
    x = normed("layer_norm_1", x + attended)
    other, gate = np.split(dense("mlp.up_gated_layer", x), 2, axis=1)
    activated = torch.nn.functional.gelu(torch.tensor(gate)).numpy()
    wanted = normed("layer_norm_2", x + dense("mlp.down_layer", other * activated))
    close(found[0].numpy(), wanted)


def test_rotary_attention_of_ours_is_nomic_berts(tmp_path: Path) -> None:
    """transformers' Nomic BERT, given biases and experts in the place of its own parts."""
    published.save_own(tmp_path, "nomic_bert_moe", **MOE)
    checkpoint = find.read(str(tmp_path))
    ours = models.load(checkpoint, pooler=False)
    config = transformers.NomicBertConfig(
        **{**published.SIZES, **MOE, "type_vocab_size": 1, "attn_implementation": "eager"}
    )
    theirs = transformers.NomicBertModel(config).eval()
    theirs.embeddings.word_embeddings = ours.embeddings["word_embeddings"]
    theirs.embeddings.token_type_embeddings = ours.embeddings["token_type_embeddings"]
    theirs.embeddings.LayerNorm = ours.emb_ln
    for layer, own in zip(theirs.layers, ours.layers(), strict=True):
        joined, attention = own["attn"]["Wqkv"], layer.self_attn
        parts = zip(joined.weight.chunk(3), joined.bias.chunk(3), strict=True)
        for projection, (kernel, bias) in zip(
            (attention.q_proj, attention.k_proj, attention.v_proj), parts, strict=True
        ):
            projection.weight, projection.bias = map(torch.nn.Parameter, (kernel, bias))
        attention.o_proj = own["attn"]["out_proj"]
        layer.post_attention_layernorm, layer.post_mlp_layernorm = own["norm1"], own["norm2"]
        fed = own["mlp"]
        layer.mlp.forward = functools.partial(
            ours._mixed if "router" in fed else nomic_bert_moe._fed, fed
        )
    with torch.inference_mode():
        wanted = theirs(torch.tensor(IDS), torch.tensor(MASK)).last_hidden_state.numpy()
        found = ours(torch.tensor(IDS), torch.tensor(MASK)).last_hidden_state.numpy()
        turned = nomic_bert_moe._turned(torch.ones(1, 1, 2, 8), 50.0)
    assert not np.allclose(turned[:, :, 0], turned[:, :, 1])
    close(found[MASK != 0], wanted[MASK != 0])


def test_gates_of_another_kind_are_refused(tmp_path: Path) -> None:
    published.save_own(tmp_path, "jina_bert")
    checkpoints.changing("config.json", feed_forward_type="reglu")(tmp_path)
    with pytest.raises(encoders.ConfigError, match="feed_forward_type: only 'geglu'"):
        checkpoints.built(tmp_path)


def test_experts_of_ours_are_a_sum_by_probability() -> None:
    """One token after another, one expert after another, in numpy."""
    torch.manual_seed(2)
    model = models.MODELS["nomic_bert_moe"]({**published.SIZES, "num_experts": 5}, False)
    checkpoints.spread_out(model)
    mlp = model.encoder["layers"][1]["mlp"]
    x = torch.randn(1, 7, 24)
    with torch.inference_mode():
        found = model._mixed(mlp, x)[0].numpy()
    experts = mlp["experts"]
    weights = (mlp["router"]["layer"].weight, *experts.mlp.values(), experts.bias)
    router, first, second, bias = (each.detach().double().numpy() for each in weights)
    first, second = (each.reshape(5, 36, 24) for each in (first, second))
    for token, given in zip(x[0].double().numpy(), found, strict=True):
        odds = np.exp(router @ token)
        probabilities = odds / odds.sum()
        wanted = bias.copy()
        for expert in np.argsort(-probabilities)[:2]:
            inner = torch.nn.functional.gelu(torch.tensor(first[expert] @ token)).numpy()
            wanted += probabilities[expert] * (inner @ second[expert])
        close(given, wanted)


def test_rows_that_hang_on_a_rounding_are_told(tmp_path: Path) -> None:
    """Two experts are as probable for one word: where it stands, no number is compared."""
    published.save_own(tmp_path, "nomic_bert_moe", **MOE)
    checkpoint = find.read(str(tmp_path))
    size = checkpoints.architecture(checkpoint).dimensions(checkpoint.config)
    reference = Reference.load(checkpoint, size, pooler=False)
    zeros = np.zeros_like(IDS)
    assert not reference.doubtful(IDS, MASK, zeros).any()
    with torch.no_grad():
        router = reference._model.encoder["layers"][1]["mlp"]["router"]["layer"].weight
        router[:] = router[0].clone()
    assert reference.doubtful(IDS, MASK, zeros).all()
    assert not reference.doubtful(IDS, np.zeros_like(MASK), zeros).any()


def test_ids_are_turned_until_no_row_hangs_on_a_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.save_own(tmp_path, "nomic_bert_moe", **MOE)
    checkpoint = find.read(str(tmp_path))
    size = checkpoints.architecture(checkpoint).dimensions(checkpoint.config)
    reference = Reference.load(checkpoint, size, pooler=False)
    monkeypatch.setattr(reference, "doubtful", lambda ids, *_: np.isin(ids[:, 0], [2, 3]))
    found, mask, _ = reference.certain(IDS, MASK, np.zeros_like(IDS))
    assert found.tolist() == [[12, 3, 2, 9, 8, 7], [0, 2, 30, 3, 0, 0]]
    assert mask is MASK
    monkeypatch.setattr(reference, "doubtful", lambda ids, *_: np.array([True, False]))
    with pytest.raises(hub_export.SourceError, match="1 of 2 rows hang on a rounding between two"):
        reference.certain(IDS, MASK, np.zeros_like(IDS))


MOE = {"rope_parameters": {"rope_theta": 50.0}, "num_experts": 4, "layer_norm_eps": 1e-3}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"moe_normalize_expert_weights": True}, "moe_normalize_expert_weights: only False"),
        ({"expert_choice_router": True}, "expert_choice_router: only False"),
        ({"num_shared_experts": 1}, "num_shared_experts: only 0"),
        ({"prenorm": True}, "prenorm: only False"),
        ({"activation_function": "swiglu"}, "hidden_act: only 'gelu'"),
        ({"rotary_scaling_factor": 2.0}, "rotary_scaling_factor: only None"),
        ({"moe_top_k": 9}, "moe_top_k: 9 of num_experts: 4"),
        ({"moe_every_n_layers": 1}, "moe_every_n_layers: expected an integer from 2"),
        ({"made_up": 1}, "made_up: unknown option"),
    ],
)
def test_what_nomic_bert_computes_otherwise_is_refused(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    published.save_own(tmp_path, "nomic_bert_moe", **MOE)
    checkpoints.changing("config.json", **options)(tmp_path)
    with pytest.raises(hub_export.SourceError, match=words):
        hub_export.export(tmp_path, tmp_path / "out", parts=("encoder",), verify="none")


def test_what_nomic_bert_leaves_to_defaults_is_refused(tmp_path: Path) -> None:
    """Those of the published code are others: its rotary_emb_fraction is 0.0, for one."""
    published.save_own(tmp_path, "nomic_bert_moe", **MOE)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    for key in ("rotary_emb_fraction", "activation_function", "n_inner", "type_vocab_size"):
        path.write_text(json.dumps({name: each for name, each in config.items() if name != key}))
        with pytest.raises(hub_export.SourceError, match=rf"config\.json: {key}: missing"):
            find.read(str(tmp_path))
    for left, taken in ((None, 0.1), (0.0, 0.0)):
        path.write_text(json.dumps({**config, "embd_pdrop": left}))
        assert find.read(str(tmp_path)).config["classifier_dropout"] == taken


def test_texts_that_hang_on_a_rounding_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.save_own(tmp_path, "nomic_bert_moe", **MOE)
    checkpoints.save_tokenizer(tmp_path, checkpoints.wordpiece(checkpoints.PIECES))
    settings = Settings(str(tmp_path), parts=("text_embedding",))
    session = Session(find.read(str(tmp_path)), settings)
    assert session.built
    source = Source(session)
    [before] = vectors.ask(source, Progress(quiet=True))
    assert before.source == "torch, pooled in numpy"
    doubtful = lambda self, ids, *_: np.array([ids.shape[1] > 9])  # noqa: E731
    monkeypatch.setattr(Reference, "doubtful", doubtful)
    [after] = vectors.ask(source, Progress(quiet=True))
    short = [text for (text,) in before.texts if len(session.tokenizer.encode(text)) <= 9]
    assert [text for (text,) in after.texts] == short
    assert 3 < len(short) < len(before.texts)
    assert (before.left_out, after.left_out) == (0, len(before.texts) - len(short))
    zeros = types.SimpleNamespace(
        signatures={"serving_default": lambda text: {"default": tf.zeros([len(text), 24])}}
    )
    monkeypatch.setattr(Reference, "doubtful", lambda self, *_: np.array([True]))
    [nothing] = vectors.ask(source, Progress(quiet=True))
    asked = [before, after, nothing]
    checks = vectors.compare(zeros, asked, CLOSENESS["float32"], Progress(quiet=True))
    assert "left out" not in checks[0].found
    assert f"; {after.left_out} left out, whose vectors hang" in checks[1].found
    assert checks[1].figures["left_out"] == after.left_out
    assert checks[2].outcome == Outcome.NOT_COMPARED
    assert f"all {len(before.texts)} hang on a rounding" in checks[2].found


def test_texts_of_a_task_that_hang_on_a_rounding_are_left_out() -> None:
    model: Any = types.SimpleNamespace(is_doubtful=lambda text: text in "bd")
    assert certain(model, ["a", "b", "c"], lambda text: [text]) == ["a", "c"]
    with pytest.raises(hub_export.SourceError, match="all 2 texts hang on a rounding between two"):
        certain(model, ["b", "d"], lambda text: [text])
    check = Check("logits", Outcome.PASSED, "2 compared")
    assert outputs.with_left_out(check, 0) is check
    told = outputs.with_left_out(check, 1)
    assert told.found == "2 compared; 1 left out, whose numbers hang on a rounding"
    assert told.figures["left_out"] == 1


@pytest.mark.parametrize("model_type", models.MODELS)
def test_what_is_compared_with_is_told(tmp_path: Path, model_type: str) -> None:
    published.save_own(tmp_path, model_type, **(MOE if "moe" in model_type else {}))
    *_, note = find.read(str(tmp_path)).notes
    assert "compared with is a model in torch that hub_export has" in note


@pytest.mark.parametrize("route", ["", *published.TASKS])
def test_an_adapter_of_jina_embeddings_is_merged(tmp_path: Path, route: str) -> None:
    merged = published.save_jina_embeddings_v3(tmp_path)
    checkpoint = find.read(str(tmp_path), route=route)
    config = checkpoints.config("jina_embeddings_v3")
    stored = checkpoint.tensors()
    wanted = merged.get(route) or {
        name: stored[f"roberta.{name}"] for name in merged[published.TASKS[0]]
    }
    state = {name: torch.tensor(each) for name, each in wanted.items()}
    native = transformers.JinaEmbeddingsV3Model.from_pretrained(
        None, config=config, state_dict=state, attn_implementation="eager"
    ).eval()
    with torch.inference_mode():
        theirs = native(torch.tensor(IDS), torch.tensor(MASK)).pooler_output.numpy()
    architecture = checkpoints.architecture(checkpoint)
    encoder, _ = architecture.build(checkpoint.config, stored)
    close(encoder(tf.constant(IDS), tf.constant(MASK)).pooled.numpy(), theirs)
    assert f"Adapter: {route or 'none'}, of " in " ".join(checkpoint.notes)


def test_damaged_adapters_of_jina_embeddings_are_refused(tmp_path: Path) -> None:
    """Each fault is in a folder that is right otherwise, so that nothing else can be told."""
    published.save_jina_embeddings_v3(tmp_path)
    file, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    whole, options = load_file(file), json.loads(config.read_text())
    part = "roberta.encoder.layers.0.mlp.fc1.parametrizations.weight."
    original, factor = f"{part}original", f"{part}0.lora_B"
    of_none = {name: each for name, each in whole.items() if "parametrizations" not in name}
    narrow = {**whole, factor: whole[factor][:, :, :3].copy()}
    told = "belong together; 1 of them are missing, such as roberta"
    for tensors, changed, words in (
        (of_none, {}, "no tensor has changes for text-matching, which lora_adaptations"),
        ({name: each for name, each in whole.items() if name != original}, {}, told),
        ({name: each for name, each in whole.items() if name != factor}, {}, told),
        (narrow, {}, r"expected changes of \(2, 36, 4\) and \(2, 4, 24\).*found \(2, 36, 3\)"),
        (whole, {"lora_rank": 8}, r"expected changes of .* a lora_rank of 8, found"),
        (whole, {"lora_rank": 0}, "lora_rank: expected a positive integer, found 0"),
        (whole, {"lora_rank": None}, "lora_rank: expected a positive integer, found None"),
        (whole, {"lora_alpha": "1"}, "lora_alpha: expected"),
        (whole, {"lora_alpha": None}, "lora_alpha: expected"),
    ):
        save_file(tensors, file, {"format": "pt"})
        config.write_text(json.dumps({**options, **changed}))
        found = find.read(str(tmp_path), route="text-matching")
        with pytest.raises(hub_export.SourceError, match=words):
            dict(found.tensors())


def test_a_route_of_jina_embeddings_has_its_instruction(tmp_path: Path) -> None:
    source = tmp_path / "source"
    published.save_jina_embeddings_v3(source)
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(checkpoints.PIECES))
    own = {"path": "", "type": "custom_st.Transformer", "kwargs": ["task"]}
    modules = [own, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (source / "modules.json").write_text(json.dumps(modules))
    (source / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True}
    (source / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    for route in ("", "retrieval.query"):
        checkpoint = find.read(str(source), route=route)
        prompt = Session(checkpoint, Settings(str(source))).plan.prompt
        assert prompt == ("a query: " if route else "")
        assert f"Adapter: {route or 'none'}, of retrieval.query, text-m" in checkpoint.notes[-2]
    with pytest.raises(hub_export.SourceError, match=r"the adapters retrieval\.query, text-m"):
        find.read(str(source), route="other")


def test_code_of_a_module_is_refused_elsewhere(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "other"))
    modules = [{"path": "", "type": "custom_st.Transformer"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(hub_export.SourceError, match=r"custom_st\.Transformer is not supported"):
        find.read(str(folder)).pipeline()
