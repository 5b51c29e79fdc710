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

import encoders
import hub_export
from hub_export import sources
from hub_export.checkpoint import Checkpoint
from hub_export.reference import Reference
from tests import checkpoints


@dataclasses.dataclass(frozen=True)
class EncoderCase:
    """A checkpoint to make: its architecture, options, and how it is stored."""

    name: str
    model_type: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    architecture: str = "AutoModel"
    pooler: bool = True
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
            "pad_token_id": 9,
            "hidden_dropout_prob": 0.3,
            "attention_probs_dropout_prob": 0.2,
        },
    ),
    EncoderCase(
        "bert_masked_lm",
        "bert",
        {"hidden_act": "silu", "type_vocab_size": 1},
        architecture="BertForMaskedLM",
        pooler=False,
        save={"max_shard_size": "10KB"},
    ),
    EncoderCase(
        "bert_classifier",
        "bert",
        {"hidden_act": "relu", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        architecture="BertForSequenceClassification",
        dtype=torch.bfloat16,
    ),
    EncoderCase("distilbert", "distilbert", pooler=False),
    EncoderCase(
        "distilbert_options",
        "distilbert",
        {
            "activation": "tanh",
            "sinusoidal_pos_embds": True,
            "dropout": 0.0,
            "attention_dropout": 0,
            "pad_token_id": None,
        },
        architecture="DistilBertForQuestionAnswering",
        pooler=False,
        dtype=torch.float16,
    ),
    EncoderCase("albert", "albert"),
    EncoderCase(
        "albert_groups",
        "albert",
        {
            "num_hidden_layers": 3,
            "num_hidden_groups": 2,
            "inner_group_num": 2,
            "embedding_size": 7,
            "hidden_size": 21,
            "intermediate_size": 33,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-3,
            "type_vocab_size": 3,
            "pad_token_id": 4,
            "hidden_dropout_prob": 0.2,
            "attention_probs_dropout_prob": 0.1,
        },
        architecture="AlbertForPreTraining",
    ),
    EncoderCase(
        "albert_masked_lm",
        "albert",
        {"num_hidden_groups": 2, "hidden_dropout_prob": 0.1, "pad_token_id": None},
        architecture="AlbertForMaskedLM",
        pooler=False,
    ),
    EncoderCase("electra", "electra", pooler=False),
    EncoderCase(
        "electra_discriminator",
        "electra",
        {
            "num_hidden_layers": 3,
            "embedding_size": 27,
            "hidden_size": 15,
            "intermediate_size": 19,
            "hidden_act": "relu",
            "layer_norm_eps": 1e-3,
            "type_vocab_size": 3,
            "pad_token_id": 11,
            "hidden_dropout_prob": 0.2,
        },
        architecture="ElectraForPreTraining",
        pooler=False,
    ),
    EncoderCase(
        "electra_unprojected",
        "electra",
        {"embedding_size": 24, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        architecture="ElectraForMaskedLM",
        pooler=False,
    ),
    EncoderCase("roberta", "roberta", {"type_vocab_size": 1}),
    EncoderCase(
        "roberta_masked_lm",
        "roberta",
        {
            "num_hidden_layers": 3,
            "hidden_size": 21,
            "intermediate_size": 35,
            "hidden_act": "gelu_new",
            "layer_norm_eps": 1e-5,
            "pad_token_id": 7,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        architecture="RobertaForMaskedLM",
        pooler=False,
    ),
    EncoderCase(
        "xlm_roberta_classifier",
        "xlm-roberta",
        {"layer_norm_eps": 1e-3, "type_vocab_size": 1, "pad_token_id": 0},
        architecture="XLMRobertaForSequenceClassification",
        pooler=False,
    ),
    EncoderCase(
        "camembert", "camembert", {"hidden_act": "tanh", "type_vocab_size": 3}, dtype=torch.bfloat16
    ),
    EncoderCase("mpnet", "mpnet", {"max_position_embeddings": 300}),
    EncoderCase(
        "mpnet_masked_lm",
        "mpnet",
        {
            "num_hidden_layers": 3,
            "hidden_size": 21,
            "intermediate_size": 35,
            "hidden_act": "silu",
            "layer_norm_eps": 1e-3,
            "pad_token_id": 5,
            "relative_attention_num_buckets": 40,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        architecture="MPNetForMaskedLM",
        pooler=False,
    ),
    EncoderCase("deberta", "deberta", pooler=False),
    EncoderCase(
        "deberta_masked_lm",
        "deberta",
        {
            "num_hidden_layers": 3,
            "hidden_size": 21,
            "intermediate_size": 35,
            "relative_attention": True,
            "pos_att_type": "p2c|c2p",
            "max_relative_positions": 13,
            "position_biased_input": False,
            "hidden_act": "gelu_new",
            "layer_norm_eps": 1e-3,
            "pad_token_id": 7,
        },
        architecture="DebertaForMaskedLM",
        pooler=False,
    ),
    EncoderCase(
        "deberta_c2p",
        "deberta",
        {
            "relative_attention": True,
            "pos_att_type": ["c2p"],
            "embedding_size": 10,
            "type_vocab_size": 3,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "pad_token_id": None,
        },
        pooler=False,
        dtype=torch.float16,
    ),
    EncoderCase(
        "deberta_v3",
        "deberta-v2",
        {
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
            "hidden_dropout_prob": 0.2,
        },
        pooler=False,
    ),
    EncoderCase(
        "deberta_v2_convolution",
        "deberta-v2",
        {
            "num_hidden_layers": 3,
            "hidden_size": 21,
            "intermediate_size": 35,
            "relative_attention": True,
            "pos_att_type": "p2c|c2p",
            "position_buckets": 11,
            "max_relative_positions": 30,
            "conv_kernel_size": 5,
            "conv_act": "gelu",
            "attention_head_size": 7,
            "embedding_size": 10,
            "hidden_act": "silu",
            "layer_norm_eps": 1e-3,
            "type_vocab_size": 3,
            "pad_token_id": 7,
        },
        architecture="DebertaV2ForSequenceClassification",
        pooler=False,
        dtype=torch.bfloat16,
    ),
    EncoderCase(
        "deberta_v2_p2c",
        "deberta-v2",
        {
            "relative_attention": True,
            "pos_att_type": ["p2c"],
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        architecture="DebertaV2ForMaskedLM",
        pooler=False,
    ),
    EncoderCase("deberta_v2_absolute", "deberta-v2", pooler=False),
    EncoderCase(
        "modernbert",
        "modernbert",
        {"num_hidden_layers": 4, "local_attention": 10, "pad_token_id": 0},
        pooler=False,
    ),
    EncoderCase(
        "modernbert_masked_lm",
        "modernbert",
        {
            "num_hidden_layers": 3,
            "hidden_size": 30,
            "intermediate_size": 19,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "local_attention": 7,
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 700.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
            },
            "attention_bias": True,
            "mlp_bias": True,
            "norm_bias": True,
            "norm_eps": 1e-3,
            "hidden_activation": "silu",
            "attention_dropout": 0.1,
            "embedding_dropout": 0.2,
            "mlp_dropout": 0.3,
            "pad_token_id": 7,
        },
        architecture="ModernBertForMaskedLM",
        pooler=False,
    ),
    EncoderCase(
        "modernbert_classifier",
        "modernbert",
        {
            "num_hidden_layers": 3,
            "global_attn_every_n_layers": 2,
            "global_rope_theta": 90.0,
            "local_rope_theta": 4.0,
            "local_attention": 4,
            "mlp_dropout": 0.1,
            "pad_token_id": None,
        },
        architecture="ModernBertForSequenceClassification",
        pooler=False,
        dtype=torch.bfloat16,
    ),
    EncoderCase("nomic_bert", "nomic_bert", pooler=False),
    EncoderCase(
        "nomic_bert_masked_lm",
        "nomic_bert",
        {
            "num_hidden_layers": 3,
            "hidden_size": 30,
            "intermediate_size": 19,
            "rope_parameters": {"rope_type": "default", "rope_theta": 30.0},
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-3,
            "type_vocab_size": 3,
            "hidden_dropout_prob": 0.2,
            "attention_probs_dropout_prob": 0.1,
            "pad_token_id": 7,
        },
        architecture="NomicBertForMaskedLM",
        pooler=False,
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
        return Reference(self.source, self.size, self.case.pooler)

    @functools.cached_property
    def source(self) -> Checkpoint:
        return sources.read(str(self.checkpoint))

    @property
    def architecture(self) -> encoders.Architecture:
        return encoders.architectures()[self.case.model_type]

    @functools.cached_property
    def size(self) -> encoders.Dimensions:
        return self.architecture.dimensions(self.source.config)

    @functools.cached_property
    def dropout(self) -> dict[str, float]:
        """The options that say how much is dropped out, by name."""
        return {key: rate for key, rate in self.source.config.items() if "dropout" in key}


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
