"""Weights as training runs leave them, with more in front of their names."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from hub_export.sources import find
from hub_export.sources.formats.wrappers import unwrapped, wrapper_of
from hub_export.verify.checks import Outcome
from tests import checkpoints, unsaved

Tensors = Mapping[str, Any]


def prefixed(prefix: str, tensors: Tensors) -> dict[str, Any]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def as_training_run(tensors: Tensors) -> dict[str, Any]:
    named = {f"module.{name}": torch.tensor(tensor) for name, tensor in tensors.items()}
    return {"state_dict": named, "epoch": 3, "optimizer": {"lr": 0.1}}


def as_sentence_transformer(tensors: Tensors) -> dict[str, Any]:
    return {**prefixed("0.auto_model.", tensors), "2.linear.weight": np.ones((2, 2), np.float32)}


def save_bin(content: Mapping[str, Any], folder: Path) -> None:
    torch.save(dict(content), folder / "pytorch_model.bin")


def save(content: dict[str, Any], folder: Path) -> None:
    save_file(content, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("wrap", "write", "wrapper"),
    [
        (lambda tensors: prefixed("module.", tensors), save, "module."),
        (lambda tensors: prefixed("_orig_mod.module.", tensors), save, "_orig_mod.module."),
        (as_sentence_transformer, save, "0.auto_model."),
        (as_training_run, save_bin, "state_dict.module."),
    ],
    ids=["parallel", "compiled", "sentence-transformers", "training run"],
)
def test_wrapped(
    tiny_bert: Path,
    tmp_path: Path,
    wrap: Callable[..., Any],
    write: Callable[..., None],
    wrapper: str,
) -> None:
    source = Path(shutil.copytree(tiny_bert, tmp_path / "source"))
    tensors = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    write(wrap(tensors), source)
    assert {*unsaved.compared(source).values()} == {Outcome.PASSED}
    (note,) = find.read(str(source)).notes
    assert f"begin with {wrapper}, which" in note
    assert_same(source, tensors)


@pytest.mark.parametrize(
    ("model_type", "word", "decoder"),
    [
        ("bert", "bert.embeddings.word_embeddings", "cls.predictions.decoder"),
        ("modernbert", "model.embeddings.tok_embeddings", "decoder"),
    ],
)
def test_a_word_embedding_under_the_name_of_the_decoder(
    tmp_path: Path, model_type: str, word: str, decoder: str
) -> None:
    source = tmp_path / "source"
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(checkpoints.PIECES))
    size, kind = len(checkpoints.PIECES), "BertForMaskedLM"
    kind = kind if model_type == "bert" else "ModernBertForMaskedLM"
    checkpoints.save_model(source, model_type, kind, vocab_size=size, pad_token_id=0)
    tensors = load_file(source / "model.safetensors")
    left = {name: tensor for name, tensor in tensors.items() if name != f"{word}.weight"}
    save({**left, f"{decoder}.weight": tensors[f"{word}.weight"]}, source)
    assert {*unsaved.compared(source).values()} == {Outcome.PASSED}
    (note,) = find.read(str(source)).notes
    assert f"{word}.weight under the name {decoder}.weight only" in note
    assert_same(source, {**tensors, f"{decoder}.weight": tensors[f"{word}.weight"]})


def assert_same(source: Path, tensors: Tensors) -> None:
    found = find.read(str(source)).tensors()
    assert found.keys() == tensors.keys()
    assert all(np.array_equal(found[name], tensors[name]) for name in tensors)


def test_lightning_trains_a_model() -> None:
    """Outside of a training run, and a second time, that is a name of `transformers`."""
    for prefix, wrapper in (
        ("state_dict.model.", "state_dict.model."),
        ("state_dict.model._orig_mod.", "state_dict.model._orig_mod."),
        ("state_dict.module.model.", "state_dict.module.model."),
        ("module.model.", "module."),
        ("state_dict.model.model.", "state_dict.model."),
        ("model.", ""),
    ):
        assert wrapper_of([f"{prefix}embeddings.a", f"{prefix}layer.b"]) == wrapper


def test_names_that_only_some_tensors_have_are_names() -> None:
    names = ["module.a", "b"]
    assert wrapper_of(names) == ""
    assert wrapper_of([]) == ""
    tensors = {name: np.zeros(1) for name in names}
    assert unwrapped(tensors) is tensors
