"""The protocol of heads, and an encoder with a head on it."""

import abc
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow as tf

from encoders.core.config import Dimensions
from encoders.core.declared import Stored, expand
from encoders.core.encoder import Encoded, Encoder
from encoders.core.errors import ConfigError
from encoders.core.initial import UNCUT, Normal, Normals, deviation_of, initial
from encoders.core.layout.layout import Layout, Padded
from encoders.core.rows import Row
from encoders.core.weights import Table, Tensors
from encoders.heads.modules import VectorModule

if TYPE_CHECKING:
    from encoders.core.architecture import Architecture

Outputs = dict[str, tf.Tensor]


class Head(tf.Module, abc.ABC):
    """Makes named outputs of what an encoder computes.

    Attributes:
        handles: keys of a checkpoint's configuration that it reads, so that the guard of the
            encoder's configuration lets them pass.
        needs_pooler: whether it stands on the encoder's pooler.
        padding: the id that is padding to it wherever it stands; None for none.
    """

    handles: ClassVar[frozenset[str]] = frozenset()
    needs_pooler = False
    padding: int | None = None

    def rows(self, architecture: "Architecture") -> tuple[Row, ...]:
        """Its rows of the weight table in checkpoints of an architecture; none by default."""
        del architecture
        return ()

    def join(self, encoder: Encoder) -> None:
        """Takes what it shares with the encoder that it stands on; nothing by default."""

    @abc.abstractmethod
    def __call__(self, encoded: Encoded, mask: tf.Tensor, training: bool) -> Outputs:
        """Computes the outputs by name.

        Args:
            encoded: what the encoder computes, of S positions.
            mask: int32 [B, S], 0 where a position is padding.
            training: whether dropout is active.
        """

    def table_of(self, architecture: "Architecture") -> Table:
        """Its weight table in checkpoints of an architecture."""
        return Table(self.rows(architecture), prefix="", buffers={})

    def stored(self, architecture: "Architecture", dtype: tf.DType = tf.float32) -> list[Stored]:
        """What each variable will be stored as, before `fill`."""
        return self.table_of(architecture).stored(self, dtype)

    def expected(
        self, architecture: "Architecture", stored: Iterable[Stored], tensors: Tensors
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Path and values that each variable must have, for whoever checks what `fill` did."""
        table = self.table_of(architecture)
        there = {row.target for row in expand(table.rows, self)}
        return table.expected([each for each in stored if each.row.target in there], tensors)

    def fill(
        self, architecture: "Architecture", tensors: Tensors, dtype: tf.DType = tf.float32
    ) -> frozenset[str]:
        """Gives its variables their values.

        Returns:
            The names of the tensors that it has taken.

        Raises:
            WeightsError: one is missing, or of another shape.
        """
        return self.table_of(architecture).take(self, tensors, dtype)


class TaskHead(Head):
    """A head that checkpoints are published with.

    Attributes:
        task: what it does, in the words of `transformers`.
        ending: how its classes in `transformers` end.
        forms: `model_type` -> what is special to the family.
        takes_modules: whether the modules of sentence-transformers' files stand in it.
        modules: these, filled, where it takes them.
    """

    takes_modules: ClassVar[bool] = False
    modules: list[VectorModule]
    task: ClassVar[str]
    ending: ClassVar[str]
    forms: ClassVar[Mapping[str, Any]]

    @classmethod
    @abc.abstractmethod
    def of(
        cls, config: Mapping[str, Any], encoder: Encoder, outputs: int, form: Any = None
    ) -> "TaskHead":
        """The head of a checkpoint, its variables declared.

        Args:
            config: the checkpoint's configuration.
            encoder: what it stands on, for its sizes.
            outputs: the number of its logits, such as that of the labels.
            form: what is special to this checkpoint, where that isn't what is to its family.

        Raises:
            ConfigError: there is none for the architecture, or an option is not supported.
        """

    @classmethod
    def is_of(cls, name: str) -> bool:
        """Whether a class of `transformers` is for the task."""
        return name.endswith(cls.ending)

    @classmethod
    def form_of(cls, config: Mapping[str, Any]) -> Any:
        """What is special to the family of a configuration.

        Raises:
            ConfigError: `transformers` has no such head for it.
        """
        model_type = str(config.get("model_type"))
        if model_type not in cls.forms:
            raise ConfigError(
                f"no {cls.task} for model_type {model_type}; supported: "
                + ", ".join(sorted(cls.forms))
            )
        return cls.forms[model_type]

    def initial(
        self, architecture: "Architecture", config: Mapping[str, Any]
    ) -> Mapping[str, Callable[[], np.ndarray]]:
        """Tensors to train from scratch: name -> draws the values, the same ones at every call.

        Those of a kernel come from the normal distribution that `transformers` draws them from,
        gammas are one, all else zero.

        Args:
            architecture: the encoder's.
            config: the checkpoint's configuration.

        Raises:
            ConfigError: `initializer_range` is not more than zero, or ModernBERT's
                `initializer_cutoff_factor` less than one.
        """
        rows = expand(self.rows(architecture), self)
        return initial(rows, self, _normals(config, architecture.dimensions(config)))


def _normals(config: Mapping[str, Any], size: Dimensions) -> Normals:
    """What `transformers` draws kernels of heads from; ModernBERT has a way of its own."""
    deviation = deviation_of(config)
    if config.get("model_type") != "modernbert":
        return lambda _: Normal(deviation, UNCUT)
    cut = config.get("initializer_cutoff_factor") or 3.0
    if not isinstance(cut, int | float) or not cut >= 1:
        raise ConfigError(f"initializer_cutoff_factor must be 1 or more, not {cut!r}")
    inner = Normal(deviation / math.sqrt(2 * size.layers), cut)
    output = Normal(1 / math.sqrt(size.width), cut)
    return lambda target: output if target.startswith("output.") else inner


class HeadedEncoder(tf.Module):
    """From packed rows of tokens to the outputs of a head."""

    def __init__(self, encoder: Encoder, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        head.join(encoder)

    def __call__(
        self,
        word_ids: tf.Tensor,
        mask: tf.Tensor,
        type_ids: tf.Tensor | None = None,
        training: bool = False,
        arrange: Callable[[tf.Tensor], Layout] = Padded,
    ) -> Mapping[str, tf.Tensor]:
        """Computes the outputs of a batch; arguments and errors are those of the encoder."""
        encoded = self.encoder(word_ids, mask, type_ids, training, arrange)
        if self.head.padding is not None:
            mask *= tf.cast(tf.not_equal(word_ids, self.head.padding), mask.dtype)
        return self.head(encoded, mask[:, : tf.shape(encoded.sequence)[1]], training)
