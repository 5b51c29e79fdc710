"""The cases that every property is tested on, declared once.

An architecture needs a row in ENCODERS, a tokenizer kind one in TOKENIZERS; `test_cases.py` sees to
it. Non-default options are spread over the rows.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import torch
from tokenizers import Tokenizer, normalizers

import hub_export
from hub_export import sources
from hub_export.reference import Reference
from tests import checkpoints


@dataclasses.dataclass(frozen=True)
class EncoderCase:
    """A checkpoint to make: its architecture, options, and how it is stored."""

    name: str
    model_type: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    architecture: str = "AutoModel"
    absent: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32
    save: Mapping[str, Any] = dataclasses.field(default_factory=dict)


ENCODERS = [
    EncoderCase("bert", "bert"),
    EncoderCase(
        "bert_options",
        "bert",
        {
            "hidden_act": "gelu_new",
            "layer_norm_eps": 1e-3,
            "type_vocab_size": 5,
            "hidden_dropout_prob": 0.3,
            "attention_probs_dropout_prob": 0.2,
        },
    ),
    EncoderCase(
        "bert_masked_lm",
        "bert",
        {"hidden_act": "silu", "type_vocab_size": 1},
        architecture="BertForMaskedLM",
        absent=("pooler",),
        save={"max_shard_size": "10KB"},
    ),
    EncoderCase(
        "bert_classifier",
        "bert",
        {"hidden_act": "relu", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        architecture="BertForSequenceClassification",
        dtype=torch.bfloat16,
    ),
    EncoderCase("distilbert", "distilbert"),
    EncoderCase(
        "distilbert_options",
        "distilbert",
        {
            "activation": "tanh",
            "sinusoidal_pos_embds": True,
            "dropout": 0.0,
            "attention_dropout": 0,
        },
        architecture="DistilBertForQuestionAnswering",
        dtype=torch.float16,
    ),
]


@dataclasses.dataclass(frozen=True)
class SavedEncoder:
    """A case that has been exported."""

    case: EncoderCase
    checkpoint: Path
    path: Path

    @functools.cached_property
    def model(self) -> Any:
        return tf.saved_model.load(str(self.path))

    @functools.cached_property
    def reference(self) -> Reference:
        checkpoint = sources.read(str(self.checkpoint))
        return Reference(checkpoint, self.case.absent, types=self.case.model_type == "bert")

    @property
    def types(self) -> int:
        return self.case.options.get("type_vocab_size", 2) if self.case.model_type == "bert" else 1


def save_encoder(case: EncoderCase, folder: Path) -> SavedEncoder:
    checkpoint = folder / "source"
    checkpoints.save_model(
        checkpoint,
        case.model_type,
        case.architecture,
        case.dtype,
        dict(case.save),
        **case.options,
    )
    done = hub_export.export(checkpoint, folder / "exported", parts=["encoder"], verify="none")
    return SavedEncoder(case, checkpoint, done.paths["encoder"])


@dataclasses.dataclass(frozen=True)
class TokenizerCase:
    """A tokenizer to make."""

    name: str
    make: Callable[[], Tokenizer]
    types: int = 2


def _characters() -> list[str]:
    """A vocabulary of single characters, marks among them, within and at the start of words."""
    marks = [0x1D165, 0x302E, 0x302F, 0x8D4, 0x8E0, 0x1B44, 0x1E001, 0xF71, 0xF72, 0x301, 0x327]
    ranges = [*range(0x21, 0x250), *range(0x370, 0x600), *range(0x1100, 0x1200), *marks]
    single = [chr(point) for point in ranges]
    return [
        *checkpoints.SPECIAL,
        *single,
        *(f"##{each}" for each in single),
        "un",
        "##der",
        "##ing",
    ]


def _bert(**options: bool | None) -> Callable[[], Tokenizer]:
    normalizer = normalizers.BertNormalizer(**options)
    return lambda: checkpoints.wordpiece(_characters(), normalizer)


TOKENIZERS = [
    TokenizerCase("uncased", _bert()),
    TokenizerCase("cased", _bert(lowercase=False), types=1),
    TokenizerCase("cased_without_accents", _bert(lowercase=False, strip_accents=True)),
    TokenizerCase("uncased_with_accents", _bert(strip_accents=False, handle_chinese_chars=False)),
    TokenizerCase("unclean", _bert(clean_text=False)),
    TokenizerCase(
        "added_tokens",
        lambda: checkpoints.wordpiece(
            _characters(), added=["neo", "NÉO café", "[x", "[x]", " sp ", "!", "日本"]
        ),
    ),
    TokenizerCase(
        "other_prefix",
        lambda: checkpoints.wordpiece(
            [*checkpoints.SPECIAL, *"abcdn@", *(f"@@{c}" for c in "abcdn"), "ab", "@@cd"],
            prefix="@@",
            most_characters=7,
        ),
    ),
    TokenizerCase(
        "no_prefix",
        lambda: checkpoints.wordpiece(
            [*checkpoints.SPECIAL, *"abcdn", "ab", "cd"], prefix="", most_characters=7
        ),
    ),
    TokenizerCase(
        "three_types", lambda: checkpoints.wordpiece(_characters(), pair_type=2), types=4
    ),
]


@dataclasses.dataclass(frozen=True)
class SavedPreprocessor:
    """A case that has been exported."""

    case: TokenizerCase
    path: Path

    @functools.cached_property
    def source(self) -> Tokenizer:
        return self.case.make()

    @functools.cached_property
    def model(self) -> Any:
        return tf.saved_model.load(str(self.path))


def save_preprocessor(case: TokenizerCase, folder: Path) -> SavedPreprocessor:
    tokenizer = case.make()
    checkpoint = folder / "source"
    checkpoints.save_tokenizer(checkpoint, tokenizer)
    vocabulary = max(tokenizer.get_vocab().values()) + 1
    options = {
        "vocab_size": vocabulary,
        "type_vocab_size": case.types,
        "max_position_embeddings": 128,
    }
    checkpoints.save_model(checkpoint, "bert", **options)
    parts = ["preprocessor"]
    done = hub_export.export(checkpoint, folder / "exported", parts=parts, verify="none")
    return SavedPreprocessor(case, done.paths["preprocessor"])
