"""Layers that act on the last axis: whatever stands before it (here N) passes through."""

import abc
from typing import Any

import tensorflow as tf

from encoders.core.declared import declare


class LinearBase(tf.Module, abc.ABC):
    """A dense layer, float [N, in] -> float32 [N, out], computed in the kernel's dtype."""

    kernel: tf.Variable
    bias: tf.Variable | None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.narrow(x), tf.float32)

    def narrow(self, x: tf.Tensor) -> tf.Tensor:
        """The same in the kernel's dtype, for what goes on to the next layer at once."""
        product = self.product(x)
        return product if self.bias is None else tf.nn.bias_add(product, self.bias)

    def onto(self, residual: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Adds the layer's output to float32 [N, out].

        The bias goes there before the product does: TensorFlow makes one operation of a product and
        a bias behind it, which takes longer than both.
        """
        if self.bias is not None:
            residual += tf.cast(self.bias, tf.float32)
        return residual + tf.cast(self.product(x), tf.float32)

    @abc.abstractmethod
    def product(self, x: tf.Tensor) -> tf.Tensor:
        """Without the bias, in the kernel's dtype."""


class Linear(LinearBase):
    """Every output sees every input."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.kernel = declare(inputs, outputs, narrow=True)
        self.bias = declare(outputs, narrow=True) if bias else None

    def product(self, x: tf.Tensor) -> tf.Tensor:
        """Without the bias, in the kernel's dtype."""
        return tf.matmul(tf.cast(x, self.kernel.dtype), self.kernel)


class GroupedLinear(LinearBase):
    """Each group of outputs sees a group of inputs."""

    bias: tf.Variable

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.kernel = declare(inputs // groups, outputs, narrow=True)
        self.bias = declare(outputs, narrow=True)

    def product(self, x: tf.Tensor) -> tf.Tensor:
        """Without the bias, in the kernel's dtype."""
        kernels = self.by_group()
        parts = tf.reshape(tf.cast(x, kernels.dtype), [-1, self.groups, kernels.shape[1]])
        products = tf.einsum("ngi,gio->ngo", parts, kernels)
        return tf.reshape(products, [-1, self.bias.shape[0]])

    def by_group(self) -> tf.Tensor:
        """The kernels, [groups, in, out], each of a group."""
        inputs, _ = self.kernel.shape
        return tf.transpose(tf.reshape(self.kernel, [inputs, self.groups, -1]), [1, 0, 2])


class Part(tf.Module, abc.ABC):
    """A part of a block whose last step is a dense layer; what it takes is up to those below.

    Attributes:
        output: the layer.
    """

    output: LinearBase

    def __call__(self, *inputs: Any) -> tf.Tensor:
        return self.output(self.before(*inputs))

    def onto(self, residual: tf.Tensor, *inputs: Any) -> tf.Tensor:
        """Adds what it makes of its inputs to float32 [N, D]."""
        return self.output.onto(residual, self.before(*inputs))

    @abc.abstractmethod
    def before(self, *inputs: Any, **named: Any) -> tf.Tensor:
        """What the last layer gets, [N, in]."""


class LayerNorm(tf.Module):
    """Layer normalisation over the last axis (https://arxiv.org/abs/1607.06450)."""

    gamma: tf.Variable
    beta: tf.Variable | None

    def __init__(self, width: int, epsilon: float, beta: bool = True) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gamma = declare(width)
        self.beta = declare(width) if beta else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
        scaled = centred * tf.math.rsqrt(variance + self.epsilon) * self.gamma
        return scaled if self.beta is None else scaled + self.beta


class RMSNorm(tf.Module):
    """Division by the root mean square of the last axis (https://arxiv.org/abs/1910.07467)."""

    gamma: tf.Variable
    beta: tf.Variable | None = None

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gamma = declare(width)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.normalised(x) * self.gamma

    def normalised(self, x: tf.Tensor) -> tf.Tensor:
        """The same before anything learned."""
        mean = tf.reduce_mean(tf.square(x), axis=-1, keepdims=True)
        return x * tf.math.rsqrt(mean + self.epsilon)


Norm = LayerNorm | RMSNorm


class Embedding(tf.Module):
    """A table of vectors, ids [N] -> float32 [N, D].

    In training, the row of `padding` gets no gradient, as with torch's `padding_idx`.
    """

    table: tf.Variable

    def __init__(
        self, rows: int, width: int, trainable: bool = True, padding: int | None = None
    ) -> None:
        super().__init__()
        self.rows = rows
        self.padding = padding
        self.table = declare(rows, width, trainable=trainable, narrow=True)

    def __call__(self, ids: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = tf.cast(tf.gather(self.table, ids), tf.float32)
        if self.padding is None or not training:
            return x
        fixed = tf.equal(ids, self.padding)[..., tf.newaxis]
        return tf.where(fixed, tf.stop_gradient(x), x)

    def __getitem__(self, rows: int | slice) -> tf.Tensor:
        """Some rows by their numbers, float32 [D] or [rows, D]."""
        return tf.cast(self.table[rows], tf.float32)


class Dropout(tf.Module):
    """Inverted dropout, active in training only."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.nn.dropout(x, self.rate) if training and self.rate else x
