"""What the files of sentence-transformers say, and what of it is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
from safetensors.numpy import save_file

from encoders import DenseModule, DropoutModule, LayerNormModule, NormalizeModule
from hub_export import SourceError
from hub_export.sources import huggingface, sentence_transformers
from hub_export.sources.modules import Pipeline, PoolingOptions, read_weights

TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
DENSE = {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}
SIZES = {"in_features": 4, "out_features": 2}


def module(path: str, name: str, scope: str = "sentence_transformers.models") -> dict[str, str]:
    return {"path": path, "type": f"{scope}.{name}"}


def write(folder: Path, **files: Any) -> Path:
    """Writes files; `1_Pooling` stands for the config.json there."""
    for name, content in files.items():
        path = folder / (f"{name}.json" if name.islower() else f"{name}/config.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def read(folder: Path, **files: Any) -> Pipeline:
    return sentence_transformers.read(write(folder, **files), {})


def test_nothing_is_said(tmp_path: Path) -> None:
    assert read(tmp_path) == Pipeline()


def test_everything_is_said(tmp_path: Path) -> None:
    scope = "sentence_transformers.sentence_transformer.modules"
    found = read(
        tmp_path,
        modules=[
            TRANSFORMER,
            module("1_Pooling", "pooling.Pooling", scope),
            module("2_Dense", "dense.Dense", "sentence_transformers.base.modules"),
            module("3_LayerNorm", "LayerNorm", scope),
            module("4_Dropout", "Dropout"),
            module("5_Normalize", "Normalize"),
        ],
        sentence_bert_config={"max_seq_length": 77, "do_lower_case": True, "model_args": {}},
        config_sentence_transformers={
            "prompts": {"query": "q: ", "document": None},
            "default_prompt_name": "query",
            "truncate_dim": 1,
        },
        **{
            "1_Pooling": {"embedding_dimension": 4, "pooling_mode": ["max", "cls"]},
            "2_Dense": {**SIZES, "activation_function": "torch.nn.modules.activation.ReLU"},
            "3_LayerNorm": {"dimension": 2},
            "4_Dropout": {"dropout": 0.25},
        },
    )
    assert found.pooling == PoolingOptions(("max", "cls"))
    dense, norm, dropout, normalize = (each.module for each in found.modules)
    assert isinstance(dense, DenseModule)
    assert (dense.takes, dense.outputs, dense.activation_name) == (4, 2, "relu")
    assert dense.linear.bias is not None
    assert isinstance(norm, LayerNormModule)
    assert norm.takes == 2
    assert isinstance(dropout, DropoutModule)
    assert dropout.dropout.rate == 0.25
    assert isinstance(normalize, NormalizeModule)
    assert (found.max_length, found.lower_case, found.dimensions) == (77, True, 1)
    assert (found.prompts, found.default_prompt) == ({"query": "q: ", "document": ""}, "query")


def test_weights_of_a_module(tmp_path: Path) -> None:
    weights = {"linear.weight": np.ones((2, 4), np.float32)}
    (tmp_path / "2_Dense").mkdir()
    save_file(weights, tmp_path / "2_Dense" / "model.safetensors")
    files = {"1_Pooling": {}, "2_Dense": {**SIZES, "bias": False}}
    (dense,) = read(tmp_path, modules=[TRANSFORMER, POOLING, DENSE], **files).modules
    assert isinstance(dense.module, DenseModule)
    assert dense.module.linear.bias is None
    assert dense.folder == tmp_path / "2_Dense"
    np.testing.assert_array_equal(read_weights(dense.folder)["linear.weight"], 1)
    assert set(sentence_transformers.file_sums(tmp_path)) == {
        "modules.json",
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
    }


@pytest.mark.parametrize(
    ("length", "wanted"), [(40, 40), (1000000000000000019884624838656, None), ("x", None)]
)
def test_the_tokenizer_says_the_length_otherwise(
    tmp_path: Path, length: Any, wanted: int | None
) -> None:
    assert read(tmp_path, tokenizer_config={"model_max_length": length}).max_length == wanted


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({}, ["expected a list of modules"]),
        ([TRANSFORMER, 3], ["expected a list of modules"]),
        ([], ["expected a Transformer as the first module", "found none"]),
        ([POOLING], ["expected a Transformer as the first module", "found a Pooling"]),
        ([module("", "CNN")], ["expected a Transformer as the first module", "found a CNN"]),
        ([TRANSFORMER, module("1", "WeightedLayerPooling")], ["WeightedLayerPooling"]),
        ([TRANSFORMER, POOLING, module("2", "LSTM")], ["module LSTM is not supported", "Dense"]),
        ([TRANSFORMER, DENSE, POOLING], ["Transformer, Dense, Pooling"]),
        ([TRANSFORMER, POOLING, POOLING], ["Transformer, Pooling, Pooling"]),
        ([TRANSFORMER, {**POOLING, "path": "../1"}], ["name of a subfolder", "../1"]),
        ([TRANSFORMER, {**POOLING, "path": "/etc"}], ["name of a subfolder", "/etc"]),
        ([TRANSFORMER, {**POOLING, "path": ".."}], ["name of a subfolder"]),
        ([TRANSFORMER, {"type": POOLING["type"]}], ["name of a subfolder", "None"]),
        ([TRANSFORMER, {**POOLING, "type": "os.system"}], ["os.system", "not supported"]),
        ([{**TRANSFORMER, "type": "custom.Transformer"}], ["custom.Transformer"]),
        ([TRANSFORMER, {**POOLING, "kwargs": ["task"]}], ["kwargs", "task"]),
    ],
)
def test_modules_that_are_refused(tmp_path: Path, modules: Any, words: list[str]) -> None:
    refuse(tmp_path, *words, modules=modules, **{"1_Pooling": {}})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("1_Pooling", {"pooling_mode": "median"}, ["median", "weightedmean"]),
        ("1_Pooling", {"pooling_mode": 3}, ["pooling_mode"]),
        ("1_Pooling", {"pooling_mode": []}, ["pooling [] is not supported"]),
        ("1_Pooling", {"pooling_mode": [["cls"]]}, ["pooling [['cls']] is not supported"]),
        ("1_Pooling", {"pooling_mode_cls_token": 1}, ["pooling_mode_cls_token", "bool"]),
        ("1_Pooling", {"novelty": 1}, ["unknown options", "novelty"]),
        ("2_Dense", {"in_features": 4}, ["out_features", "int"]),
        ("2_Dense", {**SIZES, "activation_function": "torch.nn.Softmax"}, ["torch.nn.Softmax"]),
        ("2_Dense", {**SIZES, "activation_function": "os.Tanh"}, ["os.Tanh"]),
        ("2_Dense", {**SIZES, "activation_function": "torch.nnevil.Tanh"}, ["torch.nnevil.Tanh"]),
        ("2_Dense", {**SIZES, "module_input_name": "token_embeddings"}, ["token_embeddings"]),
        ("sentence_bert_config", {"transformer_task": "fill-mask"}, ["fill-mask"]),
        ("sentence_bert_config", {"novelty": 1}, ["novelty"]),
        ("sentence_bert_config", {"model_args": {"num_hidden_layers": 2}}, ["num_hidden_layers"]),
        ("sentence_bert_config", {"modality_config": {"image": {}}}, ["modality_config", "image"]),
        ("sentence_bert_config", {"max_seq_length": "long"}, ["max_seq_length", "long"]),
        ("config_sentence_transformers", {"model_type": "SparseEncoder"}, ["SparseEncoder"]),
        ("config_sentence_transformers", {"prompts": ["q"]}, ["prompts"]),
        ("config_sentence_transformers", {"prompts": {"q": 3}}, ["prompts"]),
        ("config_sentence_transformers", {"truncate_dim": 0}, ["truncate_dim"]),
        ("config_sentence_transformers", {"default_prompt_name": 3}, ["default_prompt_name"]),
    ],
)
def test_options_that_are_refused(
    tmp_path: Path, name: str, content: Any, words: list[str]
) -> None:
    files = {"1_Pooling": {}, "2_Dense": SIZES, "modules": [TRANSFORMER, POOLING, DENSE]}
    refuse(tmp_path, *words, **{**files, name: content})


def test_a_module_whose_options_are_missing(tmp_path: Path) -> None:
    """Not downloaded, for instance: the default pooling would be a guess."""
    refuse(tmp_path, "1_Pooling/config.json: no such file", modules=[TRANSFORMER, POOLING])


def test_files_that_are_damaged(tmp_path: Path) -> None:
    for content in ("{", "[" * 100_000):
        (tmp_path / "modules.json").write_text(content)
        with pytest.raises(SourceError, match=r"modules\.json: cannot be read as JSON"):
            sentence_transformers.read(tmp_path, {})
        assert sentence_transformers.module_files(tmp_path) == []


def test_downloads_stay_within_the_folder(tmp_path: Path) -> None:
    paths = ["", "1_Pooling", "..", "../x", "/etc", "a/b", "*", "2_[D]ense", 3, None]
    write(tmp_path, modules=[{"path": path} for path in paths])
    assert sentence_transformers.module_files(tmp_path) == [
        "1_Pooling/config.json",
        "1_Pooling/model.safetensors",
        "1_Pooling/pytorch_model.bin",
    ]


def test_downloads_bring_the_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ["config.json", "modules.json", "model.safetensors", "2_Dense/config.json"]
    files += ["2_Dense/model.safetensors", "onnx/model.onnx", "openvino/model.safetensors.bin"]
    for file in files:
        (tmp_path / "hub" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "hub" / file).touch()
    write(tmp_path / "hub", modules=[TRANSFORMER, DENSE])
    commit = tmp_path / "cache" / "1f2e"
    asked = []

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        for file in huggingface_hub.utils.filter_repo_objects(files, allow_patterns=allow_patterns):
            (commit / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tmp_path / "hub" / file, commit / file)
        return str(commit)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert huggingface.download("user/model", "main") == commit
    found = {str(each.relative_to(commit)) for each in commit.rglob("*") if each.is_file()}
    assert found == set(files[:5])
    assert asked == [("user/model", "main"), ("user/model", "1f2e")]


def test_an_adapter_brings_its_own_modules(tiny_bert: Path, tmp_path: Path) -> None:
    base = huggingface.read(tiny_bert, "tiny")
    assert huggingface.with_own_files(base, tmp_path) == base
    write(tmp_path, modules=[TRANSFORMER, POOLING], **{"1_Pooling": {"pooling_mode": "max"}})
    adapted = huggingface.with_own_files(base, tmp_path)
    assert adapted.pipeline().pooling == PoolingOptions(("max",))
    assert "1_Pooling/config.json" in adapted.files


def refuse(folder: Path, *words: str, **files: Any) -> None:
    with pytest.raises(SourceError) as caught:
        read(folder, **files)
    assert [word for word in words if word not in str(caught.value)] == []
    assert str(folder) in str(caught.value)
