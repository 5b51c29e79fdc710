"""How `transformers` loads a checkpoint, from its folder or from its tensors."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import encoders
from hub_export.errors import SourceError
from hub_export.sources.checkpoint import Checkpoint

# How the source is run, whatever its configuration says of it.
CONFIG = {"return_dict": True, "chunk_size_feed_forward": 0}


def loaded(checkpoint: Checkpoint, pooler: bool, automatic: str, classes: str) -> Any:
    """The model of a checkpoint in `transformers`, float32.

    Args:
        checkpoint: where it is from.
        pooler: whether it has a pooler.
        automatic: what loads a folder.
        classes: the mapping of configurations to what loads tensors.

    Raises:
        SourceError: `transformers` refuses the checkpoint.
    """
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    quieten()
    options = {"dtype": torch.float32, "attn_implementation": "eager"}
    try:
        if checkpoint.folder is None:
            return _from_tensors(checkpoint, pooler, options, getattr(transformers, classes))
        return _from_folder(checkpoint, options, getattr(transformers, automatic))
    except SourceError:
        raise
    except Exception as error:  # of any kind: the library has no base class of its own
        raise SourceError(
            f"{checkpoint.folder or checkpoint.config_file}: transformers cannot load the "
            f"model to compare with: {error}"
        ) from error


def computed(model: Any, **inputs: Any) -> Any:
    """What a loaded model gives, without gradients.

    Raises:
        SourceError: its code fails at what the configuration says.
    """
    import torch  # noqa: PLC0415

    try:
        with torch.inference_mode():
            return model(**inputs)
    except Exception as error:  # of any kind, as above
        raise SourceError(
            "the model to compare with is loaded, but cannot compute: "
            f"{type(error).__name__}: {error}; is an option of the configuration wrong? To export "
            "without comparing, say verify=none"
        ) from error


def quieten() -> None:
    """Has `transformers` say nothing but errors."""
    import transformers  # noqa: PLC0415

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _from_folder(checkpoint: Checkpoint, options: Mapping[str, Any], automatic: Any) -> Any:
    return automatic.from_pretrained(
        checkpoint.folder,
        subfolder=checkpoint.subfolder,
        local_files_only=True,
        trust_remote_code=False,
        **CONFIG,
        **options,
    )


def _from_tensors(
    checkpoint: Checkpoint, pooler: bool, options: Mapping[str, Any], classes: Any
) -> Any:
    """A model of `transformers` that has the checkpoint's tensors, and no others."""
    import transformers  # noqa: PLC0415

    config = transformers.AutoConfig.for_model(**{**checkpoint.config, **CONFIG})
    tensors = checkpoint.tensors()
    model, found = classes[type(config)].from_pretrained(
        None,
        config=config,
        state_dict=as_torch(tensors),
        output_loading_info=True,
        **options,
    )
    table = encoders.architectures()[checkpoint.config["model_type"]].table
    missing = [
        name
        for name in found["missing_keys"]
        if (pooler or "pooler" not in name)
        and not any(re.fullmatch(each, name.removeprefix(table.prefix)) for each in table.buffers)
    ]
    if missing:
        raise SourceError(
            f"{checkpoint.weights_file}: transformers misses {len(missing)} tensors, such as "
            f"{min(missing)}"
        )
    if checkpoint.adapters is not None:
        from hub_export.verify.references.adapters import hook_in  # noqa: PLC0415

        hook_in(model.base_model, checkpoint)
    return model


def as_torch(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The same tensors in torch, float32."""
    import torch  # noqa: PLC0415

    return {name: torch.tensor(np.asarray(tensors[name], np.float32)) for name in tensors}
