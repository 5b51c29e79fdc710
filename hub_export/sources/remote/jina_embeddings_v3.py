"""Jina Embeddings 3 (https://arxiv.org/abs/2409.10173) as it was published, with its adapters.

`transformers` knows the same encoder as `jina_embeddings_v3`. Published folders say `xlm-roberta`
and hold, beside each matrix, low-rank changes of it (LoRA, https://arxiv.org/abs/2106.09685), one
for each of several tasks. A route names the task, whose changes are added to the matrices, and
whose instruction stands before each text; without one, the encoder is that of no task.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from hub_export.errors import SourceError
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.options import Options
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.sources.modules import Pipeline

NOTE = (
    "Jina Embeddings 3: its code is remote and is never run; transformers has the same encoder as "
    "jina_embeddings_v3, and adapters of a task are merged into it."
)
_NEEDED = """
    vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size
    max_position_embeddings type_vocab_size layer_norm_eps
""".split()
"""Sizes, for which versions of the published code have had several defaults."""
_IGNORED = """
    emb_pooler load_trained_adapters lora_adaptations lora_alpha lora_dropout_p
    lora_main_params_trainable lora_rank matryoshka_dimensions output_past task_instructions
    use_flash_attn
""".split()
_TASKS, _INSTRUCTIONS = "lora_adaptations", "task_instructions"
_CHANGED, _CHANGE = ".parametrizations.weight.original", ".parametrizations.weight.0.lora_"
_TABLE = "embeddings"
"""In the names of tables, whose factors are stored the other way round."""


def recognises(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is that of such a checkpoint."""
    named = config.get("model_type"), config.get("position_embedding_type")
    return named == ("xlm-roberta", "rotary")


def configuration(options: Options) -> Mapping[str, Any]:
    """The configuration as `transformers` would have it.

    Raises:
        SourceError: an option is missing, or has a value that is not supported.
    """
    if missing := [key for key in _NEEDED if key not in options.left]:
        raise SourceError(f"{options.file}: {', '.join(missing)}: missing")
    options.fix("position_embedding_type", "rotary")
    options.fix("truncate_dim", None)
    options.ignore(*_IGNORED)
    theta = options.take("rotary_emb_base", int | float, 10_000.0)
    rope = {"rope_type": "default", "rope_theta": theta}
    return {**options.left, "model_type": "jina_embeddings_v3", "rope_parameters": rope}


def routes(config: Mapping[str, Any]) -> list[str]:
    """The tasks that there are adapters for."""
    found = config.get(_TASKS)
    return [str(each) for each in found] if isinstance(found, list) else []


def tensors(found: Checkpoint) -> Mapping[str, np.ndarray]:
    """The tensors, those of the route's adapter merged.

    Raises:
        SourceError: there is no such adapter, or its shape is not that of a matrix.
    """
    stored, route = found.tensors(), found.route
    plain = {name: name for name in stored if _CHANGED not in name and _CHANGE not in name}
    changed = [name.removesuffix(_CHANGED) for name in stored if name.endswith(_CHANGED)]
    merge = functools.partial(_merged, found, stored, route)
    return LazyTensors.renamed(stored, plain).with_others(
        {f"{name}.weight": functools.partial(merge, name) for name in changed}
    )


def pipeline(found: Checkpoint) -> Pipeline:
    """What stands around the encoder, with the instructions of the tasks."""
    known, instructions = found.pipeline(), found.config.get(_INSTRUCTIONS)
    texts = instructions if isinstance(instructions, dict) else {}
    prompts = {**{str(task): str(text) for task, text in texts.items()}, **known.prompts}
    default = found.route if found.route in prompts else known.default_prompt
    return dataclasses.replace(known, prompts=prompts, default_prompt=default)


def _merged(
    found: Checkpoint, stored: Mapping[str, np.ndarray], route: str, name: str
) -> np.ndarray:
    """A matrix with the change that a task makes to it, float32."""
    matrix: np.ndarray = np.asarray(stored[f"{name}{_CHANGED}"], np.float32)
    if not route:
        return matrix
    config, tasks = found.config, routes(found.config)
    first, second = (np.asarray(stored[f"{name}{_CHANGE}{each}"], np.float32) for each in "AB")
    if not len(first) == len(second) == len(tasks):
        raise SourceError(
            f"{found.weights_file}: {name}: expected changes for {len(tasks)} tasks, found "
            f"{len(first)} and {len(second)}"
        )
    factors = (first, second) if _TABLE in name else (second, first)
    change = np.matmul(*(each[tasks.index(route)] for each in factors))
    if change.shape != matrix.shape:
        raise SourceError(
            f"{found.weights_file}: {name}: expected a change of shape {list(matrix.shape)}, found "
            f"{list(change.shape)}"
        )
    scale = np.float32(config.get("lora_alpha", 1) / config.get("lora_rank", 4))
    return matrix + change * scale
