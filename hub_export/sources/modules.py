"""What stands around an encoder that makes vectors of texts, in sentence-transformers' words."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar


@dataclasses.dataclass(frozen=True)
class TextModule:
    """One module. `kind` is the name of its class in sentence-transformers."""

    kind: ClassVar[str]

    def words(self) -> str:
        """What it does, for a reader."""
        return self.kind


@dataclasses.dataclass(frozen=True)
class Pooling(TextModule):
    """Makes one vector of a text; see `encoders.Pooling`."""

    kind = "Pooling"
    modes: tuple[str, ...]
    include_prompt: bool = True

    def words(self) -> str:
        return " + ".join(self.modes)


@dataclasses.dataclass(frozen=True)
class Dense(TextModule):
    """A dense layer; `activation` as the encoders call it, weights in the folder."""

    kind = "Dense"
    inputs: int
    outputs: int
    activation: str
    bias: bool
    residual: bool
    folder: Path

    def words(self) -> str:
        residual = ", residual" if self.residual else ""
        return f"Dense ({self.inputs} to {self.outputs}, {self.activation}{residual})"


@dataclasses.dataclass(frozen=True)
class LayerNorm(TextModule):
    """Layer normalisation, weights in the folder."""

    kind = "LayerNorm"
    width: int
    folder: Path


@dataclasses.dataclass(frozen=True)
class Normalize(TextModule):
    """Vectors of length one."""

    kind = "Normalize"


@dataclasses.dataclass(frozen=True)
class Dropout(TextModule):
    """Without effect but in training."""

    kind = "Dropout"
    rate: float


@dataclasses.dataclass(frozen=True)
class Truncate(TextModule):
    """The first columns alone; no module of a file, but an option of the whole."""

    kind = "Truncate"
    width: int

    def words(self) -> str:
        return f"the first {self.width} columns"


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """What stands around an encoder.

    Attributes:
        pooling: makes one vector of a text; None where the checkpoint does not say.
        modules: what follows, in its order.
        max_length: the longest row of tokens that the checkpoint admits, where it tells.
        lower_case: whether texts are lower-cased before anything else.
        prompts: name -> what is put before a text.
        default_prompt: the name of the one that is put there unasked.
        dimensions: how many columns are kept; None for all.
        pairs: whether the checkpoint compares two texts in one row (a cross-encoder).
    """

    pooling: Pooling | None = None
    modules: tuple[TextModule, ...] = ()
    max_length: int | None = None
    lower_case: bool = False
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt: str | None = None
    dimensions: int | None = None
    pairs: bool = False

    @property
    def normalizes(self) -> bool:
        """Whether the last module makes vectors of length one."""
        return bool(self.modules) and self.modules[-1].kind == "Normalize"
