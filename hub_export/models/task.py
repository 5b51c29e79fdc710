"""Which task a checkpoint was trained for, and what its answers are called."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from encoders import (
    Classification,
    Encoder,
    FillMask,
    Form,
    LateInteraction,
    MultipleChoice,
    QuestionAnswering,
    SparseEmbedding,
    TaskHead,
    TokenClassification,
)
from hub_export.errors import ExportError, SourceError
from hub_export.models.labels import activation_of, labels_of
from hub_export.settings import (
    AUTO,
    FEATURE_EXTRACTION,
    FILL_MASK,
    LATE_INTERACTION,
    MULTIPLE_CHOICE,
    NONE,
    QUESTION_ANSWERING,
    SPARSE_EMBEDDING,
    TEXT_CLASSIFICATION,
    TOKEN_CLASSIFICATION,
    Settings,
)
from hub_export.sources import late_interaction
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.late_interaction import OWN, PYLATE
from hub_export.sources.sentence_transformers import MODEL

TEMPLATE = "This example is {}."
"""The pipeline's own."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A task that heads are for.

    Attributes:
        head: what computes it.
        outputs: how many logits it gives; None where they stand for the configuration's labels.
    """

    head: type[TaskHead]
    outputs: int | None = None


KINDS: Mapping[str, Kind] = {
    TEXT_CLASSIFICATION: Kind(Classification),
    TOKEN_CLASSIFICATION: Kind(TokenClassification),
    QUESTION_ANSWERING: Kind(QuestionAnswering, outputs=2),
    MULTIPLE_CHOICE: Kind(MultipleChoice, outputs=1),
    FILL_MASK: Kind(FillMask, outputs=0),
    SPARSE_EMBEDDING: Kind(SparseEmbedding, outputs=0),
    LATE_INTERACTION: Kind(LateInteraction, outputs=0),
}
"""By the name of the task."""


@dataclasses.dataclass(frozen=True)
class ZeroShot:
    """How a classifier of NLI tells which of any labels a text has.

    Attributes:
        template: what is claimed of the text, with {} in the place of the label.
        entailment: which logit says that the text entails it.
        contradiction: which logit says the contrary.
    """

    template: str
    entailment: int
    contradiction: int


@dataclasses.dataclass(frozen=True)
class Splade:
    """How weights of words are made of logits; see `encoders.SparseEmbedding`."""

    is_sum: bool = False
    is_doubled: bool = False


@dataclasses.dataclass(frozen=True)
class Task:
    """What a checkpoint's head was trained for.

    Attributes:
        name: one of KINDS.
        labels: what the logits stand for; nothing where the task has no labels.
        activation: makes probabilities of the logits of a text: `softmax`, or one of `encoders`.
        zero_shot: of a classifier of NLI.
        splade: of a sparse embedding.
        form: of a head that isn't its family's.
        late: of late interaction.
    """

    name: str
    labels: tuple[str, ...] = ()
    activation: str = ""
    zero_shot: ZeroShot | None = None
    splade: Splade | None = None
    form: Form | None = None
    late: late_interaction.LateInteraction | None = None

    def head(self, config: Mapping[str, Any], encoder: Encoder) -> TaskHead:
        """The head for it, its variables declared.

        Raises:
            ConfigError: it is not supported.
        """
        kind = KINDS[self.name]
        outputs = len(self.labels) if kind.outputs is None else kind.outputs
        head = kind.head.of(config, encoder, outputs, self.form)
        if isinstance(head, SparseEmbedding) and self.splade is not None:
            head.is_sum, head.is_doubled = self.splade.is_sum, self.splade.is_doubled
        return head

    def words(self) -> Mapping[str, Any]:
        """The same for a reader of the report."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value}


def read(checkpoint: Checkpoint, settings: Settings) -> Task | None:
    """The task; nothing where there is none, or none is asked for.

    Raises:
        SourceError: the configuration does not say which, or contradicts itself.
        ExportError: something is asked for that the checkpoint's head does not do.
    """
    found = _read(checkpoint, settings)
    if settings.hypothesis_template is not None and (found is None or found.zero_shot is None):
        raise ExportError(
            "hypothesis_template: only for a classifier of NLI, one of whose labels begins with "
            f"entail, whose head is exported; found {_shown(found)}"
        )
    return found


def _shown(task: Task | None) -> str:
    return "no task" if task is None else ", ".join(task.labels) or task.name


def _read(checkpoint: Checkpoint, settings: Settings) -> Task | None:
    asked = settings.task
    if asked == FEATURE_EXTRACTION:
        return None
    if checkpoint.head_problem:
        raise SourceError(
            f"{checkpoint.head_problem}; to leave the head out, say task={FEATURE_EXTRACTION}"
        )
    name, reason = _found(checkpoint, settings)
    unwanted = "" if reason else _unwanted(name, settings)
    if (reason or unwanted) and asked == AUTO:
        return None
    if reason:
        raise SourceError(
            f"{checkpoint.config_file}: task {asked}: {reason}; say task=auto for what the "
            "checkpoint has"
        )
    if unwanted:
        raise ExportError(f"task {asked}: {unwanted} with special_tokens_in_text=false")
    labels = labels_of(checkpoint) if KINDS[name].outputs is None else ()
    if name == SPARSE_EMBEDDING:
        return Task(name, splade=Splade(*(checkpoint.pipeline().splade or ())))
    if name == LATE_INTERACTION:
        return Task(name, late=_late(checkpoint))
    task = Task(name, labels, form=checkpoint.head_form)
    if name != TEXT_CLASSIFICATION:
        return task
    return dataclasses.replace(
        task,
        activation=activation_of(checkpoint, len(labels)),
        zero_shot=_zero_shot(labels, settings),
    )


def _unwanted(name: str, settings: Settings) -> str:
    """What a task cannot do where special tokens in a text are text; nothing where they are not."""
    if settings.special_tokens_in_text is not False:
        return ""
    return {
        FILL_MASK: "no text can have a mask",
        LATE_INTERACTION: "special tokens tell queries from documents, which they cannot",
    }.get(name, "")


def _found(checkpoint: Checkpoint, settings: Settings) -> tuple[str, str]:
    """Which task a checkpoint has a head for, of those that are asked for, or why there is none."""
    if settings.weights == NONE and settings.task not in (AUTO, LATE_INTERACTION):
        return settings.task, ""  # any head can be made
    tasks = [*KINDS] if settings.task == AUTO else [settings.task]
    if LATE_INTERACTION in tasks and checkpoint.is_late():
        return LATE_INTERACTION, ""
    classes = [str(each) for each in checkpoint.config.get("architectures") or ()]
    heads = {name: KINDS[name].head for name in tasks}
    names = [
        name
        for name, head in heads.items()
        if name != LATE_INTERACTION and any(head.is_of(each) for each in classes)
    ]
    if not names:
        expected = " or ".join(f"...{head.ending}" for head in heads.values())
        found = ", ".join(classes) or "nothing"
        also = f", or {OWN} or {PYLATE} as model_type in {MODEL}" * (LATE_INTERACTION in tasks)
        return "", f"expected {expected} under architectures{also}, found {found}"
    if "belongs to a task head" in checkpoint.unused.values():
        return "", "the head of an adapter is not supported"
    pipeline = checkpoint.pipeline()
    if pipeline.splade is not None and SPARSE_EMBEDDING in tasks:
        return SPARSE_EMBEDDING, ""
    of_vectors = (pipeline.pooling, pipeline.splade, pipeline.late)
    makes_vectors = any(each is not None for each in of_vectors)
    return ("", "its modules.json makes vectors of texts") if makes_vectors else (names[0], "")


def _late(checkpoint: Checkpoint) -> late_interaction.LateInteraction | None:
    try:
        return checkpoint.pipeline().late
    except SourceError as error:
        raise SourceError(
            f"{error}; to leave late interaction out, say task={FEATURE_EXTRACTION}"
        ) from error


def _zero_shot(labels: Sequence[str], settings: Settings) -> ZeroShot | None:
    """As the pipeline of `transformers` finds the logits."""
    found = [at for at, label in enumerate(labels) if label.lower().startswith("entail")]
    if not found:
        return None
    template = settings.hypothesis_template
    template = TEMPLATE if template is None else template
    if template.count("{}") != 1 or {*template.replace("{}", "")} & {*"{}"}:
        raise ExportError(f"hypothesis_template: expected a text with one {{}}, found {template!r}")
    return ZeroShot(template, found[0], len(labels) - 1 if found[0] == 0 else 0)
