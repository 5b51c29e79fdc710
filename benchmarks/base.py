"""Checkpoints of the base size (12 layers, width 768) with random weights, to measure with."""

import json
import os
import shutil
import sys
from pathlib import Path

TOKENIZERS = {
    "bert": ("bert-base-uncased", ("vocab.txt",)),
    "roberta": ("roberta", ("vocab.json", "merges.txt")),
}
"""model_type -> the folder among the test assets that has its tokenizer, and the files."""
_ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1}


def save(folder: Path, model_type: str, dtype: str) -> Path:
    """Writes a checkpoint with a tokenizer in Hugging Face layout; returns its folder.

    Args:
        folder: where to; made if need be.
        model_type: `bert` or `roberta`.
        dtype: of the weights, `float32` or `bfloat16`.

    Raises:
        SystemExit: the tokenizer is not there.
    """
    import ml_dtypes  # noqa: F401, PLC0415 (numpy's bfloat16)
    from safetensors.numpy import save_file  # noqa: PLC0415

    import encoders  # noqa: PLC0415 (TensorFlow, which the process that measures does not need)

    folder.mkdir(parents=True, exist_ok=True)
    name, files = TOKENIZERS[model_type]
    for file in files:
        source = Path(os.environ.get("HUB_EXPORT_TEST_ASSETS", ""), "tokenizers", name, file)
        if not source.exists():
            sys.exit(f"HUB_EXPORT_TEST_ASSETS: {source} is wanted, and not there")
        shutil.copy(source, folder)
    options = _ROBERTA if model_type == "roberta" else {}
    drawn = encoders.architectures()[model_type].initial(options)
    tensors = {each: draw().astype(dtype) for each, draw in drawn.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {"model_type": model_type, **options}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
