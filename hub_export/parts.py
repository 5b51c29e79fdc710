"""The parts of an export: how each is built, saved and compared with the source."""

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer

import encoders
import preprocess
from encoders import Architecture, Dimensions, Encoder
from hub_export import contract, reference, verify_numbers, verify_tokens
from hub_export.checkpoint import Checkpoint
from hub_export.encoder_model import EncoderModel
from hub_export.errors import ExportError, SourceError, TargetError
from hub_export.preprocessor_model import PreprocessorModel
from hub_export.progress import Progress
from hub_export.report import Check, Outcome
from hub_export.tensors import LazyTensors

# What `transformers` calls the tokens of a checkpoint that does not tell.
PADDING, MASK = ("[PAD]", "<pad>"), ("[MASK]", "<mask>")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the user asked for; see `hub_export.export`."""

    name: str
    version: int
    seq_length: int | None
    verify: str
    tolerance: float
    ignored_options: tuple[str, ...]
    padded_embedding: bool
    special_tokens_in_text: bool
    tokenizer_engine: str
    weights: str


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
        with _naming(checkpoint.config_file):
            self.size: Dimensions = self.architecture.dimensions(self.config)
        self.notes: dict[str, Any] = {}

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


class EncoderPart(Part):
    """The encoder."""

    @property
    def folder(self) -> str:
        size = self.size
        return f"{self.settings.name}_L-{size.layers}_H-{size.width}_A-{size.heads}"

    def save(self, path: Path) -> None:
        with _naming(self.checkpoint.weights_file):
            # The tensors are let go as soon as the encoder has them.
            encoder, filled = self.architecture.build(self.config, self.checkpoint.tensors())
        self._pooler = encoder.pooler is not None
        unused = {**filled.unused, **self.checkpoint.unused}
        self.notes = {contract.POOLED: _pooled(encoder), "unused_tensors": unused}
        _save(EncoderModel(encoder), path)

    def verify(self, path: Path, progress: Progress) -> list[Check]:
        if not reference.available():
            advice = f"needs torch ({reference.INSTALL})"
            return [Check("numbers", Outcome.NOT_COMPARED, advice)]
        # The source's model is let go before the export is loaded: never both in memory.
        source = reference.Reference(self.checkpoint, self.size, self._pooler)
        answers = verify_numbers.expected(source, self.size)
        del source
        model = tf.saved_model.load(str(path))
        return verify_numbers.verify(model, answers, self.settings.tolerance, progress)


class PreprocessorPart(Part):
    """The preprocessor."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        """Reads configuration and tokenizer.

        Raises:
            SourceError: the vocabulary does not fit the encoder.
        """
        super().__init__(checkpoint, settings)
        self._tokenizer = checkpoint.tokenizer()
        self._tokenizer.encode_special_tokens = not settings.special_tokens_in_text
        self._check_vocabulary()

    @property
    def folder(self) -> str:
        return f"{self.settings.name}_preprocess"

    def save(self, path: Path) -> None:
        special, source = self.checkpoint.special_tokens, self._tokenizer
        with _naming(self.checkpoint.tokenizer_file):
            preprocessor = preprocess.build(
                source,
                padding=special.get("pad_token") or _first(source, PADDING) or PADDING[0],
                mask=special.get("mask_token") or _first(source, MASK),
                seq_length=self._seq_length,
                type_vocabulary=self._types,
                engine=self.settings.tokenizer_engine,
            )
        shortest = preprocessor.packer.special_tokens(contract.MOST_SEGMENTS)
        if not shortest <= self._seq_length <= self.size.positions:
            raise ExportError(
                f"seq_length must be from {shortest} (the special tokens of "
                f"{contract.MOST_SEGMENTS} segments) to {self.size.positions} (the positions of "
                f"the encoder), not {self._seq_length}"
            )
        if self._ties:
            self._note_engine("not compared with the source")
        _save(PreprocessorModel(preprocessor), path)

    def verify(self, path: Path, progress: Progress) -> list[Check]:
        model = tf.saved_model.load(str(path))
        checks = verify_tokens.verify(model, self._tokenizer, self._types, progress, self._ties)
        if self._ties:
            self._note_engine(verify_tokens.summary(checks))
        return checks

    def _note_engine(self, compared: str) -> None:
        self.notes[contract.ENGINE] = f"{self.settings.tokenizer_engine} engine: {compared}"

    @property
    def _ties(self) -> bool:
        return self.settings.tokenizer_engine != preprocess.EXACT

    @property
    def _types(self) -> int:
        # Without type embedding the ids have no effect: the usual two keep preprocessors alike.
        return self.size.types or 2

    @property
    def _seq_length(self) -> int:
        return self.settings.seq_length or min(contract.SEQ_LENGTH, self.size.positions)

    def _check_vocabulary(self) -> None:
        found, rows = max(self._tokenizer.get_vocab().values()) + 1, self.size.vocabulary
        file = self.checkpoint.tokenizer_file
        if found > rows:
            raise SourceError(
                f"{file}: the tokenizer has ids up to {found - 1}, the word embedding only {rows} "
                "rows; one of the two is of another checkpoint"
            )
        if found < rows and not self.settings.padded_embedding:
            raise SourceError(
                f"{file}: the vocabulary ends at id {found - 1}, the word embedding has {rows} "
                "rows; if no line of the vocabulary is missing and the embedding was padded on "
                "purpose, say --padded_embedding"
            )


def _first(tokenizer: Tokenizer, tokens: Sequence[str]) -> str | None:
    """The first of the tokens that the vocabulary has."""
    return next((each for each in tokens if tokenizer.token_to_id(each) is not None), None)


def _pooled(encoder: Encoder) -> str:
    """What the encoder's pooled output is, in words."""
    if encoder.pooler is None:
        return "the first token's vector"
    if not np.any(encoder.pooler.dense.bias):
        # `transformers` starts from zeros; no training leaves every one of them as it was.
        return "the output of the pooler, whose bias is zero: it has probably not been trained"
    return "the pooler's output"


PARTS: Mapping[str, type[Part]] = {"encoder": EncoderPart, "preprocessor": PreprocessorPart}


def untrained(checkpoint: Checkpoint, settings: Settings) -> Checkpoint:
    """The checkpoint with random weights.

    Raises:
        SourceError: the architecture, or an option of it, is not supported.
    """
    with _naming(checkpoint.config_file):
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
def _naming(path: Path) -> Iterator[None]:
    """Adds the file to what the libraries say about its content."""
    try:
        yield
    except (encoders.EncoderError, preprocess.PreprocessError) as error:
        raise SourceError(f"{path}: {error}") from error


def _save(model: EncoderModel | PreprocessorModel, path: Path) -> None:
    try:
        tf.saved_model.save(model, str(path), signatures=model.serving())
    except (OSError, tf.errors.OpError) as error:
        raise TargetError(f"{path.parent}: the model cannot be written: {error}") from error
