"""What the products of an export have in common, each made once, when it is first asked for."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer

import encoders
from encoders import (
    Architecture,
    Dimensions,
    Encoder,
    Filled,
    Stored,
    TaskHead,
    TokenById,
    TokenOfRow,
    VectorModule,
)
from hub_export import contract
from hub_export.errors import ExportError, SourceError
from hub_export.models import task
from hub_export.models.architectures import architecture, sizes
from hub_export.models.embedding_plan import Plan, plan
from hub_export.models.naming import naming
from hub_export.models.task import Task
from hub_export.models.tokenization import Tokenization
from hub_export.models.trained import Part, with_trained
from hub_export.settings import FILL_MASK, INSIDE, NONE, PREPROCESSOR, TASK_MODEL, Settings
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.find import explained
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.sources.modules import Placed

Draw = Callable[[], np.ndarray]


class Session:
    """One export: its checkpoint, and what is built from it.

    Attributes:
        settings: what the user asked for.
        architecture: that of the encoder; a preprocessor alone needs none that is supported.
        config: its configuration, without the options to pass over.
        size: its sizes.
        stored: what its variables are stored as.
        checkpoint: where everything comes from.
        token: takes the vector of one token of each row, for an encoder without a pooler.
        has_pooler: whether it has a pooler, known as soon as the encoder is built.
        absent: optional parts of the encoder that it does not have, known then as well.
        head_tensors: the tensors that the head has taken, as soon as it is asked for.
    """

    architecture: Architecture
    config: Mapping[str, Any]
    size: Dimensions
    stored: Sequence[Stored]
    token: TokenOfRow
    has_pooler: bool
    absent: frozenset[str]
    head_tensors: frozenset[str] = frozenset()

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        """Reads the configuration.

        Raises:
            SourceError: the architecture, or an option of it, is not supported.
            ExportError: something of INSIDE is asked for that it does not have.
        """
        self.settings, self.checkpoint = settings, checkpoint
        known = str(checkpoint.config.get("model_type")) in encoders.architectures()
        if {*settings.parts} == {PREPROCESSOR} and not known:
            # A tokenizer goes with any encoder.
            self.size = sizes(checkpoint.config)
            return
        self.architecture = architecture(checkpoint)
        ignored = {*settings.ignored_options, *checkpoint.unread}
        self.config = {k: v for k, v in checkpoint.config.items() if k not in ignored}
        with naming(checkpoint.config_file, self._advice()):
            self._encoder = self.architecture.declare(self.config)
            self.size, self.token = self._encoder.dimensions, self._encoder.token
            self._check_inside()
            dtype = tf.as_dtype(settings.compute_dtype)
            self.stored = self.architecture.table.stored(self._encoder, dtype)
            if settings.weights == NONE:
                drawn = self.architecture.initial(self.config)
                self.checkpoint = _untrained(checkpoint, functools.partial(self._drawn, drawn))
            elif settings.trained is not None:
                self.checkpoint = self._trained(settings.trained)

    def _check_inside(self) -> None:
        """Raises ExportError where something of INSIDE is asked for that the encoder lacks."""
        model_type = self.checkpoint.config["model_type"]
        of_attention = sorted({contract.ATTENTIONS, contract.HEAD_MASK} & self.inside)
        if of_attention and not self.size.heads:
            raise ExportError(f"{of_attention[0]}: {model_type} has no attention; leave it out")
        if contract.EMBEDS in self.inside and isinstance(self.token, TokenById):
            raise ExportError(
                f"{contract.EMBEDS}: {model_type} finds the token that stands for a text by its "
                f"id, and vectors have none; leave {contract.EMBEDS} out"
            )

    def _advice(self) -> str:
        """What may be done about options that are not known."""
        if not (unknown := sorted(self.architecture.config.unknown(self.config))):
            return ""
        return (
            f"\nIf you know that it changes nothing, pass --ignored_options={','.join(unknown)}; "
            "verification shows whether it does."
        )

    @functools.cached_property
    def built(self) -> tuple[Encoder, Filled]:
        """The encoder, and what became of the checkpoint's tensors.

        Raises:
            SourceError: they do not fill it exactly.
        """
        dtype = tf.as_dtype(self.settings.compute_dtype)
        with naming(self.checkpoint.weights_file):
            # The tensors are let go as soon as the encoder has them.
            filled = self.architecture.fill(self._encoder, self.checkpoint.tensors(), dtype)
        self.has_pooler = self._encoder.pooler is not None
        self.absent = frozenset(filled.absent)
        return self._encoder, filled

    @functools.cached_property
    def task(self) -> Task | None:
        """What the checkpoint's head was trained for.

        Raises:
            SourceError: its configuration contradicts itself.
            ExportError: a task is asked for that it does not have.
        """
        with explained(self.checkpoint.config_file):
            return task.read(self.checkpoint, self.settings)

    @property
    def inside(self) -> frozenset[str]:
        """Which of INSIDE the encoder gives or takes."""
        return frozenset(name for name in INSIDE if getattr(self.settings, name))

    @property
    def has_mlm(self) -> bool:
        """Whether the encoder gets the head for masked tokens."""
        return self.task is not None and self.task.name == FILL_MASK

    @functools.cached_property
    def head(self) -> tuple[TaskHead, Sequence[Stored]]:
        """The head of the task, filled, and what its variables are stored as.

        Raises:
            SourceError: it is not supported, or its tensors are missing or of another shape.
        """
        found = self.task
        assert found is not None
        dtype = tf.as_dtype(self.settings.compute_dtype)
        head = self._declared_head(found)
        with naming(self.checkpoint.config_file):
            if head.takes_modules:
                head.modules = self.modules
            stored = head.stored(self.architecture, dtype)
        try:
            with naming(self.checkpoint.weights_file):
                self.head_tensors = head.fill(self.architecture, self.checkpoint.tensors(), dtype)
        except SourceError as error:
            of = f" of {len(found.labels)} labels" if found.labels else ""
            raise SourceError(
                f"{error}\n  (the head for {found.name}{of}, which config.json promises; to leave "
                "it out, say task=feature-extraction)"
            ) from error
        return head, stored

    def _declared_head(self, found: Task) -> TaskHead:
        """The head of a task, its variables declared."""
        with naming(self.checkpoint.config_file):
            return found.head(self.config, self.architecture.declare(self.config))

    def _trained(self, path: Path) -> Checkpoint:
        """The checkpoint with the weights at a path."""
        encoder = Part.of_encoder(self.architecture, self._encoder, self.stored)
        found, head = self.task, None
        if found is not None and (TASK_MODEL in self.settings.parts or self.has_mlm):
            head = Part.of_head(self.architecture, *self.head)
            for name in ("head", "modules", "plan"):  # of the checkpoint, to tell what is stored
                self.__dict__.pop(name, None)
        return with_trained(self.checkpoint, path, encoder, head)

    def _drawn(self, encoder: Mapping[str, Draw]) -> LazyTensors:
        """Random tensors of the encoder, and of the head where one is exported."""
        found = self.task
        if found is None or not (TASK_MODEL in self.settings.parts or self.has_mlm):
            return LazyTensors(encoder)
        with naming(self.checkpoint.config_file):
            head = self._declared_head(found).initial(self.architecture, self.config)
        prefix = self.architecture.table.prefix
        return LazyTensors({**{f"{prefix}{name}": each for name, each in encoder.items()}, **head})

    @functools.cached_property
    def modules(self) -> list[VectorModule]:
        """The modules of the plan, filled.

        Raises:
            SourceError: their tensors cannot be read, or do not fill them exactly.
        """
        return [_filled(self.plan, each) for each in self.plan.modules]

    @functools.cached_property
    def tokenization(self) -> Tokenization:
        """How texts become rows of tokens."""
        return Tokenization(self.checkpoint, self.settings, self.size, self._markers)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer; see `Tokenization`."""
        return self.tokenization.tokenizer

    def _markers(self) -> Sequence[str]:
        """What is one token each before queries and documents."""
        if not self.checkpoint.is_late() or self.task is None or self.task.late is None:
            return ()
        return [*self.task.late.markers]

    @functools.cached_property
    def plan(self) -> Plan:
        """What the text embedding does.

        Raises:
            SourceError: the checkpoint asks for something that is not supported.
            ExportError: the user asks for something that the checkpoint does not have.
        """
        with explained(self.checkpoint.config_file.parent):
            return plan(self.checkpoint, self.settings, self.size)

    def release(self) -> None:
        """Lets go of what was built, once everything is saved."""
        for name in ("_encoder", "built", "head"):
            self.__dict__.pop(name, None)
        self.tokenization.release()


def _filled(plan: Plan, placed: Placed) -> VectorModule:
    """A module with its weights."""
    if placed.module.table.rows:
        with naming(placed.folder or Path(placed.module.kind)):
            placed.module.fill(plan.weights_of(placed))
    return placed.module


def _untrained(checkpoint: Checkpoint, tensors: Callable[[], LazyTensors]) -> Checkpoint:
    """The checkpoint with random weights."""
    return dataclasses.replace(
        checkpoint,
        folder=None,
        weights_file=checkpoint.config_file,
        tensors=tensors,
        unused={},
        notes=(*checkpoint.notes, "The weights are random: to be trained from scratch."),
    )
