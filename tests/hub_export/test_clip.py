"""CLIP's text encoder, from a checkpoint of its own and from one of both encoders."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from safetensors.numpy import load_file

import hub_export
from hub_export import ExportError, SourceError
from hub_export.sources import find
from tests import checkpoints

IDS = np.array([[2, 9, 8, 3, 0, 0], [2, 30, 12, 7, 5, 3], [2, 3, 3, 3, 3, 3]], np.int32)
MASK = np.array([[1, 1, 1, 1, 0, 0], [1] * 6, [1, 1, 0, 0, 0, 0]], np.int32)
TEXTS = ["a", "unbearable grace", "", "more and more of the same"]
LEFT_BEHIND = {
    "_name_or_path": "",
    "add_cross_attention": False,
    "bad_words_ids": None,
    "do_sample": False,
    "dropout": 0.0,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    "num_beams": 1,
    "torch_dtype": None,
    "transformers_version": "4.16.0.dev0",
}
"""Some of what the first published text_config is full of."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of both encoders, as OpenAI published it."""
    folder = tmp_path_factory.mktemp("clip") / "whole"
    tokenizer = checkpoints.wordpiece(checkpoints.PIECES)
    checkpoints.save_tokenizer(folder, tokenizer)
    text = {"vocab_size": tokenizer.get_vocab_size(), "eos_token_id": 3, "pad_token_id": 0}
    text |= {"num_attention_heads": 3, "num_hidden_layers": 2, "intermediate_size": 36}
    text |= {"hidden_size": 24, "bos_token_id": 2, "max_position_embeddings": 40}
    image = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "patch_size": 8}
    image |= {"num_attention_heads": 1, "image_size": 8}
    torch.manual_seed(1)
    built = transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text, vision_config=image, projection_dim=10)
    )
    with torch.no_grad():
        for each in built.parameters():
            each.add_(0.2 * torch.randn_like(each))
    built.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= LEFT_BEHIND
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("end", [2, 3])
def test_the_token_is_that_of_transformers(end: int, tmp_path: Path) -> None:
    """The highest id, or the first of an id; behind padding as well."""
    checkpoints.save_model(tmp_path, "clip_text_model", eos_token_id=end)
    model = transformers.CLIPTextModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        wanted = model(torch.tensor(IDS), torch.tensor(MASK)).pooler_output.numpy()
    encoder, _ = checkpoints.built(tmp_path)
    found = encoder(tf.constant(IDS), tf.constant(MASK)).pooled
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_vectors_of_texts_are_those_that_images_are_compared_with(
    whole: Path, tmp_path: Path
) -> None:
    done = hub_export.export(whole, tmp_path, parts=["text_embedding"], verify="none")
    card = done.paths["text_embedding"] / "assets.extra" / "README.md"
    assert "that of images is left out" in card.read_text()
    model = transformers.CLIPModel.from_pretrained(whole).eval()
    tokenizer = checkpoints.wordpiece(checkpoints.PIECES)
    with torch.inference_mode():
        rows = [torch.tensor([tokenizer.encode(text).ids]) for text in TEXTS]
        found = [model.get_text_features(row).pooler_output.numpy()[0] for row in rows]
    embed = tf.saved_model.load(str(done.paths["text_embedding"]))
    wanted = np.stack(found)
    np.testing.assert_allclose(embed(TEXTS), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def modules(*classes: str) -> list[dict[str, Any]]:
    paths = ["0_CLIPModel" if each.endswith("CLIPModel") else "" for each in classes]
    places = enumerate(zip(paths, classes, strict=True))
    return [{"idx": at, "name": str(at), "path": path, "type": each} for at, (path, each) in places]


OLD = "sentence_transformers.models.CLIPModel"
NEW = "sentence_transformers.base.modules.transformer.Transformer"
OPTIONS = {
    "transformer_task": "feature-extraction",
    "modality_config": {
        "text": {"method": "get_text_features", "method_output_name": "pooler_output"},
        "image": {"method": "get_image_features", "method_output_name": "pooler_output"},
    },
    "module_output_name": "sentence_embedding",
}


@pytest.mark.parametrize("first", [OLD, NEW])
def test_layouts_of_sentence_transformers(first: str, whole: Path, tmp_path: Path) -> None:
    """The module in a subfolder, as it was, or in the folder itself; what follows is followed."""
    encoder = tmp_path / ("0_CLIPModel" if first == OLD else "")
    shutil.copytree(whole, encoder, dirs_exist_ok=True)
    if first == NEW:
        (encoder / "sentence_bert_config.json").write_text(json.dumps(OPTIONS))
    listed = modules(first, "sentence_transformers.models.Normalize")
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    checkpoint = find.read(str(tmp_path))
    pipeline = checkpoint.pipeline()
    assert pipeline.pooling is None
    described = [each.module.describe() for each in pipeline.modules]
    assert described == ["Dense (24 to 10, linear)", "Normalize"]
    stored = load_file(whole / "model.safetensors")["text_projection.weight"]
    weights = pipeline.modules[0].weights()
    assert {*weights} == {"linear.weight"}
    np.testing.assert_array_equal(weights["linear.weight"], stored)


@pytest.mark.parametrize("size", ["1GB", "8KB"], ids=["whole", "shards"])
def test_a_text_encoder_with_its_projection(size: str, tmp_path: Path) -> None:
    kind, save = "CLIPTextModelWithProjection", {"max_shard_size": size}
    checkpoints.save_model(tmp_path, "clip_text_model", kind, save=save, projection_dim=7)
    assert (tmp_path / "model.safetensors").exists() == (size == "1GB")
    [placed] = find.read(str(tmp_path)).pipeline().modules
    assert placed.module.describe() == "Dense (24 to 7, linear)"
    assert placed.weights()["linear.weight"].shape == (7, 24)
    _, filled = checkpoints.built(tmp_path)
    assert [*filled.unused] == ["text_projection.weight"]


@pytest.mark.parametrize("over", [None, {"hidden_size": 24, "num_attention_heads": 4}])
def test_which_object_is_the_configuration(
    over: Mapping[str, Any] | None, whole: Path, tmp_path: Path
) -> None:
    """As in transformers: of two, the second counts, with the defaults of what it leaves out."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    checkpoints.changing("config.json", text_config_dict=over)(tmp_path)
    checkpoint = find.read(str(tmp_path))
    ours = checkpoints.architecture(checkpoint).config.read(
        {key: each for key, each in checkpoint.config.items() if key not in checkpoint.unread}
    )
    theirs = transformers.AutoConfig.from_pretrained(tmp_path).text_config
    assert vars(ours) == {key: getattr(theirs, key) for key in vars(ours)}
    assert {"bad_words_ids", "do_sample", "num_beams"} <= checkpoint.unread


def test_what_is_no_configuration_is_refused(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    checkpoints.changing("config.json", projection_dim="wide")(tmp_path)
    with pytest.raises(SourceError, match="projection_dim: expected a positive integer"):
        find.read(str(tmp_path))
    checkpoints.changing("config.json", text_config=[1])(tmp_path)
    with pytest.raises(SourceError, match="text_config: expected an object, found"):
        find.read(str(tmp_path))


def test_vectors_for_ids_are_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="by its id, and vectors have none; leave embeds out"):
        hub_export.export(whole, tmp_path, parts=["encoder"], embeds=True)
