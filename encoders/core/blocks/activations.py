"""Activation functions by the names that configs give them (`transformers`' ACT2FN)."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from encoders.core.errors import ConfigError

Activation = Callable[[tf.Tensor], tf.Tensor]


def _gelu(x: tf.Tensor) -> tf.Tensor:
    """Gaussian error linear unit, exact (https://arxiv.org/abs/1606.08415)."""
    return tf.nn.gelu(x, approximate=False)


def _gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.gelu(x, approximate=True)


def _gelu_10(x: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(_gelu(x), -10.0, 10.0)


def _quick_gelu(x: tf.Tensor) -> tf.Tensor:
    return x * tf.sigmoid(1.702 * x)


def _mish(x: tf.Tensor) -> tf.Tensor:
    return x * tf.tanh(tf.math.softplus(x))


def _hardswish(x: tf.Tensor) -> tf.Tensor:
    return x * tf.nn.relu6(x + 3.0) / 6.0


def _leaky_relu(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.leaky_relu(x, alpha=0.01)


ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": _gelu,
    "gelu_10": _gelu_10,
    "gelu_accurate": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "gelu_new": _gelu_tanh,
    "gelu_python": _gelu,
    "gelu_python_tanh": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "hardswish": _hardswish,
    "leaky_relu": _leaky_relu,
    "linear": tf.identity,
    "mish": _mish,
    "quick_gelu": _quick_gelu,
    "relu": tf.nn.relu,
    "relu2": lambda x: tf.square(tf.nn.relu(x)),
    "relu6": tf.nn.relu6,
    "sigmoid": tf.sigmoid,
    "silu": tf.nn.silu,
    "swish": tf.nn.silu,
    "tanh": tf.tanh,
}


def activation(name: str) -> Activation:
    """Looks an activation up.

    Raises:
        ConfigError: `name` is none of those that the encoders compute.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f"unsupported activation {name!r}; supported: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
