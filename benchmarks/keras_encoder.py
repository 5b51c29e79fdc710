"""The peer among SavedModels: all-MiniLM-L6-v2 in Keras 2 layers, as the encoders of TF Hub are.

Multi-head attention by `einsum`, every position computed, saved by Keras.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Tensors = Mapping[str, npt.NDArray[np.float32]]

_HEADS, _EPSILON = 12, 1e-12
_BLOCK = "encoder.layer.{at}."


def save(checkpoint: Path, folder: Path) -> None:
    """Writes the checkpoint's encoder, with its weights, as a SavedModel of Keras."""
    import tensorflow as tf  # noqa: PLC0415
    import tf_keras  # noqa: PLC0415
    from safetensors.numpy import load_file  # noqa: PLC0415

    tensors = load_file(checkpoint / "model.safetensors")
    keras, table = tf_keras.layers, "embeddings.{}_embeddings.weight"
    names = ("input_word_ids", "input_mask", "input_type_ids")
    inputs = {name: keras.Input([None], dtype=tf.int32, name=name) for name in names}
    word_ids, mask, type_ids = inputs.values()
    place = tf.range(tf.shape(word_ids)[1])[tf.newaxis]
    word, position, type_ = (
        keras.Embedding(*rows.shape, weights=[rows])
        for rows in (tensors[table.format(kind)] for kind in ("word", "position", "token_type"))
    )
    x = _norm(keras, tensors, "embeddings.LayerNorm")(
        word(word_ids) + type_(type_ids) + position(place)
    )
    layers = []
    for at in range(6):
        x = _block(keras, tensors, _BLOCK.format(at=at), x, mask[:, tf.newaxis, :])
        layers.append(x)
    pooled = _dense(keras, tensors, "pooler.dense", "tanh")(x[:, 0])
    outputs = {"pooled_output": pooled, "sequence_output": x, "encoder_outputs": layers}
    tf_keras.Model(inputs, outputs).save(folder, save_format="tf")


def _block(keras: Any, tensors: Tensors, prefix: str, x: Any, seen: Any) -> Any:
    width = x.shape[-1]
    attention = keras.MultiHeadAttention(_HEADS, width // _HEADS)
    attended = attention(x, x, attention_mask=seen)
    apart = (width, _HEADS, width // _HEADS)
    weights = []
    for part in ("query", "key", "value"):
        kernel, bias = _linear(tensors, f"{prefix}attention.self.{part}")
        weights += [kernel.reshape(apart), bias.reshape(apart[1:])]
    kernel, bias = _linear(tensors, f"{prefix}attention.output.dense")
    attention.set_weights([*weights, kernel.reshape(*apart[1:], width), bias])
    x = _norm(keras, tensors, f"{prefix}attention.output.LayerNorm")(
        x + keras.Dropout(0.1)(attended)
    )
    inner = _dense(keras, tensors, f"{prefix}intermediate.dense", "gelu")(x)
    fed = _dense(keras, tensors, f"{prefix}output.dense")(inner)
    return _norm(keras, tensors, f"{prefix}output.LayerNorm")(x + keras.Dropout(0.1)(fed))


def _dense(keras: Any, tensors: Tensors, name: str, activation: str | None = None) -> Any:
    kernel, bias = _linear(tensors, name)
    return keras.Dense(bias.size, activation, weights=[kernel, bias])


def _norm(keras: Any, tensors: Tensors, name: str) -> Any:
    weights = [tensors[f"{name}.weight"], tensors[f"{name}.bias"]]
    return keras.LayerNormalization(epsilon=_EPSILON, weights=weights)


def _linear(tensors: Tensors, name: str) -> list[npt.NDArray[np.float32]]:
    return [tensors[f"{name}.weight"].T, tensors[f"{name}.bias"]]
