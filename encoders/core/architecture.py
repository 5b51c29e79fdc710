"""What a file of `encoders/` declares about its architecture."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import tensorflow as tf

from encoders.core import bottleneck
from encoders.core.bottleneck import Adapters
from encoders.core.config import Config, Dimensions
from encoders.core.declared import expand
from encoders.core.encoder import Encoder
from encoders.core.initial import Normal, deviation_of, initial
from encoders.core.weights import Filled, Table, Tensors


class Head(Protocol):
    """What the encoder has to know of a head; see `encoders.heads`."""

    handles: ClassVar[frozenset[str]]

    def fill(self, architecture: Any, tensors: Tensors, dtype: tf.DType) -> Collection[str]:
        """Gives its variables their values; returns the names of the tensors it has taken."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One family of encoders.

    Attributes:
        model_types: the values of a config's `model_type` that it covers.
        config: its config class.
        encoder: builds the encoder, its variables declared.
        table: its weight table.
        reference: the class of `transformers` that loads what computes the same; empty where it has
            none.
    """

    model_types: tuple[str, ...]
    config: type[Config]
    encoder: Callable[[Any], Encoder]
    table: Table
    reference: str = "AutoModel"

    def adapted(self, adapters: Adapters) -> "Architecture":
        """The same family of encoders with adapters in their blocks."""
        return dataclasses.replace(
            self,
            encoder=lambda config: adapters.fit(self.encoder(config)),
            table=dataclasses.replace(self.table, rows=(*self.table.rows, *bottleneck.rows())),
        )

    def dimensions(self, config: Mapping[str, Any]) -> Dimensions:
        """The sizes of a checkpoint's encoder, by its configuration alone.

        Raises:
            ConfigError: an option is unknown or not supported.
        """
        return self.config.read(config).dimensions

    def declare(self, config: Mapping[str, Any], head: Head | None = None) -> Encoder:
        """The encoder of a configuration, its variables declared: no tensor is needed yet.

        Raises:
            ConfigError: an option is unknown or not supported.
        """
        handled = frozenset[str]() if head is None else head.handles
        return self.encoder(self.config.read(config, handled))

    def fill(
        self,
        encoder: Encoder,
        tensors: Tensors,
        dtype: tf.DType = tf.float32,
        head: Head | None = None,
    ) -> Filled:
        """Gives the variables of a declared encoder their values, once; see `build`.

        Raises:
            WeightsError: the tensors do not fill the encoder exactly.
        """
        claimed = () if head is None else head.fill(self, tensors, dtype)
        return self.table.fill(encoder, tensors, dtype, claimed)

    def build(
        self,
        config: Mapping[str, Any],
        tensors: Tensors,
        dtype: tf.DType = tf.float32,
        head: Head | None = None,
    ) -> tuple[Encoder, Filled]:
        """Builds the encoder of a checkpoint.

        Args:
            config: the checkpoint's configuration, as in `config.json`.
            tensors: its tensors by name, of any float type.
            dtype: what kernels, their biases and tables are stored as, and matrix products with
                kernels computed in. All else, and every output, is float32.
            head: what stands on the encoder; it takes its tensors first.

        Raises:
            ConfigError: an option is unknown or not supported.
            WeightsError: the tensors do not fill the encoder exactly.
        """
        encoder = self.declare(config, head)
        return encoder, self.fill(encoder, tensors, dtype, head)

    def initial(self, config: Mapping[str, Any]) -> Mapping[str, Callable[[], np.ndarray]]:
        """Tensors to train from scratch: name -> draws the values, the same ones at every call.

        Args:
            config: a configuration, as in `config.json`; `initializer_range` is the deviation.

        Raises:
            ConfigError: an option is unknown or not supported.
        """
        normal = Normal(deviation_of(config))
        encoder = self.encoder(self.config.read(config))
        rows = expand(self.table.rows, encoder)
        return initial(rows, encoder, lambda _: normal)
