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
    "jina_embeddings_v3, which is compared with. Names of tensors are translated, and adapters of "
    "a task merged, by hub_export, for both sides."
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
_CHANGED = ".parametrizations.weight.original"
_FACTORS = (".parametrizations.weight.0.lora_A", ".parametrizations.weight.0.lora_B")
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
    options.need(*_NEEDED)
    options.fix("position_embedding_type", "rotary")
    options.fix("truncate_dim", None)
    options.ignore(*_IGNORED)
    theta = options.positive_number("rotary_emb_base", 10_000.0)
    rope = {"rope_type": "default", "rope_theta": theta}
    return {**options.left, "model_type": "jina_embeddings_v3", "rope_parameters": rope}


def routes(config: Mapping[str, Any]) -> list[str]:
    """The tasks that there are adapters for."""
    found = config.get(_TASKS)
    return [str(each) for each in found] if isinstance(found, list) else []


def tensors(found: Checkpoint) -> Mapping[str, np.ndarray]:
    """The tensors, those of the route's adapter merged.

    Raises:
        SourceError: there is no such adapter, a part of it is missing, or its shape is not that of
            a matrix.
    """
    stored, parts = found.tensors(), (_CHANGED, *_FACTORS)
    plain = {name: name for name in stored if not name.endswith(parts)}
    changed = {name.removesuffix(end) for name in stored for end in parts if name.endswith(end)}
    missing = [f"{name}{end}" for name in changed for end in parts if f"{name}{end}" not in stored]
    if missing:
        raise SourceError(
            f"{found.weights_file}: a matrix, and the two factors of its changes, belong together; "
            f"{len(missing)} of them are missing, such as {min(missing)}"
        )
    merge = functools.partial(_original, stored)
    if found.route:
        if not changed:
            raise SourceError(
                f"{found.weights_file}: no tensor has changes for {found.route}, which {_TASKS} "
                f"lists in {found.config_file.name}; leave --route out"
            )
        merge = functools.partial(_merged, found, stored, *_scaling(found))
    return LazyTensors.renamed(stored, plain).with_others(
        {f"{name}.weight": functools.partial(merge, name) for name in sorted(changed)}
    )


def pipeline(found: Checkpoint) -> Pipeline:
    """What stands around the encoder, with the instructions of the tasks."""
    known, instructions = found.pipeline(), found.config.get(_INSTRUCTIONS)
    texts = instructions if isinstance(instructions, dict) else {}
    prompts = {**{str(task): str(text) for task, text in texts.items()}, **known.prompts}
    default = found.route if found.route in prompts else known.default_prompt
    return dataclasses.replace(known, prompts=prompts, default_prompt=default)


def _scaling(found: Checkpoint) -> tuple[int, float]:
    """The rank of changes, and what they are multiplied by.

    Raises:
        SourceError: the configuration has none.
    """
    options = Options(found.config_file, found.config)
    alpha, rank = options.positive_number("lora_alpha"), options.positive("lora_rank")
    if rank is None:
        raise SourceError(f"{options.file}: lora_rank: expected a positive integer, found None")
    return rank, alpha / rank


def _original(stored: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A matrix as it is without a task, float32."""
    return np.asarray(stored[f"{name}{_CHANGED}"], np.float32)


def _merged(
    found: Checkpoint, stored: Mapping[str, np.ndarray], rank: int, scale: float, name: str
) -> np.ndarray:
    """A matrix with the change that a task makes to it, float32."""
    matrix, tasks = _original(stored, name), routes(found.config)
    factors = [np.asarray(stored[f"{name}{end}"], np.float32) for end in _FACTORS]
    left, right = factors if _TABLE in name else factors[::-1]
    shapes = (len(tasks), *matrix.shape[:1], rank), (len(tasks), rank, *matrix.shape[1:])
    if (left.shape, right.shape) != shapes:
        raise SourceError(
            f"{found.weights_file}: {name}: expected changes of {' and '.join(map(str, shapes))}, "
            f"for {len(tasks)} tasks and a lora_rank of {rank}, found {left.shape} and "
            f"{right.shape}"
        )
    at = tasks.index(found.route)
    merged: np.ndarray = matrix + left[at] @ right[at] * np.float32(scale)
    return merged
