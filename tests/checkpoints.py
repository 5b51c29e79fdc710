"""Tiny checkpoints with random weights, and tokenizers, made on the spot."""

import dataclasses
import io
import json
import random
import string
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import tensorflow as tf
import torch
import transformers
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

import encoders
from hub_export import contract
from hub_export.sources import find
from hub_export.sources.checkpoint import Checkpoint

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FAIRSEQ_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
PIECES = [*SPECIAL, *string.ascii_lowercase, *(f"##{each}" for each in string.ascii_lowercase)]

# By the names that configs give them; each takes those that it knows.
_SIZES = {
    "vocab_size": len(PIECES),
    "hidden_size": 24,
    "embedding_size": 10,
    "input_embedding_size": 10,
    "output_embedding_size": 14,
    "intra_bottleneck_size": 12,
    "attention_window": 4,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "intermediate_size": 36,
    "hidden_dim": 36,
    "d_ff": 36,
    "d_inner": 36,
    "d_kv": 7,
    "max_position_embeddings": 40,
}
_SPREAD = 0.3
_SPREADS = {
    "mobilebert": 0.1,  # nothing normalises: values would outgrow float32
    "t5": 0.2,  # scores of attention are not scaled: roundings would, too
    "mt5": 0.2,
    "umt5": 0.2,
}


def config(model_type: str, **options: Any) -> Any:
    """A configuration of tiny sizes, as `transformers` has it."""
    known = transformers.CONFIG_MAPPING[model_type]
    names = {field.name for field in dataclasses.fields(known)} | known.attribute_map.keys()
    sizes = {name: size for name, size in _SIZES.items() if name in names}
    options = {**sizes, **options}
    if model_type == "squeezebert":  # cannot narrow its embeddings
        options["embedding_size"] = options["hidden_size"]
    if model_type == "xlnet":  # checks it against the default of the width
        options["d_head"] = options["hidden_size"] // options["num_attention_heads"]
    return transformers.AutoConfig.for_model(model_type, **options)


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
    sized, model = config(model_type, **options), getattr(transformers, architecture)
    built = model.from_config(sized) if architecture == "AutoModel" else model(sized)
    spread_out(built, _SPREADS.get(model_type, _SPREAD))
    built.to(dtype).save_pretrained(folder, **(save or {}))


def spread_out(model: torch.nn.Module, spread: float = _SPREAD) -> None:
    """Draws weights that are spread as wide as this."""
    with torch.no_grad():
        for parameter in filter(lambda each: each.requires_grad, model.parameters()):
            if parameter.ndim > 1:
                parameter.normal_(std=spread)
            else:  # biases and norms
                parameter.add_(0.2 * torch.randn_like(parameter))


def wordpiece(
    pieces: Iterable[str],
    normalizer: normalizers.Normalizer | None = None,
    prefix: str = "##",
    most_characters: int = 100,
    added: Iterable[str | AddedToken] = (),
    pair_type: int = 1,
    special: Sequence[str] = SPECIAL,
) -> Tokenizer:
    """A BERT tokenizer over these pieces; `special` names the tokens in the order of SPECIAL."""
    tokenizer = Tokenizer(
        models.WordPiece(
            {piece: id for id, piece in enumerate(dict.fromkeys(pieces))},
            unk_token=special[1],
            continuing_subword_prefix=prefix,
            max_input_chars_per_word=most_characters,
        )
    )
    tokenizer.normalizer = normalizer or normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=prefix, cleanup=False)
    return framed(tokenizer, added, pair_type, special)


def unigram(
    pieces: Iterable[str], byte_fallback: bool = False, added: Iterable[str | AddedToken] = ()
) -> Tokenizer:
    """An ALBERT tokenizer over SPECIAL and these pieces, whose scores are random."""
    draw = random.Random(4)
    distinct = dict.fromkeys([*SPECIAL, *pieces])
    scores = [(piece, round(draw.uniform(-12, -4), 3)) for piece in distinct]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=1, byte_fallback=byte_fallback))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return framed(tokenizer, added)


def bpe(
    pre_tokenizer: pre_tokenizers.PreTokenizer | None = None,
    symbols: Sequence[str] = (),
    added: Iterable[str | AddedToken] = (),
    **options: Any,
) -> Tokenizer:
    """A tokenizer over SPECIAL, symbols and bytes, with random merges of some letters."""
    draw, letters = random.Random(4), [*string.ascii_lowercase[:9], *"nruĠÃ©▁ '[x]"]
    prefix = options.get("continuing_subword_prefix", "")
    suffix = options.get("end_of_word_suffix", "")
    forms = [f"{a}{each}{b}" for each in letters for a in ("", prefix) for b in ("", suffix)]
    made = dict.fromkeys(forms)
    merges = list[tuple[str, str]]()
    while len(merges) < 400:
        left = draw.choice([each for each in made if not (suffix and each.endswith(suffix))])
        right = draw.choice([each for each in made if each.startswith(prefix)])
        product = left + right.removeprefix(prefix)
        if product not in made:
            made[product] = None
            merges.append((left, right))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = dict.fromkeys([*SPECIAL, *symbols, *alphabet, *made])
    vocabulary = {piece: id for id, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, **options))
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    return framed(tokenizer, added)


def framed(
    tokenizer: Tokenizer,
    added: Iterable[str | AddedToken],
    pair_type: int = 1,
    special: Sequence[str] = SPECIAL,
) -> Tokenizer:
    """Gives a tokenizer its special and other added tokens, and BERT's template."""
    _, _, start, end, _ = special
    tokenizer.add_special_tokens([*special])
    tokenizer.add_tokens(list(added))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} $B:{pair_type} {end}:{pair_type}",
        special_tokens=[(each, tokenizer.token_to_id(each)) for each in (start, end)],
    )
    return tokenizer


def save_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    """Writes tokenizer.json, tokenizer_config.json and vocab.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    text = "".join(f"{piece}\n" for piece, _ in vocabulary)
    (folder / "vocab.txt").write_text(text, encoding="utf-8")
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    roles = {"pad_token": ("[PAD]", "<pad>"), "mask_token": ("[MASK]", "<mask>")}
    named = {role: next(each for each in names if each in added) for role, names in roles.items()}
    config = {**named, "tokenizer_class": "BertTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def words(count: int = 3000) -> list[str]:
    """Made-up words to learn a vocabulary from: the same ones at every call."""
    draw = random.Random(4)
    syllables = ["ka", "lo", "mi", "tre", "su", "ñe", "dö", "ing", "er", "s", "12", "-", "日", "."]
    return ["".join(draw.choices(syllables, k=draw.randint(1, 5))) for _ in range(count)]


def byte_pairs() -> Tokenizer:
    """A byte-level tokenizer, of which `save_byte_pairs` writes vocabulary and merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=FAIRSEQ_SPECIAL,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(words())], trainer)
    return tokenizer


def save_byte_pairs(folder: Path) -> int:
    """Writes vocab.json and merges.txt as RoBERTa's checkpoints have them; returns its size."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_pairs()
    tokenizer.model.save(str(folder))
    return tokenizer.get_vocab_size()


def sentence_pieces(fairseq: bool = False, model_type: str = "unigram") -> bytes:
    """A SentencePiece model with the special tokens of ALBERT, or those of XLM-RoBERTa."""
    special: dict[str, Any] = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1}
    special["control_symbols"] = ["[CLS]", "[SEP]", "[MASK]"]
    if fairseq:
        special = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
    written = io.BytesIO()
    lines = words()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(" ".join(lines[at : at + 10]) for at in range(0, len(lines), 10)),
        model_writer=written,
        model_type=model_type,
        vocab_size=80,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **special,
    )
    return written.getvalue()


Encode = Callable[[Any, Any, Any], encoders.Encoded]


def changing(file: str, **changes: Any) -> Callable[[Path], object]:
    """Changes options in a JSON file of a folder."""

    def change(folder: Path) -> None:
        read = {**json.loads((folder / file).read_text()), **changes}
        (folder / file).write_text(json.dumps(read))

    return change


def in_transformers() -> list[str]:
    """The model types that `transformers` has, of those that are supported."""
    return sorted(name for name, each in encoders.architectures().items() if each.reference)


def architecture(checkpoint: Checkpoint) -> encoders.Architecture:
    """That of a checkpoint, with its adapters."""
    found = encoders.architectures()[checkpoint.config["model_type"]]
    return found.adapted(checkpoint.adapters) if checkpoint.adapters else found


def built(
    folder: Path, base_model: Path | None = None, dtype: tf.DType = tf.float32
) -> tuple[encoders.Encoder, encoders.Filled]:
    """The encoder that an export would save, and what became of the tensors."""
    checkpoint = find.read(str(folder), None if base_model is None else str(base_model))
    encoder, filled = architecture(checkpoint).build(checkpoint.config, checkpoint.tensors(), dtype)
    unused = {**filled.unused, **checkpoint.unused}
    return encoder, dataclasses.replace(filled, unused=unused)


def saved(path: Path) -> Encode:
    """The call of a saved encoder, in the form of an encoder's own."""
    model = tf.saved_model.load(str(path))

    def encode(word_ids: Any, mask: Any, type_ids: Any) -> encoders.Encoded:
        found = model(contract.inputs(word_ids, mask, type_ids))
        return encoders.Encoded(
            found["pooled_output"], found["sequence_output"], found["encoder_outputs"]
        )

    return encode
