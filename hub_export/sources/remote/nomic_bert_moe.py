"""Nomic Embed 2 (https://arxiv.org/abs/2502.07972), which says `nomic_bert` and has experts.

`transformers` has a Nomic BERT without experts, whose options have other names than those of the
published code; here they get those of the former.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import encoders
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.tensors import LazyTensors

NOTE = (
    "Nomic BERT with a mixture of experts: its code is remote and is never run, and transformers "
    "has no class for it. What is compared with is a model in torch that hub_export has, written "
    "from public descriptions."
)
_PUBLISHED = "nomic_bert"
_PREFIX = re.compile(r"^bert\.")
_MASKED = ("ForPreTraining", "ForMaskedLM")
"""What that code calls a masked language model, and what `transformers` does."""

NAMES = {
    "activation_function": "hidden_act",
    "attn_pdrop": "attention_probs_dropout_prob",
    "layer_norm_epsilon": "layer_norm_eps",
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_layer": "num_hidden_layers",
    "n_positions": "max_position_embeddings",
    "resid_pdrop": "hidden_dropout_prob",
}
"""Name in the published code -> name in `transformers`."""
_NEEDED = """
    activation_function expert_choice_router ffn_div layer_norm_epsilon moe_every_n_layers
    moe_normalize_expert_weights moe_top_k n_embd n_head n_inner n_layer n_positions
    num_shared_experts pad_token_id rotary_emb_fraction type_vocab_size vocab_size
""".split()
"""Options whose defaults in the published code are others, or those of GPT-2, or unknown."""
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "causal": (False,),
    "expert_choice_router": (False,),
    "ffn_div": (1,),
    "mlp_fc1_bias": (True,),
    "mlp_fc2_bias": (True,),
    "moe_normalize_expert_weights": (False,),
    "moe_resid_pdrop": (0.0,),
    "num_shared_experts": (0,),
    "parallel_block": (False,),
    "prenorm": (False,),
    "qkv_proj_bias": (True,),
    "rotary_emb_fraction": (1.0,),
    "rotary_emb_interleaved": (False,),
    "rotary_emb_scale_base": (None,),
    "rotary_scaling_factor": (None,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "scale_attn_weights": (True,),
    "use_rms_norm": (False, None),
}
"""Options that select another computation, with the values that are supported."""
_IGNORED = """
    add_pooling_layer dense_seq_output fused_bias_fc fused_dropout_add_ln
    last_layer_subset max_trained_positions moe_impl pad_vocab_size_multiple
    parallel_block_tied_norm reorder_and_upcast_attn router_aux_loss_coef summary_activation
    summary_first_dropout summary_proj_to_labels summary_type summary_use_proj use_flash_attn
    use_xentropy
""".split()


def recognises(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is that of such a checkpoint."""
    return config.get("model_type") == _PUBLISHED and bool(config.get("num_experts"))


def configuration(options: Options) -> Mapping[str, Any]:
    """The configuration, by the names that are known here.

    Raises:
        SourceError: an option is missing, or has a value that is not supported.
    """
    options.need(*_NEEDED)
    for key, values in _FIXED.items():
        options.fix(key, *values)
    options.ignore(*_IGNORED)
    dropout = options.take("embd_pdrop", int | float | None)  # of heads alone, as GPT-2 has it
    theta = options.positive_number("rotary_emb_base", 10_000.0)
    known = {NAMES.get(key, key): value for key, value in options.left.items()}
    classes = known.get("architectures") or ()
    known["architectures"] = [str(each).replace(*_MASKED) for each in classes]
    known.setdefault("classifier_dropout", 0.1 if dropout is None else dropout)
    rope = {"rope_type": "default", "rope_theta": theta}
    return {**known, "model_type": "nomic_bert_moe", "rope_parameters": rope}


def tensors(found: Checkpoint) -> Mapping[str, np.ndarray]:
    """The tensors, under the prefix of `transformers` where they stand beside those of a head."""
    stored, prefix = found.tensors(), encoders.architectures()["nomic_bert_moe"].table.prefix
    return LazyTensors.renamed(stored, {_PREFIX.sub(prefix, each): each for each in stored})
