"""Tiny checkpoints with random weights, and tokenizers, made on the spot."""

import json
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*SPECIAL, *string.ascii_lowercase, *(f"##{each}" for each in string.ascii_lowercase)]

_BERT = {
    "vocab_size": len(PIECES),
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 36,
    "max_position_embeddings": 40,
}
_SIZES = {
    "bert": _BERT,
    "deberta": _BERT,
    "deberta-v2": _BERT,
    "distilbert": {
        "vocab_size": len(PIECES),
        "dim": 24,
        "n_layers": 2,
        "n_heads": 3,
        "hidden_dim": 36,
        "max_position_embeddings": 40,
    },
}


def save_model(
    folder: Path,
    model_type: str,
    architecture: str = "AutoModel",
    dtype: torch.dtype = torch.float32,
    save: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Writes config.json and weights, spread wide enough that attention is far from uniform."""
    torch.manual_seed(1)
    sizes = {**_SIZES[model_type], "initializer_range": 0.3, **options}
    config = transformers.AutoConfig.for_model(model_type, **sizes)
    model = getattr(transformers, architecture)
    built = model.from_config(config) if architecture == "AutoModel" else model(config)
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name or "layer_norm" in name:
                parameter.add_(0.2 * torch.randn_like(parameter))
    built.to(dtype).save_pretrained(folder, **(save or {}))


def wordpiece(
    pieces: Iterable[str],
    normalizer: normalizers.Normalizer | None = None,
    prefix: str = "##",
    most_characters: int = 100,
    added: Iterable[str] = (),
    pair_type: int = 1,
) -> Tokenizer:
    """A BERT tokenizer over these pieces."""
    vocabulary = {piece: id for id, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(
        models.WordPiece(
            vocabulary,
            unk_token="[UNK]",
            continuing_subword_prefix=prefix,
            max_input_chars_per_word=most_characters,
        )
    )
    tokenizer.normalizer = normalizer or normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=prefix, cleanup=False)
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(list(added))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=f"[CLS] $A [SEP] $B:{pair_type} [SEP]:{pair_type}",
        special_tokens=[(each, vocabulary[each]) for each in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def save_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    """Writes tokenizer.json, tokenizer_config.json and vocab.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    text = "".join(f"{piece}\n" for piece, _ in vocabulary)
    (folder / "vocab.txt").write_text(text, encoding="utf-8")
    config = {"pad_token": "[PAD]", "mask_token": "[MASK]", "tokenizer_class": "BertTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
