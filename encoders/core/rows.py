"""The language of weight tables: which tensor of one library is which of another, or a variable.

A table is data. Each row names a target, the tensor that it is made of, and how; `{layer}` (or any
other field) in both stands for an index.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Change:
    """How the values of a target are made of a tensor.

    Attributes:
        apply: makes them.
        source_shape: the shape that the tensor must have, from that of the target.
        undo: makes the tensor of the values; of changes between an encoder and its checkpoints.
    """

    apply: Callable[[np.ndarray], np.ndarray]
    source_shape: Callable[[Shape], Shape] = lambda shape: shape
    undo: Callable[[np.ndarray], np.ndarray] = lambda values: values


KEEP = Change(lambda x: x)
TRANSPOSE = Change(np.transpose, lambda shape: shape[::-1], np.transpose)
CONVOLUTION = Change(
    lambda x: x[:, :, 0].T, lambda shape: (shape[1], shape[0], 1), lambda x: x.T[:, :, np.newaxis]
)
"""[in of a group, out] -> torch's [out, in of a group, 1]: a convolution over one position."""
FLATTEN = Change(lambda x: x.reshape(-1))
"""[out] or [heads, width of a head] -> [out]."""
SPLIT_OUTPUTS = Change(lambda x: x.reshape(x.shape[0], -1).T)
"""[in, out] or [in, heads, width of a head] -> torch's [out, in]."""
SPLIT_INPUTS = Change(lambda x: x.reshape(-1, x.shape[-1]).T)
"""[in, out] or [heads, width of a head, out] -> torch's [out, in]."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One target and the tensor that it is made of.

    Attributes:
        target: its name: of a variable the attribute path from the encoder, such as
            `blocks.{layer}.attention_layer_norm.gamma`.
        sources: names of the tensor; the first one that the checkpoint has is taken.
        change: how it is made.
        optional: the part, or its path, that is left out where the checkpoint has none of its
            tensors; empty where the target must be there.
    """

    target: str
    sources: tuple[str, ...]
    change: Change = KEEP
    optional: str = ""

    def at(self, **fields: object) -> "Row":
        """The row with its fields filled in."""
        sources = tuple(source.format(**fields) for source in self.sources)
        return dataclasses.replace(self, target=self.target.format(**fields), sources=sources)


@dataclasses.dataclass(frozen=True)
class Naming:
    """What a library calls the tensors of a layer, behind the name of the layer.

    Where it had several names for one, the newest comes first.
    """

    kernel: str
    bias: str
    gamma: tuple[str, ...]
    beta: tuple[str, ...]
    table: str


VARIABLES = Naming(".kernel", ".bias", (".gamma",), (".beta",), ".table")
TORCH = Naming(".weight", ".bias", (".weight", ".gamma"), (".bias", ".beta"), ".weight")
"""Checkpoints that were converted from TensorFlow 1 say gamma and beta."""
TENSORFLOW = Naming("/kernel", "/bias", ("/gamma",), ("/beta",), "")
KERAS = Naming("/vars/0", "/vars/1", ("/vars/0",), ("/vars/1",), "/vars/0")


@dataclasses.dataclass(frozen=True)
class Rows:
    """Writes the rows of layers.

    Attributes:
        to: the naming of the targets.
        of: the naming of the tensors.
        kernel: how kernels are stored.
        bias: how biases are stored.
    """

    to: Naming
    of: Naming
    kernel: Change
    bias: Change = KEEP

    def linear(
        self, target: str, source: str, optional: str = "", kernel: Change | None = None
    ) -> tuple[Row, ...]:
        """Rows of a dense layer; `kernel` where this one is stored in another way."""
        to, of = self.to, self.of
        return (
            Row(target + to.kernel, (source + of.kernel,), kernel or self.kernel, optional),
            Row(target + to.bias, (source + of.bias,), self.bias, optional),
        )

    def norm(self, target: str, source: str) -> tuple[Row, ...]:
        """Rows of a layer norm."""
        gammas, betas = ([source + each for each in x] for x in (self.of.gamma, self.of.beta))
        return (
            Row(target + self.to.gamma[0], tuple(gammas)),
            Row(target + self.to.beta[0], tuple(betas)),
        )

    def embedding(self, target: str, source: str, change: Change = KEEP) -> tuple[Row, ...]:
        """The row of an embedding table."""
        return (Row(target + self.to.table, (source + self.of.table,), change),)


FROM_TORCH = Rows(VARIABLES, TORCH, TRANSPOSE)
linear, norm, embedding = FROM_TORCH.linear, FROM_TORCH.norm, FROM_TORCH.embedding
