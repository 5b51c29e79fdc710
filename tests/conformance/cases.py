"""The cases that every property is tested on, declared once.

An architecture needs a row in ENCODERS, a tokenizer kind one in TOKENIZERS; `test_cases.py` sees to
it. Non-default options are spread over the rows.
"""

import dataclasses
import functools
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import tensorflow as tf
import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

import encoders
import hub_export
from hub_export import contract
from hub_export.models.session import Session
from hub_export.settings import ENCODER, FEATURE_EXTRACTION, PREPROCESSOR
from hub_export.sources import find
from hub_export.sources.checkpoint import Checkpoint
from hub_export.verify.loaded import Preprocessor
from hub_export.verify.references.encoder import Reference
from hub_export.verify.references.own.models import MODELS
from tests import checkpoints, published, unsaved


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

    def store(self, folder: Path) -> None:
        """Writes the checkpoint."""
        if self.model_type in MODELS:
            published.save_own(folder, self.model_type, self.dtype, **self.options)
            return
        how = dict(self.save)
        kind, architecture = self.model_type, self.architecture
        checkpoints.save_model(folder, kind, architecture, self.dtype, how, **self.options)


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
    EncoderCase(
        "llama",
        "llama",
        {
            "num_key_value_heads": 1,
            "head_dim": 6,
            "attention_bias": True,
            "mlp_bias": True,
            "attention_dropout": 0.1,
            "hidden_act": "gelu",
            "rms_norm_eps": 1e-3,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 50.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            },
            "pad_token_id": 3,
        },
        architecture="LlamaForCausalLM",
        pooler=False,
        dtype=torch.bfloat16,
    ),
    EncoderCase(
        "mistral", "mistral", {"num_key_value_heads": 3, "sliding_window": 5}, pooler=False
    ),
    EncoderCase(
        "qwen2_both_directions",
        "qwen2",
        {
            "num_key_value_heads": 1,
            "use_sliding_window": True,
            "sliding_window": 4,
            "max_window_layers": 1,
            "is_causal": False,
            "rope_parameters": {"rope_type": "linear", "rope_theta": 90.0, "factor": 2.0},
        },
        pooler=False,
    ),
    EncoderCase(
        "qwen3",
        "qwen3",
        {
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 10,
            "use_sliding_window": True,
            "sliding_window": 4,
            "max_window_layers": 1,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 30.0,
                "factor": 4.0,
                "original_max_position_embeddings": 10,
            },
            "tie_word_embeddings": True,
        },
        architecture="Qwen3ForCausalLM",
        pooler=False,
    ),
    EncoderCase("eurobert", "eurobert", {"pad_token_id": 1}, pooler=False),
    EncoderCase(
        "gemma3_text",
        "gemma3_text",
        {
            "num_hidden_layers": 3,
            "num_key_value_heads": 1,
            "head_dim": 10,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "sliding_window": 7,
            "use_bidirectional_attention": True,
            "query_pre_attn_scalar": 11,
            "attention_bias": True,
            "attention_dropout": 0.1,
            "rms_norm_eps": 1e-3,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "rope_theta": 90.0, "factor": 2.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
            },
            "pad_token_id": 7,
        },
        pooler=False,
    ),
    EncoderCase(
        "gemma3_text_causal",
        "gemma3_text",
        {
            "num_key_value_heads": 3,
            "head_dim": 6,
            "sliding_window": 6,
            "sliding_window_pattern": 2,
        },
        architecture="Gemma3ForCausalLM",
        pooler=False,
    ),
    EncoderCase("t5", "t5", {"n_positions": 40}, pooler=False),
    EncoderCase(
        "t5_gated",
        "t5",
        {
            "num_decoder_layers": 1,
            "d_model": 21,
            "d_ff": 19,
            "d_kv": 10,
            "num_heads": 2,
            "n_positions": 150,
            "relative_attention_num_buckets": 14,
            "relative_attention_max_distance": 50,
            "feed_forward_proj": "gated-silu",
            "layer_norm_epsilon": 1e-3,
            "dropout_rate": 0.2,
            "pad_token_id": 7,
        },
        architecture="T5ForConditionalGeneration",
        pooler=False,
    ),
    EncoderCase(
        "mt5",
        "mt5",
        {"n_positions": 40, "dropout_rate": 0.0, "num_layers": 1},
        architecture="MT5EncoderModel",
        pooler=False,
        dtype=torch.float16,
    ),
    EncoderCase(
        "umt5",
        "umt5",
        {"n_positions": 40, "relative_attention_max_distance": 20, "pad_token_id": None},
        architecture="UMT5ForTokenClassification",
        pooler=False,
        dtype=torch.bfloat16,
    ),
    EncoderCase(
        "ernie_masked_lm",
        "ernie",
        {
            "use_task_id": True,
            "task_type_vocab_size": 5,
            "type_vocab_size": 4,
            "hidden_act": "relu",
            "layer_norm_eps": 1e-3,
            "pad_token_id": 7,
        },
        architecture="ErnieForMaskedLM",
        pooler=False,
    ),
    EncoderCase(
        "data2vec_text",
        "data2vec-text",
        {"type_vocab_size": 1, "layer_norm_eps": 1e-3, "hidden_dropout_prob": 0.2},
    ),
    EncoderCase(
        "xlm_roberta_xl",
        "xlm-roberta-xl",
        {"layer_norm_eps": 1e-3, "hidden_act": "gelu_new", "pad_token_id": 3},
    ),
    EncoderCase(
        "megatron_bert",
        "megatron-bert",
        {"layer_norm_eps": 1e-3, "hidden_act": "gelu_new", "type_vocab_size": 3},
        dtype=torch.float16,
    ),
    EncoderCase(
        "rembert",
        "rembert",
        {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.1, "type_vocab_size": 3},
        architecture="RemBertForSequenceClassification",
    ),
    EncoderCase(
        "roformer_masked_lm",
        "roformer",
        {"rotary_value": True, "type_vocab_size": 3, "layer_norm_eps": 1e-3, "pad_token_id": 7},
        architecture="RoFormerForMaskedLM",
        pooler=False,
    ),
    EncoderCase(
        "gte",
        "gte",
        {
            "rope_parameters": {"rope_type": "linear", "rope_theta": 30.0, "factor": 1.1},
            "hidden_act": "silu",
            "layer_norm_eps": 1e-3,
            "type_vocab_size": 3,
            "attention_probs_dropout_prob": 0.1,
            "pad_token_id": 7,
        },
        architecture="GteForSequenceClassification",
        pooler=False,
        dtype=torch.bfloat16,
    ),
    EncoderCase(
        "jina_embeddings_v3",
        "jina_embeddings_v3",
        {
            "rope_parameters": {"rope_type": "default", "rope_theta": 30.0},
            "type_vocab_size": 2,
            "layer_norm_eps": 1e-3,
        },
    ),
    EncoderCase(
        "esm_rotary",
        "esm",
        {
            "position_embedding_type": "rotary",
            "rope_theta": 30.0,
            "layer_norm_eps": 1e-3,
            "pad_token_id": 1,
        },
        architecture="EsmForMaskedLM",
        pooler=False,
    ),
    EncoderCase(
        "mobilebert",
        "mobilebert",
        {
            "classifier_activation": False,
            "hidden_dropout_prob": 0.1,
            "type_vocab_size": 3,
        },
        pooler=False,
    ),
    EncoderCase(
        "squeezebert",
        "squeezebert",
        {"q_groups": 3, "output_groups": 2, "layer_norm_eps": 1e-3, "type_vocab_size": 3},
    ),
    EncoderCase(
        "big_bird",
        "big_bird",
        {"rescale_embeddings": True, "type_vocab_size": 3, "layer_norm_eps": 1e-3},
        architecture="BigBirdForSequenceClassification",
    ),
    EncoderCase(
        "longformer",
        "longformer",
        {"attention_window": [4, 12], "layer_norm_eps": 1e-3, "type_vocab_size": 1},
    ),
    EncoderCase(
        "ibert_masked_lm",
        "ibert",
        {"layer_norm_eps": 1e-3, "hidden_act": "gelu"},
        architecture="IBertForMaskedLM",
        pooler=False,
    ),
    EncoderCase(
        "clip_text_model",
        "clip_text_model",
        {"eos_token_id": 2, "layer_norm_eps": 1e-3, "attention_dropout": 0.1},
        pooler=False,
    ),
    EncoderCase(
        "convbert",
        "convbert",
        {
            "num_attention_heads": 4,
            "conv_kernel_size": 5,
            "num_groups": 3,
            "layer_norm_eps": 1e-3,
            "type_vocab_size": 3,
            "hidden_dropout_prob": 0.2,
        },
        architecture="ConvBertForMaskedLM",
        pooler=False,
    ),
    EncoderCase(
        "xlnet",
        "xlnet",
        {"n_positions": 40, "clamp_len": 12, "layer_norm_eps": 1e-3, "ff_activation": "relu"},
        architecture="XLNetForTokenClassification",
        pooler=False,
    ),
    EncoderCase(
        "bert_generation",
        "bert-generation",
        {"layer_norm_eps": 1e-3, "pad_token_id": 7},
        pooler=False,
    ),
    EncoderCase(
        "gpt2",
        "gpt2",
        {"n_inner": 19, "layer_norm_epsilon": 1e-3, "scale_attn_by_inverse_layer_idx": True},
        architecture="GPT2LMHeadModel",
        pooler=False,
        dtype=torch.float16,
    ),
    EncoderCase(
        "nystromformer",
        "nystromformer",
        {"conv_kernel_size": 5, "layer_norm_eps": 1e-3, "type_vocab_size": 3},
        architecture="NystromformerForMaskedLM",
        pooler=False,
    ),
    EncoderCase("fnet", "fnet", {"hidden_act": "relu", "layer_norm_eps": 1e-3, "pad_token_id": 7}),
    EncoderCase(
        "xlm_languages",
        "xlm",
        {
            "n_langs": 3,
            "gelu_activation": False,
            "sinusoidal_embeddings": True,
            "layer_norm_eps": 1e-3,
            "pad_token_id": 7,
        },
        architecture="XLMWithLMHeadModel",
        pooler=False,
    ),
    EncoderCase(
        "flaubert_pre_norm",
        "flaubert",
        {"pre_norm": True, "layerdrop": 0.2, "layer_norm_eps": 1e-3, "attention_dropout": 0.0},
        architecture="FlaubertForSequenceClassification",
        pooler=False,
    ),
    EncoderCase(
        "jina_bert",
        "jina_bert",
        {
            "num_attention_heads": 6,
            "type_vocab_size": 3,
            "layer_norm_eps": 1e-3,
            "hidden_dropout_prob": 0.2,
            "attention_probs_dropout_prob": 0.1,
            "pad_token_id": 7,
        },
    ),
    EncoderCase(
        "jina_bert_qk_post_norm",
        "jina_bert_qk_post_norm",
        {
            "layer_norm_eps": 1e-3,
            "type_vocab_size": 1,
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.0,
        },
        dtype=torch.bfloat16,
    ),
    EncoderCase(
        "nomic_bert_moe",
        "nomic_bert_moe",
        {
            "num_hidden_layers": 3,
            "type_vocab_size": 2,
            "layer_norm_eps": 1e-3,
            "rope_parameters": {"rope_theta": 30.0},
            "num_experts": 4,
            "moe_top_k": 2,
            "moe_every_n_layers": 2,
            "hidden_dropout_prob": 0.2,
            "attention_probs_dropout_prob": 0.1,
            "pad_token_id": 7,
        },
        pooler=False,
        dtype=torch.float16,
    ),
]


_OWN = """
    bert_options distilbert_options albert_groups electra_discriminator roberta_masked_lm
    mpnet_masked_lm deberta_masked_lm deberta_v2_convolution modernbert_masked_lm
    nomic_bert_masked_lm qwen3 gemma3_text t5_gated xlm_roberta_xl roformer_masked_lm gte
    esm_rotary mobilebert nomic_bert_moe
""".split()
_NAMED = {case.name: case for case in ENCODERS}
WHOLE_ENCODERS = [_NAMED[name] for name in _OWN]
"""Of each kind of encoder the case with the most options of its own; of LLaMA's family one."""
BUILT_ENCODERS = [
    next(case for case in ENCODERS if case.model_type == model_type)
    for model_type in sorted(
        {case.model_type for case in ENCODERS} - {case.model_type for case in WHOLE_ENCODERS}
    )
]
"""A case of each model type that is not among them: traced as an export is, but not saved."""
RESAVED_ENCODERS = [_NAMED[name] for name in ("bert_options", "albert_groups", "esm_rotary")]
"""A plain one, one whose layers share variables, and one with a variable that is not trained."""


@dataclasses.dataclass(frozen=True)
class SavedEncoder:
    """A case whose checkpoint has been written; it is exported as soon as a test needs that."""

    case: EncoderCase
    folder: Path

    @property
    def checkpoint(self) -> Path:
        return self.folder / "source"

    @functools.cached_property
    def path(self) -> Path:
        done = hub_export.export(
            self.checkpoint, self.folder / "exported", parts=[ENCODER], verify="none"
        )
        return done.paths[ENCODER]

    @functools.cached_property
    def model(self) -> Any:
        return tf.saved_model.load(str(self.path))

    def session(self, **options: Any) -> Session:
        """A session that makes the encoder alone."""
        given = {"parts": (ENCODER,), "task": FEATURE_EXTRACTION, **options}
        return unsaved.session(self.checkpoint, **given)

    @functools.cached_property
    def encoder(self) -> encoders.Encoder:
        """As it is before it is exported."""
        encoder, _ = self.architecture.build(self.source.config, self.source.tensors())
        return encoder

    def encode(self, inputs: contract.Tensors, **options: Any) -> contract.Tensors:
        """What the encoder itself gives for these inputs, by the names that a SavedModel has."""
        return contract.outputs(*self.encoder(*inputs.values(), **options))

    @functools.cached_property
    def reference(self) -> Reference:
        return Reference.load(self.source, self.size, self.case.pooler, self.token)

    @functools.cached_property
    def source(self) -> Checkpoint:
        return find.read(str(self.checkpoint))

    @property
    def architecture(self) -> encoders.Architecture:
        return encoders.architectures()[self.case.model_type]

    @functools.cached_property
    def size(self) -> encoders.Dimensions:
        return self.architecture.dimensions(self.source.config)

    @functools.cached_property
    def token(self) -> encoders.TokenOfRow:
        return self.architecture.declare(self.source.config).token

    @functools.cached_property
    def dropout(self) -> dict[str, float]:
        """The options that say how much is dropped out, by name."""
        names = ("dropout", "pdrop")
        options = self.source.config.items()
        rates = {key: rate for key, rate in options if any(name in key for name in names)}
        return {key: rate for key, rate in rates.items() if not isinstance(rate, bool)}


def save_encoder(case: EncoderCase, folder: Path) -> SavedEncoder:
    saved = SavedEncoder(case, folder)
    case.store(saved.checkpoint)
    return saved


@dataclasses.dataclass(frozen=True)
class TokenizerCase:
    """A tokenizer to make.

    Attributes:
        segments: how many segments its packing is made for. Where it is as many as in an export,
            all that does not depend on the tokenizer's settings is tested as well.
    """

    name: str
    make: Callable[[], Tokenizer]
    types: int = 2
    special_tokens_in_text: bool = True
    segments: int = 2

    @property
    def options(self) -> dict[str, bool]:
        """Of an export."""
        return {"special_tokens_in_text": self.special_tokens_in_text}


FLAGS = [
    AddedToken("<mask>", lstrip=True, special=True),
    AddedToken("<end>", rstrip=True, special=True),
    AddedToken("neo", single_word=True),
    AddedToken("NÉO café"),
    AddedToken("[x", normalized=False),
    AddedToken("[x]", single_word=True, lstrip=True, rstrip=True),
    AddedToken("日本", normalized=False),
]
RUNS = [
    *(AddedToken(" " * length, normalized=False) for length in (2, 3, 4, 8)),
    AddedToken("sp", lstrip=True),
    AddedToken("[x", special=True, normalized=True),
    AddedToken("[x]", special=True, single_word=True),
    AddedToken("\t\t"),
]


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


def _altered(tokenizer: Tokenizer, **parts: Any) -> Tokenizer:
    """With other components."""
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    return tokenizer


def _wordpiece_east_asian() -> Tokenizer:
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    parts = pre_tokenizers.Whitespace(), pre_tokenizers.Digits()
    return _altered(
        checkpoints.wordpiece([*_characters(), *"日本語한국어"], normalizer, added=FLAGS),
        pre_tokenizer=pre_tokenizers.Sequence([*parts]),
    )


def _unigram_albert() -> Tokenizer:
    steps = [
        normalizers.Replace("``", '"'),
        normalizers.NFKD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(" {2,}"), " "),
    ]
    pieces = ["▁", *_characters(), *"日本語", "▁un", "ab", "▁a", "der", "▁de", "bad", "▁[", "cab"]
    return _altered(
        checkpoints.unigram(pieces, added=FLAGS), normalizer=normalizers.Sequence(steps)
    )


def _unigram_bytes() -> Tokenizer:
    pieces = ["▁", *string.printable, *_BYTES, "▁un", "ab▁a", "der", "é", "▁▁", "strasse", "a▁"]
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return _altered(
        checkpoints.unigram(pieces, byte_fallback=True, added=RUNS),
        normalizer=normalizers.NFKC(),
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
        decoder=decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)]),
    )


def _unigram_words() -> Tokenizer:
    parts = [
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Punctuation("merged_with_previous"),
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Metaspace(prepend_scheme="always", split=False),
    ]
    pieces = ["▁", *_characters(), "▁un", "ab", "▁a", "d!", "de", "▁1", "12"]
    return _altered(
        checkpoints.unigram(pieces, added=RUNS),
        normalizer=normalizers.BertNormalizer(),
        pre_tokenizer=pre_tokenizers.Sequence(parts),
    )


def _wordpiece_mpnet() -> Tokenizer:
    special = ["<pad>", "[UNK]", "<s>", "</s>", "<mask>"]
    tokenizer = checkpoints.wordpiece(
        [*special, *_characters()],
        added=[AddedToken("<mask>", lstrip=True, special=True), *FLAGS[1:]],
        special=special,
    )
    frame = processors.RobertaProcessing(("</s>", 3), ("<s>", 2), add_prefix_space=False)
    return _altered(tokenizer, post_processor=frame)


def _trimmed(tokenizer: Tokenizer, prefix: bool) -> processors.PostProcessor:
    trim = processors.ByteLevel(trim_offsets=True, add_prefix_space=prefix)
    return processors.Sequence([trim, tokenizer.post_processor])


def _bpe_roberta() -> Tokenizer:
    tokenizer = checkpoints.bpe(pre_tokenizers.ByteLevel(), added=FLAGS)
    return _altered(tokenizer, post_processor=_trimmed(tokenizer, True))


def _bpe_modernbert() -> Tokenizer:
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = checkpoints.bpe(cut, added=RUNS, ignore_merges=True)
    return _altered(tokenizer, normalizer=normalizers.NFC())


def _bpe_clip() -> Tokenizer:
    pattern = (
        r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
        r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    )
    steps = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    cut = [
        pre_tokenizers.Split(Regex(pattern), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ]
    tokenizer = checkpoints.bpe(
        pre_tokenizers.Sequence(cut), added=FLAGS, end_of_word_suffix="</w>", unk_token="[UNK]"
    )
    return _altered(
        tokenizer,
        normalizer=normalizers.Sequence(steps),
        decoder=decoders.Sequence(
            [decoders.ByteLevel(), decoders.Fuse(), decoders.Replace("</w>", " ")]
        ),
        post_processor=_trimmed(tokenizer, False),
    )


def _bpe_llama() -> Tokenizer:
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    bytes_ = {"unk_token": "[UNK]", "fuse_unk": True, "byte_fallback": True}
    spaces = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    return _altered(
        checkpoints.bpe(None, _BYTES, RUNS, **bytes_),
        normalizer=normalizers.Sequence(spaces),
        decoder=decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)]),
    )


def _bpe_characters() -> Tokenizer:
    parts = [pre_tokenizers.CharDelimiterSplit("-"), pre_tokenizers.Punctuation("contiguous")]
    options = {"continuing_subword_prefix": "##", "unk_token": "[UNK]", "fuse_unk": True}
    return _altered(
        checkpoints.bpe(pre_tokenizers.Sequence(parts), added=FLAGS, **options),
        normalizer=normalizers.Strip(),
        decoder=decoders.Fuse(),
    )


def _wordlevel_characters() -> Tokenizer:
    """As llm-jp begins texts: the mark at their start comes from nothing."""
    vocabulary = {each: id for id, each in enumerate([*_characters(), "▁", "日"])}
    start = normalizers.Replace(Regex(r"(?<!\n)^"), "▁")
    return _altered(
        checkpoints.framed(Tokenizer(models.WordLevel(vocabulary, "[UNK]")), FLAGS),
        normalizer=normalizers.Sequence([start, normalizers.Replace(" ", "▁")]),
        pre_tokenizer=pre_tokenizers.Split(Regex("."), "isolated"),
        decoder=decoders.Fuse(),
    )


_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

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
        "three_types",
        lambda: checkpoints.wordpiece(_characters(), pair_type=2),
        types=4,
        segments=contract.MOST_SEGMENTS,
    ),
    TokenizerCase("wordpiece_east_asian", _wordpiece_east_asian),
    TokenizerCase("wordpiece_mpnet", _wordpiece_mpnet, types=1),
    TokenizerCase("unigram_albert", _unigram_albert, segments=contract.MOST_SEGMENTS),
    TokenizerCase("unigram_bytes", _unigram_bytes, special_tokens_in_text=False),
    TokenizerCase("unigram_words", _unigram_words, types=1),
    TokenizerCase("bpe_roberta", _bpe_roberta, segments=contract.MOST_SEGMENTS),
    TokenizerCase("bpe_modernbert", _bpe_modernbert, special_tokens_in_text=False),
    TokenizerCase("bpe_clip", _bpe_clip),
    TokenizerCase("bpe_llama", _bpe_llama),
    TokenizerCase("bpe_characters", _bpe_characters),
    TokenizerCase("wordlevel", _wordlevel_characters, segments=contract.MOST_SEGMENTS),
]


WHOLE = [case for case in TOKENIZERS if case.segments == contract.MOST_SEGMENTS]
"""A tokenizer of each kind, at least."""


@dataclasses.dataclass(frozen=True)
class SavedPreprocessor:
    """A case that has been exported."""

    case: TokenizerCase
    path: Path

    @functools.cached_property
    def source(self) -> Tokenizer:
        made = self.case.make()
        made.encode_special_tokens = not self.case.special_tokens_in_text
        return made

    @functools.cached_property
    def model(self) -> Any:
        return tf.saved_model.load(str(self.path))

    @functools.cached_property
    def loaded(self) -> Preprocessor:
        """The model, for batches of any size."""
        return Preprocessor(self.model)


class UnsavedPreprocessor(SavedPreprocessor):
    """A case whose model is what an export would save."""

    @functools.cached_property
    def model(self) -> Any:
        return unsaved.product(self.path, PREPROCESSOR, **self.case.options).model


def save_preprocessor(case: TokenizerCase, folder: Path) -> SavedPreprocessor:
    """Exports a whole case; of another one, it writes the checkpoint."""
    tokenizer = case.make()
    checkpoint = folder / "source"
    checkpoints.save_tokenizer(checkpoint, tokenizer)
    vocabulary = max(tokenizer.get_vocab().values()) + 1
    options = {
        "vocab_size": vocabulary,
        "type_vocab_size": case.types,
        "max_position_embeddings": 128,
    }
    checkpoints.config("bert", **options).save_pretrained(checkpoint)  # without weights
    if case not in WHOLE:
        return UnsavedPreprocessor(case, checkpoint)
    with mock.patch.object(contract, "MOST_SEGMENTS", case.segments):
        done = hub_export.export(
            checkpoint,
            folder / "exported",
            parts=[PREPROCESSOR],
            verify="none",
            **case.options,
        )
    return SavedPreprocessor(case, done.paths[PREPROCESSOR])
