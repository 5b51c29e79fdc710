"""What the products of an export have in common, each made once, when it is first asked for."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer

import encoders
import preprocess
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
from hub_export.models.embedding_plan import Plan, plan
from hub_export.models.task import Task
from hub_export.models.trained import Part, with_trained
from hub_export.settings import FILL_MASK, INSIDE, NONE, PREPROCESSOR, TASK_MODEL, Settings
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.find import explained
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.sources.modules import Placed
from hub_export.sources.tokenizer import files as tokenizer_files
from hub_export.sources.tokenizer.markers import mark
from hub_export.sources.tokenizer.renumbered import Renumbered
from preprocess import Preprocessor

# What `transformers` calls the tokens of a checkpoint that does not tell.
# Of a word embedding, as accelerators like it: what its rows are a multiple of, and how many of
# them no published vocabulary is short of (T5: 28; Qwen3: 267).
_PADDED_TO, _MOST_PADDING = 64, 512

_PADDING, _MASK = ("[PAD]", "<pad>"), ("[MASK]", "<mask>")

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
        self._compiled: dict[bool, preprocess.Tokenizer] = {}
        known = str(checkpoint.config.get("model_type")) in encoders.architectures()
        if {*settings.parts} == {PREPROCESSOR} and not known:
            # A tokenizer goes with any encoder.
            self.size = _declared(checkpoint.config)
            return
        self.architecture = _architecture(checkpoint)
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
    def tokenizer(self) -> Tokenizer:
        """The tokenizer; its truncation and padding are those of the checkpoint.

        Raises:
            SourceError: it cannot be read, or its vocabulary does not fit the encoder.
        """
        tokenizer = self._read_tokenizer
        if self.settings.special_tokens_in_text is not None:
            tokenizer.encode_special_tokens = not self.settings.special_tokens_in_text
        self.mark(tokenizer)
        found, rows = _entries(tokenizer), self.size.vocabulary
        file = self.checkpoint.tokenizer_file
        if not rows:  # nothing is known of the encoder
            return tokenizer
        if found > rows:
            raise SourceError(
                f"{file}: the tokenizer has ids up to {found - 1}, the word embedding only {rows} "
                "rows; one of the two is of another checkpoint"
            )
        if found < rows and not (self.settings.padded_embedding or _is_padded(found, rows)):
            raise SourceError(
                f"{file}: the vocabulary ends at id {found - 1}, the word embedding has {rows} "
                "rows; if no line of the vocabulary is missing and the embedding was padded on "
                "purpose, say padded_embedding"
            )
        return tokenizer

    @functools.cached_property
    def _read_tokenizer(self) -> Tokenizer:
        """The tokenizer as its file says.

        Raises:
            SourceError: it cannot be read.
        """
        with explained(self.checkpoint.tokenizer_file):
            return self.checkpoint.tokenizer()

    @functools.cached_property
    def vocabulary_remark(self) -> str:
        """What to tell of a vocabulary that does not end where the word embedding does."""
        if not self.checkpoint.tokenizer_file.exists():
            return ""
        try:
            found, rows = _entries(self._read_tokenizer), self.size.vocabulary
        except SourceError:  # an encoder alone has no need of it
            return ""
        if found == rows:
            return ""
        return f"The word embedding has {rows} rows, the vocabulary {found} entries."

    def mark(self, tokenizer: Tokenizer) -> None:
        """Makes a tokenizer read the markers of queries and documents, where there are any.

        Raises:
            SourceError: its vocabulary lacks one.
        """
        if self.checkpoint.is_late() and self.task is not None and self.task.late is not None:
            mark(tokenizer, self.task.late.markers, self.checkpoint.tokenizer_file)

    @property
    def mask(self) -> str | None:
        """The mask token; None without any."""
        return self.checkpoint.special_tokens.get("mask_token") or _first(self.tokenizer, _MASK)

    @functools.cached_property
    def unknown(self) -> int | None:
        """The id of the token that `transformers` takes for the unknown one; None without any."""
        checkpoint = self.checkpoint
        token = checkpoint.special_tokens.get("unk_token")
        token = token or tokenizer_files.unknown_token(checkpoint.tokenizer_file.parent)
        id: int | None = None if token is None else self.tokenizer.token_to_id(token)
        return id

    @functools.cached_property
    def plan(self) -> Plan:
        """What the text embedding does.

        Raises:
            SourceError: the checkpoint asks for something that is not supported.
            ExportError: the user asks for something that the checkpoint does not have.
        """
        with explained(self.checkpoint.config_file.parent):
            return plan(self.checkpoint, self.settings, self.size)

    @property
    def seq_length(self) -> int:
        """The default length of the preprocessor's rows."""
        return self.settings.seq_length or min(contract.SEQ_LENGTH, self.size.positions)

    @property
    def types(self) -> int:
        """The number of type ids; without type embedding they have no effect: the usual two."""
        return self.size.types or 2

    def preprocessor(self, seq_length: int, lower_case: bool = False) -> Preprocessor:
        """What packs as the tokenizer says at the moment; the tokenizer itself is compiled once.

        Args:
            seq_length: the default length of its rows.
            lower_case: whether the tokenizer lower-cases at the moment though its file does not.

        Raises:
            SourceError: a component cannot be compiled exactly, or a token is missing.
        """
        special, source = self.checkpoint.special_tokens, self.tokenizer
        file = self.checkpoint.tokenizer_file
        with explained(file), naming(file):
            made = preprocess.build(
                source,
                padding=special.get("pad_token") or _first(source, _PADDING) or _PADDING[0],
                mask=self.mask,
                seq_length=seq_length,
                type_vocabulary=self.types,
                engine=self.settings.tokenizer_engine,
                compiled=self._compiled.get(lower_case),
                numbers=source.numbers if isinstance(source, Renumbered) else None,
            )
        self._compiled[lower_case] = made.tokenizer
        return made

    def release(self) -> None:
        """Lets go of what was built, once everything is saved."""
        for name in ("_encoder", "built", "head"):
            self.__dict__.pop(name, None)
        self._compiled.clear()


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


def _declared(config: Mapping[str, Any]) -> Dimensions:
    """What a preprocessor needs to know of an encoder, as far as its configuration tells."""

    def size(key: str, default: int) -> int:
        found = config.get(key)
        return found if isinstance(found, int) and found > 0 else default

    positions, types = (
        size("max_position_embeddings", preprocess.LONGEST),
        size("type_vocab_size", 0),
    )
    return Dimensions(0, 0, 0, vocabulary=0, positions=positions, types=types)


_REASONS = {"canine": " (it hashes characters, and has neither a tokenizer nor a word embedding)"}
"""Of model types that nobody should wait for."""


def _architecture(checkpoint: Checkpoint) -> Architecture:
    supported = encoders.architectures()
    model_type = str(checkpoint.config.get("model_type"))
    if model_type not in supported:
        remote = checkpoint.config.get("auto_map") is not None
        code = " (its code is remote, as auto_map says, and is never run)" if remote else ""
        code = _REASONS.get(model_type, code)
        raise SourceError(
            f"{checkpoint.config_file}: model_type {model_type} is not supported{code}; "
            f"supported: {', '.join(sorted(supported))}"
        )
    found = supported[model_type]
    return found if checkpoint.adapters is None else found.adapted(checkpoint.adapters)


def _entries(tokenizer: Tokenizer) -> int:
    """The first id that the vocabulary does not have."""
    return max(tokenizer.get_vocab().values()) + 1


def _is_padded(entries: int, rows: int) -> bool:
    """Whether an embedding is larger than the vocabulary for the sake of fast products."""
    return not rows % _PADDED_TO and rows - entries < _MOST_PADDING


def _first(tokenizer: Tokenizer, tokens: Sequence[str]) -> str | None:
    """The first of the tokens that the vocabulary has."""
    return next((each for each in tokens if tokenizer.token_to_id(each) is not None), None)


@contextmanager
def naming(path: Path, advice: str = "") -> Iterator[None]:
    """Adds the file to what the libraries say about its content, and what may be done."""
    try:
        yield
    except (encoders.EncoderError, preprocess.PreprocessError) as error:
        raise SourceError(f"{path}: {error}{advice}") from error
