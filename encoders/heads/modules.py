"""What may follow the pooling of a text embedding: modules that make one vector of another.

The modules are those of sentence-transformers (https://sbert.net): a class holds its options, its
rows and its call. Each is a function of (x, training), float32 [..., in] -> float32 [..., out].
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from encoders.core.blocks.activations import activation
from encoders.core.blocks.layers import Dropout, LayerNorm, Linear
from encoders.core.declared import Stored, expand
from encoders.core.initial import initial
from encoders.core.rows import TRANSPOSE, Row, linear, norm
from encoders.core.weights import Table


class VectorModule(tf.Module):
    """A module that makes one vector of another.

    Attributes:
        kind: the name of its class in sentence-transformers.
        takes: the width of the vectors that it is for; None for any.
        table: which tensors fill it; none by default.
    """

    kind: ClassVar[str]
    takes: int | None = None
    table: ClassVar[Table] = Table((), prefix="", buffers={})

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """float32 [..., in] -> float32 [..., out]."""
        raise NotImplementedError

    def gives(self, width: int) -> int:
        """The width of its vectors, made of those of a width."""
        return width

    def describe(self) -> str:
        """What it does, for a reader."""
        return self.kind

    def fill(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Gives its variables their values.

        Args:
            tensors: by name, of any float type.

        Raises:
            WeightsError: the tensors do not fill it exactly.
        """
        self.table.fill(self, tensors)

    def stored(self) -> list[Stored]:
        """What each variable is stored as; the module may be filled already."""
        return [Stored(row, tf.float32) for row in expand(self.table.rows, self)]

    def expected(self, tensors: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        """Path and values that each variable must have; the module may be filled already."""
        return self.table.expected(self.stored(), tensors)

    def drawn(self) -> Mapping[str, np.ndarray]:
        """Tensors to start training from: the same ones at every call.

        Those of a kernel come from a normal distribution, as BERT's code draws them.
        """
        rows = expand(self.table.rows, self)
        return {name: values() for name, values in initial(rows, self).items()}


class DenseModule(VectorModule):
    """A dense layer with an activation, and a connection past it where it is residual."""

    kind = "Dense"
    table = Table(
        (
            *linear("linear", "linear"),
            Row("residual.kernel", ("residual.weight",), TRANSPOSE),
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
        self.takes, self.outputs = inputs, outputs
        self.linear = Linear(inputs, outputs, bias)
        self.activation_name = activation_name
        self.activation = activation(activation_name)
        self.is_residual = residual
        widens = residual and inputs != outputs
        self.residual = Linear(inputs, outputs, bias=False) if widens else None

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        y = self.activation(self.linear(x))
        if not self.is_residual:
            return y
        return y + (x if self.residual is None else self.residual(x))

    def gives(self, width: int) -> int:
        return self.outputs

    def describe(self) -> str:
        residual = ", residual" if self.is_residual else ""
        return f"Dense ({self.takes} to {self.outputs}, {self.activation_name}{residual})"


class LayerNormModule(VectorModule):
    """Layer normalisation."""

    kind = "LayerNorm"
    table = Table(norm("layer_norm", "norm"), prefix="", buffers={})

    def __init__(self, width: int) -> None:
        super().__init__()
        self.takes = width
        self.layer_norm = LayerNorm(width, epsilon=1e-5)  # torch's own, which no option changes

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return self.layer_norm(x)


class NormalizeModule(VectorModule):
    """Vectors of length one; zeros stay zeros."""

    kind = "Normalize"

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.nn.l2_normalize(x, axis=-1, epsilon=1e-24)  # of the squares: torch's 1e-12


class DropoutModule(VectorModule):
    """Dropout, active in training only."""

    kind = "Dropout"

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropout = Dropout(rate)

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return self.dropout(x, training)


class TruncateModule(VectorModule):
    """The first columns alone (Matryoshka, https://arxiv.org/abs/2205.13147).

    In sentence-transformers it is no module, but an option of the whole.
    """

    kind = "Truncate"

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return x[..., : self.width]

    def gives(self, width: int) -> int:
        return min(width, self.width)

    def describe(self) -> str:
        return f"the first {self.width} columns"
