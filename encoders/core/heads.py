"""What may follow the pooling of a text encoder: modules that make one vector of another.

The modules are those of sentence-transformers (https://sbert.net). Each is a function of
(x, training), float32 [B, in] -> float32 [B, out].
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from encoders.core.activations import activation
from encoders.core.initial import DEVIATION, initial
from encoders.core.layers import Dropout, LayerNorm, Linear
from encoders.core.weights import Row, Table, expand, linear


class Head(tf.Module):
    """A module behind the pooling.

    Attributes:
        table: which tensors fill it; none by default.
    """

    table: ClassVar[Table] = Table((), prefix="", buffers={})

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """float32 [B, in] -> float32 [B, out]."""
        raise NotImplementedError

    def fill(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Gives its variables their values.

        Args:
            tensors: by name, of any float type.

        Raises:
            WeightsError: the tensors do not fill it exactly.
        """
        self.table.fill(self, tensors)

    def draw(self) -> None:
        """Gives its variables values to start training from: the same ones at every call.

        Those of a kernel come from a normal distribution, as BERT's code draws them.
        """
        rows = expand(self.table.rows, self)
        self.fill({name: values() for name, values in initial(rows, self, DEVIATION).items()})


class Dense(Head):
    """A dense layer with an activation, and a connection past it where it is residual."""

    table = Table(
        (
            *linear("linear", "linear"),
            Row("residual.kernel", ("residual.weight",), transpose=True),
        ),
        prefix="",
        buffers={},
    )

    def __init__(
        self, inputs: int, outputs: int, activation_name: str, bias: bool, residual: bool
    ) -> None:
        """Declares its variables.

        Raises:
            ConfigError: the activation is not supported.
        """
        super().__init__()
        self.linear = Linear(inputs, outputs, bias)
        self.activation = activation(activation_name)
        self.is_residual = residual
        widens = residual and inputs != outputs
        self.residual = Linear(inputs, outputs, bias=False) if widens else None

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        y = self.activation(self.linear(x))
        if not self.is_residual:
            return y
        return y + (x if self.residual is None else self.residual(x))


class Normed(Head):
    """Layer normalisation."""

    table = Table(
        (Row("norm.scale", ("norm.weight",)), Row("norm.shift", ("norm.bias",))),
        prefix="",
        buffers={},
    )

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width, epsilon=1e-5)  # torch's own, which no option changes

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return self.norm(x)


class Normalized(Head):
    """Vectors of length one; zeros stay zeros."""

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.nn.l2_normalize(x, axis=1, epsilon=1e-24)  # of the squares: torch's 1e-12


class Dropped(Head):
    """Dropout, active in training only."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropout = Dropout(rate)

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return self.dropout(x, training)


class Truncated(Head):
    """The first columns alone (Matryoshka, https://arxiv.org/abs/2205.13147)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return x[:, : self.width]
