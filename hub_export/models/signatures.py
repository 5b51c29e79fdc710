"""Signatures for TF Serving that check what they are called with."""

import functools
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from hub_export.contract import Tensors

Signatures = Mapping[str, tuple[Callable[..., Tensors], Sequence[tf.TensorSpec]]]


def checked(signatures: Signatures) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """Name -> a function that refuses inputs whose rank is not that of their spec.

    TensorFlow and TF Serving check the dtypes of a signature's inputs, but no shapes.
    """
    return {
        name: tf.function(_checked(*each), autograph=False, input_signature=each[1])
        for name, each in signatures.items()
    }


def _checked(
    function: Callable[..., Tensors], specs: Sequence[tf.TensorSpec]
) -> Callable[..., Tensors]:
    @functools.wraps(function)
    def call(*inputs: tf.Tensor) -> Tensors:
        return function(*(tf.ensure_shape(x, s.shape) for x, s in zip(inputs, specs, strict=True)))

    return call
