"""LoRA of keras-hub, merged into presets, against keras-hub itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import hub_export
from hub_export.errors import ExportError, SourceError
from hub_export.sources import find
from tests import checkpoints
from tests.hub_export.test_keras_preset import BACKBONES, assert_equal, backbone, bert_tokenizer

NAMES = """
    attention_output embedding_projection feedforward_intermediate_dense feedforward_output_dense
    key pooled_dense query value
""".split()
"""Of all dense layers."""


def adapted(kind: str, folder: Path, names: list[str] | None = None) -> tuple[Any, Path, Path]:
    """A backbone with an adapter on it, its preset and the adapter's file."""
    made, file = backbone(kind), folder / "tuned.lora.h5"
    made.save_to_preset(str(folder / "base"))
    made.enable_lora(4, names)
    generator = np.random.default_rng(5)
    changed = [each for each in made.weights if "lora_kernel" in each.path]
    for variable in changed:
        variable.assign(generator.normal(0, 0.3, variable.shape))
    assert changed
    made.save_lora_weights(str(file))
    return made, folder / "base", file


@pytest.mark.parametrize("kind", BACKBONES)
@pytest.mark.parametrize("names", [None, NAMES], ids=["usual layers", "all"])
def test_numbers_of_every_backbone(kind: str, names: list[str] | None, tmp_path: Path) -> None:
    made, base, file = adapted(kind, tmp_path, names)
    plain, _ = checkpoints.built(base)
    encode, _ = checkpoints.built(file, base)
    assert_equal(encode, made, kind)
    with pytest.raises(AssertionError):
        assert_equal(plain, made, kind)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, Path]:
    """One with a tokenizer."""
    folder = tmp_path_factory.mktemp("lora")
    made, base, file = adapted("BertBackbone", folder)
    bert_tokenizer(lowercase=True).save_to_preset(str(base))
    return made, base, file


def test_from_end_to_end(bert: tuple[Any, Path, Path], tmp_path: Path) -> None:
    """In a folder of its own, verified in torch."""
    made, base, file = bert
    done = hub_export.export(
        file.parent, tmp_path, base_model=base, parts=["encoder"], name="tuned", verify="quick"
    )
    assert_equal(checkpoints.saved(done.paths["encoder"]), made, "BertBackbone")
    source = find.read(str(file), str(base))
    assert source.name == "tuned"
    assert {"tuned.lora.h5", "base model: model.weights.h5"} <= source.files.keys()
    assert "A LoRA adapter, merged into the weights of base." in source.notes


def changed(file: Path, folder: Path, change: Callable[[h5py.File], None]) -> Path:
    copy = folder / "changed.lora.h5"
    copy.write_bytes(file.read_bytes())
    with h5py.File(copy, "r+") as content:
        change(content)
    return copy


def remove_factor(content: h5py.File) -> None:
    layer = next(name for name in content["lora"] if name.isdecimal())
    del content[f"lora/{layer}/vars/lora_kernel_b"]


def remove_all(content: h5py.File) -> None:
    for layer in [name for name in content["lora"] if name.isdecimal()]:
        del content[f"lora/{layer}"]


def move(content: h5py.File) -> None:
    layer = next(name for name in content["lora"] if name.isdecimal())
    content.move(f"lora/{layer}", "lora/0")


def narrow(content: h5py.File) -> None:
    for layer in [name for name in content["lora"] if name.isdecimal()]:
        factor = content[f"lora/{layer}/vars/lora_kernel_b"][:, 1:]
        del content[f"lora/{layer}/vars/lora_kernel_b"]
        content[f"lora/{layer}/vars/lora_kernel_b"] = factor


def add(content: h5py.File) -> None:
    content["lora/other"] = np.zeros(3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove_factor, r"lora_kernel_a, but not the other factor of layer \d+; save"),
        (remove_all, "has no factors"),
        (move, "adapts layer 0, which is no dense layer of base; say the right base model"),
        (
            narrow,
            r"factors \[.*\] and \[4, 7\] of layer .* do not go with encoder.*base_model",
        ),
        (add, "lora/other is none of what save_lora_weights writes"),
    ],
)
def test_bad_adapters(
    bert: tuple[Any, Path, Path], tmp_path: Path, change: Callable[[h5py.File], None], words: str
) -> None:
    _, base, file = bert
    with pytest.raises(SourceError, match=words):
        checkpoints.built(changed(file, tmp_path, change), base)


def test_bad_folders(bert: tuple[Any, Path, Path], tiny_bert: Path, tmp_path: Path) -> None:
    _, base, file = bert
    with pytest.raises(SourceError, match="names no base model; say which with --base_model"):
        find.read(str(file))
    with pytest.raises(SourceError, match="adapts a preset of keras-hub, but tiny-bert is none"):
        find.read(str(file), str(tiny_bert))
    (tmp_path / "empty.lora.h5").write_bytes(b"")
    with pytest.raises(SourceError, match="not an HDF5 file"):
        find.read(str(tmp_path), str(base))
    (tmp_path / "other.lora.h5").write_bytes(file.read_bytes())
    with pytest.raises(SourceError, match=r"found empty\.lora\.h5, other\.lora\.h5; name one"):
        find.read(str(tmp_path), str(base))
    with pytest.raises(ExportError, match="weights=none makes no use of the adapter"):
        find.read(str(file), str(base), weights=False)
