"""Decoders that make vectors of texts, from end to end, in their published layouts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

import hub_export
from tests import checkpoints
from tests.outcomes import assert_passed

_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
_SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "max_position_embeddings": 96,
}
PROMPTS = {"query": "Instruct: find it\nQuery:", "document": ""}


def trained(model: Any, special: list[str], **parts: Any) -> Tokenizer:
    """A tokenizer of few merges, with these parts."""
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    is_of_bytes = model.byte_fallback is False
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()) if is_of_bytes else [],
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(checkpoints.words())], trainer)
    return tokenizer


def framed(tokenizer: Tokenizer, single: str) -> Tokenizer:
    """With a template of special tokens, behind what cuts offsets."""
    names = [each for each in single.split() if each != "$A"]
    template = processors.TemplateProcessing(
        single=single,
        pair=f"{single} {single.replace('$A', '$B')}".replace("$B", "$B:1"),
        special_tokens=[(each, tokenizer.token_to_id(each)) for each in dict.fromkeys(names)],
    )
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(add_prefix_space=False, trim_offsets=False), template]
    )
    return tokenizer


def byte_level(numbers: str, special: list[str], **options: Any) -> Tokenizer:
    """As Qwen and LLaMA 3 have it."""
    cut = pre_tokenizers.Split(Regex(numbers.join(_SPLIT)), "isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return trained(
        models.BPE(**options),
        special,
        pre_tokenizer=pre_tokenizers.Sequence([cut, to_bytes]),
        decoder=decoders.ByteLevel(),
    )


def save(folder: Path, model_type: str, tokenizer: Tokenizer, **options: Any) -> None:
    """Writes encoder and tokenizer."""
    size = tokenizer.get_vocab_size()
    checkpoints.save_model(folder, model_type, **{**_SIZES, "vocab_size": size, **options})
    tokenizer.save(str(folder / "tokenizer.json"))


def modules(folder: Path, *names: str, **model: Any) -> None:
    """Writes the files of sentence-transformers."""
    scope = "sentence_transformers.models"
    listed = [{"idx": 0, "name": "0", "path": "", "type": f"{scope}.Transformer"}]
    for at, name in enumerate(names, 1):
        path = f"{at}_{name}"
        listed.append({"idx": at, "name": str(at), "path": path, "type": f"{scope}.{name}"})
        (folder / path).mkdir()
    write(folder / "modules.json", listed)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 90, "do_lower_case": False})
    write(folder / "config_sentence_transformers.json", {"similarity_fn_name": "cosine", **model})


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def save_qwen3(folder: Path) -> None:
    """Qwen3-Embedding: left padding, an <|endoftext|> behind the text, prompts, the last token."""
    ends = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = byte_level(r"\p{N}", ends)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens([AddedToken("<think>", normalized=False)])
    save(folder, "qwen3", framed(tokenizer, "$A <|endoftext|>"), rope_theta=1e6)
    write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "pad_token": ends[0],
            "eos_token": ends[2],
            "unk_token": None,
            "padding_side": "left",
            "model_max_length": 131072,
        },
    )
    modules(folder, "Pooling", "Normalize", prompts=PROMPTS, default_prompt_name=None)
    pooling = {"word_embedding_dimension": 16, "include_prompt": True}
    write(
        folder / "1_Pooling/config.json",
        {
            **pooling,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": False,
            "pooling_mode_lasttoken": True,
        },
    )


def save_embedding_gemma(folder: Path) -> None:
    """EmbeddingGemma: pieces of SentencePiece with bytes, both directions, two dense layers."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    model = models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer = trained(
        model,
        [*special, *bytes_],
        normalizer=normalizers.Replace(" ", "▁"),
        pre_tokenizer=pre_tokenizers.Split(" ", "merged_with_previous"),
        decoder=decoders.Sequence(parts),
    )
    save(
        folder,
        "gemma3_text",
        framed(tokenizer, "<bos> $A <eos>"),
        use_bidirectional_attention=True,
        sliding_window=8,
        query_pre_attn_scalar=6,
        layer_types=["sliding_attention", "full_attention"],
    )
    names = ("pad_token", "eos_token", "bos_token", "unk_token", "mask_token")
    roles = dict(zip(names, special, strict=True))
    config = {"tokenizer_class": "GemmaTokenizer", "model_max_length": 2048, **roles}
    write(folder / "tokenizer_config.json", config)
    modules(folder, "Pooling", "Dense", "Dense", "Normalize", prompts=PROMPTS)
    (folder / "3_Dense").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    write(folder / "1_Pooling/config.json", {**pooling, "include_prompt": True})
    for path, sizes in (("2_Dense", (16, 24)), ("3_Dense", (24, 16))):
        save_dense(folder / path, *sizes)


def save_dense(folder: Path, inputs: int, outputs: int) -> None:

    identity = "torch.nn.modules.linear.Identity"
    sizes = {"in_features": inputs, "out_features": outputs, "bias": False}
    write(folder / "config.json", {**sizes, "activation_function": identity})
    torch.manual_seed(inputs)
    save_file({"linear.weight": torch.randn(outputs, inputs)}, folder / "model.safetensors")


LAYOUTS = {"qwen3": save_qwen3, "embedding_gemma": save_embedding_gemma}
Exported = tuple[Path, hub_export.Export]


@pytest.fixture(scope="module", params=LAYOUTS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A checkpoint, and the text embedding of it, compared with sentence-transformers."""
    folder = tmp_path_factory.mktemp(request.param)
    LAYOUTS[request.param](folder / "source")
    done = hub_export.export(
        folder / "source", folder / "out", name="x", parts=["text_embedding"], verify="quick"
    )
    return folder / "source", done


def test_all_that_is_compared_passes(exported: Exported) -> None:
    checks = exported[1].report.checks
    assert_passed(checks)
    assert checks[-1].subject == "vectors, against sentence-transformers"


def test_vectors_of_texts_with_a_prompt(exported: Exported) -> None:
    """In one batch, which sentence-transformers pads at the left."""
    source, done = exported
    texts = ["a lo mi", "", "Ka 12 tre\n\n  su's", "日 ñe " * 60]
    model = SentenceTransformer(str(source), device="cpu", local_files_only=True)
    assert model.tokenizer.padding_side == "left"
    wanted = model.encode(texts, prompt_name="query", show_progress_bar=False)
    embed = tf.saved_model.load(str(done.paths["text_embedding"]))
    found = embed(tf.constant([PROMPTS["query"] + text for text in texts])).numpy()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
