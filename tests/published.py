"""Tiny checkpoints in the layouts that came with code of their own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from hub_export.sources.remote.nomic_bert_moe import NAMES
from hub_export.verify.references.own.models import MODELS
from tests import checkpoints

CODE = "theirs/implementation--modeling."
_WEIGHTS = "model.safetensors"


def rewrite(
    folder: Path,
    config: Callable[[dict[str, Any]], dict[str, Any]],
    name: Callable[[str], str] = lambda name: name,
) -> None:
    """Changes the configuration, and the names of the tensors."""
    path = folder / "config.json"
    path.write_text(json.dumps(config(json.loads(path.read_text()))))
    tensors = load_file(folder / _WEIGHTS)
    save_file(
        {name(each): values for each, values in tensors.items()},
        folder / _WEIGHTS,
        {"format": "pt"},
    )


NOMIC = {
    "activation_function": "gelu",
    "architectures": ["NomicBertModel"],
    "auto_map": {"AutoModel": f"{CODE}NomicBertModel"},
    "causal": False,
    "embd_pdrop": 0.1,
    "expert_choice_router": False,
    "ffn_div": 1,
    "layer_norm_epsilon": 1e-5,
    "mlp_fc1_bias": True,
    "mlp_fc2_bias": True,
    "model_type": "nomic_bert",
    "moe_every_n_layers": 2,
    "moe_impl": "megablocks",
    "moe_normalize_expert_weights": False,
    "moe_resid_pdrop": 0.0,
    "moe_top_k": 2,
    "num_shared_experts": 0,
    "pad_token_id": 1,
    "prenorm": False,
    "qkv_proj_bias": True,
    "rotary_emb_fraction": 1.0,
    "rotary_scaling_factor": None,
    "router_aux_loss_coef": 0.1,
    "type_vocab_size": 1,
    "use_flash_attn": True,
    "use_rms_norm": None,
}


def nomic(config: dict[str, Any]) -> dict[str, Any]:
    """The published configuration of a Nomic BERT with experts."""
    old = {new: name for name, new in NAMES.items()}
    named = {old.get(name, name): value for name, value in config.items()}
    base = named.pop("rope_parameters")["rope_theta"]
    return {**NOMIC, **named, "rotary_emb_base": base}


SIZES = {
    "vocab_size": len(checkpoints.PIECES),
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 36,
    "max_position_embeddings": 40,
}
JINA_BERT = {
    "architectures": ["JinaBertModel"],
    "attn_implementation": None,
    "auto_map": {"AutoModel": f"{CODE}JinaBertModel"},
    "emb_pooler": "mean",
    "feed_forward_type": "geglu",
    "model_type": "bert",
    "position_embedding_type": "alibi",
}
OF_CODE = {"AutoModel": "theirs/jina-bert-v2-qk-post-norm--modeling.JinaBertModel"}
OWN: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "jina_bert": lambda config: {**config, **JINA_BERT},
    "jina_bert_qk_post_norm": lambda config: {**config, **JINA_BERT, "auto_map": OF_CODE},
    "nomic_bert_moe": nomic,
}
"""Of each encoder that transformers has no class for, what makes the published configuration."""


def save_own(
    folder: Path,
    model_type: str,
    dtype: torch.dtype = torch.float32,
    head: str = "",
    **options: Any,
) -> None:
    """One that transformers has no class for; weights are as those of `checkpoints.save_model`.

    A head is named by the class of BERT's that it is like, such as `ForMaskedLM`.
    """
    torch.manual_seed(1)
    config = {**SIZES, **options}
    model = MODELS[model_type](config, True)
    checkpoints.spread_out(model)
    folder.mkdir(parents=True, exist_ok=True)
    published, state = OWN[model_type](config), model.to(dtype).state_dict()
    if head:
        is_nomic = model_type == "nomic_bert_moe"
        name = "ForPreTraining" if is_nomic and head == "ForMaskedLM" else head
        published["architectures"] = [published["architectures"][0].replace("Model", name)]
        like = berts(head, config)
        checkpoints.spread_out(like)
        state = {f"bert.{name}": each for name, each in state.items()}
        for name, each in like.state_dict().items():
            if not name.startswith("bert.") or (is_nomic and name.startswith("bert.pooler")):
                state[name.replace("LayerNorm", "layer_norm") if is_nomic else name] = each
    (folder / "config.json").write_text(json.dumps(published))
    save_torch(state, folder / _WEIGHTS, {"format": "pt"})


def berts(head: str, config: dict[str, Any]) -> Any:
    """A BERT with a head."""
    sized = transformers.BertConfig(**config, tie_word_embeddings=False)
    return getattr(transformers, f"Bert{head}")(sized).eval()


GTE = {
    "auto_map": {"AutoModel": f"{CODE}NewModel"},
    "layer_norm_type": "layer_norm",
    "logn_attention_clip1": False,
    "logn_attention_scale": False,
    "model_type": "new",
    "pack_qkv": True,
    "position_embedding_type": "rope",
    "rope_scaling": {"factor": 2.0, "type": "ntk"},
    "rope_theta": 50,
    "unpad_inputs": True,
    "use_memory_efficient_attention": True,
}


def save_gte(folder: Path, architecture: str = "GteModel", **options: Any) -> None:
    """GTE 1.5; a head has its tensors beside those of the encoder."""
    checkpoints.save_model(folder, "gte", architecture, **options)

    def published(config: dict[str, Any]) -> dict[str, Any]:
        del config["rope_parameters"]
        named = [each.replace("Gte", "New") for each in config["architectures"]]
        return {**config, **GTE, "architectures": named}

    rewrite(folder, published, lambda name: name.replace("gte.", "new."))


TASKS = ["retrieval.query", "text-matching"]
RANK, ALPHA = 4, 2
JINA_3 = {
    "auto_map": {"AutoModel": f"{CODE}XLMRobertaLoRA"},
    "architectures": ["XLMRobertaModel"],
    "emb_pooler": "mean",
    "load_trained_adapters": True,
    "lora_adaptations": TASKS,
    "lora_alpha": ALPHA,
    "lora_dropout_p": 0.0,
    "lora_main_params_trainable": False,
    "lora_rank": RANK,
    "matryoshka_dimensions": [8, 24],
    "model_type": "xlm-roberta",
    "output_past": True,
    "position_embedding_type": "rotary",
    "rotary_emb_base": 20000.0,
    "task_instructions": {"retrieval.query": "a query: ", "text-matching": ""},
    "truncate_dim": None,
    "use_flash_attn": True,
}


def save_jina_embeddings_v3(folder: Path, **options: Any) -> dict[str, dict[str, np.ndarray]]:
    """Jina Embeddings 3; returns the tensors of each task, merged, by the names of transformers."""
    checkpoints.save_model(folder, "jina_embeddings_v3", **options)
    draw, plain = np.random.default_rng(3), load_file(folder / _WEIGHTS)
    merged = {task: dict(plain) for task in TASKS}
    stored = dict[str, np.ndarray]()
    for name, values in plain.items():
        base = f"roberta.{name.removesuffix('.weight')}"
        if values.ndim == 1:
            stored[f"roberta.{name}"] = values
            continue
        rows, columns = values.shape
        left = draw.normal(0, 0.3, (len(TASKS), rows, RANK)).astype(np.float32)
        right = draw.normal(0, 0.3, (len(TASKS), RANK, columns)).astype(np.float32)
        first, second = (left, right) if "embeddings" in name else (right, left)
        stored[f"{base}.parametrizations.weight.original"] = values
        stored[f"{base}.parametrizations.weight.0.lora_A"] = first
        stored[f"{base}.parametrizations.weight.0.lora_B"] = second
        for task, a, b in zip(TASKS, left, right, strict=True):
            merged[task][name] = values + a @ b * (ALPHA / RANK)
    save_file(stored, folder / _WEIGHTS, {"format": "pt"})
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["rope_parameters"]
    path.write_text(json.dumps({**config, **JINA_3}))
    return merged
