"""What a SavedModel needs of the program that loads it: `assets.extra/requirements.json`."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from hub_export.errors import ExportError
from hub_export.publish import text_ops

FILE = "requirements.json"
TENSORFLOW, TF_SERVING = "2.12.1", "2.14.0"
"""The oldest versions that exports work in; `tools/older_tensorflow.py` tries TensorFlow's."""


def operations(path: Path) -> Counter[str]:
    """How often a SavedModel has each operation, in its graph and all functions of its library."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    found: Counter[str] = Counter()
    for graph in (meta.graph_def for meta in model.meta_graphs):
        found.update(node.op for node in graph.node)
        found.update(node.op for f in graph.library.function for node in f.node_def)
        for function in graph.library.function:
            del found[function.signature.name]
    return found


def custom_ops(path: Path) -> list[str]:
    """The operations of a SavedModel that TensorFlow itself does not have."""
    return sorted(name for name in operations(path) if not hasattr(tf.raw_ops, name))


def requirements(path: Path) -> dict[str, Any]:
    """The custom operations of a SavedModel, and the oldest versions that have them.

    Raises:
        ExportError: it needs an operation that TF Serving does not have.
    """
    needed = custom_ops(path)
    if unknown := set(needed) - text_ops.OPS:
        raise ExportError(
            f"{path}: needs {', '.join(sorted(unknown))}, which tensorflow_text {text_ops.VERSION} "
            "and so TF Serving do not have"
        )
    oldest = {"tensorflow": TENSORFLOW, "tf_serving": TF_SERVING}
    if needed:
        oldest["tensorflow_text"] = text_ops.VERSION
    return {"custom_ops": needed, "oldest_versions": oldest}


def write(path: Path, assets: Path) -> None:
    """Writes the requirements of a SavedModel into its `assets.extra`."""
    text = json.dumps(requirements(path), indent=2)
    (assets / FILE).write_text(text + "\n", encoding="utf-8")
