"""What every part of an export has in common: settings, sizes, how it is saved."""

import abc
import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

import encoders
import preprocess
from encoders import Architecture, Dimensions, Encoder, Filled
from hub_export.errors import SourceError, TargetError
from hub_export.publish.report import Check, Outcome
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats import torch_files
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.terminal import Progress
from hub_export.verify.closeness import CLOSENESS


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the user asked for; see `hub_export.export`."""

    name: str
    version: int
    seq_length: int | None
    verify: str
    compute_dtype: str
    tolerance: float | None
    ignored_options: tuple[str, ...]
    padded_embedding: bool
    special_tokens_in_text: bool
    tokenizer_engine: str
    weights: str
    pooling: tuple[str, ...]
    prompt: str | None
    dimensions: int | None


class Part(abc.ABC):
    """One SavedModel of an export."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        """Reads the configuration.

        Raises:
            SourceError: the architecture, or an option of it, is not supported.
        """
        self.checkpoint = checkpoint
        self.settings = settings
        self.architecture = _architecture(checkpoint)
        self.config = _config(checkpoint, settings)
        with naming(checkpoint.config_file):
            self.size: Dimensions = self.architecture.dimensions(self.config)
        self.notes: dict[str, Any] = {}
        closeness = CLOSENESS[settings.compute_dtype]
        tolerance = closeness.tolerance if settings.tolerance is None else settings.tolerance
        self.closeness = closeness._replace(tolerance=tolerance)

    def build(self) -> tuple[Encoder, Filled]:
        """Builds the encoder."""
        dtype = tf.as_dtype(self.settings.compute_dtype)
        return self.architecture.build(self.config, self.checkpoint.tensors(), dtype)

    @property
    @abc.abstractmethod
    def folder(self) -> str:
        """Its name in the output folder."""

    @abc.abstractmethod
    def save(self, path: Path) -> None:
        """Builds it and writes it as a SavedModel."""

    @abc.abstractmethod
    def verify(self, path: Path, progress: Progress) -> list[Check]:
        """Loads the SavedModel and compares it with the source."""


def untrained(checkpoint: Checkpoint, settings: Settings) -> Checkpoint:
    """The checkpoint with random weights.

    Raises:
        SourceError: the architecture, or an option of it, is not supported.
    """
    with naming(checkpoint.config_file):
        readers = _architecture(checkpoint).initial(_config(checkpoint, settings))
    return dataclasses.replace(
        checkpoint,
        folder=None,
        weights_file=checkpoint.config_file,
        tensors=lambda: LazyTensors(readers),
        unused={},
        notes=(*checkpoint.notes, "The weights are random: to be trained from scratch."),
    )


def _config(checkpoint: Checkpoint, settings: Settings) -> Mapping[str, Any]:
    ignored = settings.ignored_options
    return {key: value for key, value in checkpoint.config.items() if key not in ignored}


def _architecture(checkpoint: Checkpoint) -> Architecture:
    supported = encoders.architectures()
    model_type = str(checkpoint.config.get("model_type"))
    if model_type not in supported:
        raise SourceError(
            f"{checkpoint.config_file}: model_type {model_type} is not supported; "
            f"supported: {', '.join(sorted(supported))}"
        )
    return supported[model_type]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds the file to what the libraries say about its content."""
    try:
        yield
    except (encoders.EncoderError, preprocess.PreprocessError) as error:
        raise SourceError(f"{path}: {error}") from error


def not_compared(subject: str) -> Check:
    """What stands in the report where torch is not installed."""
    return Check(subject, Outcome.NOT_COMPARED, f"needs torch ({torch_files.INSTALL})")


def write(model: Any, path: Path) -> None:
    """Writes a model, with its signatures, as a SavedModel.

    Raises:
        TargetError: it cannot be written.
    """
    try:
        tf.saved_model.save(model, str(path), signatures=model.serving())
    except (OSError, tf.errors.OpError) as error:
        raise TargetError(f"{path.parent}: the model cannot be written: {error}") from error
