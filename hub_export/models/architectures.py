"""What a checkpoint's configuration declares: its architecture, its sizes."""

from collections.abc import Mapping
from typing import Any

import encoders
import preprocess
from encoders import Architecture, Dimensions
from hub_export.errors import SourceError
from hub_export.sources.checkpoint import Checkpoint

_REASONS = {"canine": " (it hashes characters, and has neither a tokenizer nor a word embedding)"}
"""Of model types that nobody should wait for."""


def architecture(checkpoint: Checkpoint) -> Architecture:
    """That of a checkpoint's encoder, with its adapters.

    Raises:
        SourceError: it is not supported.
    """
    supported = encoders.architectures()
    model_type = str(checkpoint.config.get("model_type"))
    if model_type not in supported:
        remote = checkpoint.config.get("auto_map") is not None
        code = " (its code is remote, as auto_map says, and is never run)" if remote else ""
        code = _REASONS.get(model_type, code)
        raise SourceError(
            f"{checkpoint.config_file}: model_type {model_type} is not supported{code}; "
            f"supported: {', '.join(sorted(supported))}"
        )
    found = supported[model_type]
    return found if checkpoint.adapters is None else found.adapted(checkpoint.adapters)


def sizes(config: Mapping[str, Any]) -> Dimensions:
    """What a preprocessor needs to know of an encoder, as far as its configuration tells."""

    def size(key: str, default: int) -> int:
        found = config.get(key)
        return found if isinstance(found, int) and found > 0 else default

    positions, types = (
        size("max_position_embeddings", preprocess.LONGEST),
        size("type_vocab_size", 0),
    )
    return Dimensions(0, 0, 0, vocabulary=0, positions=positions, types=types)
