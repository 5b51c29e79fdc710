"""The checkpoint in torch, as everything that is compared asks it: each model is loaded once."""

import functools
from collections.abc import Callable

from tokenizers import Tokenizer

from hub_export.models.session import Session
from hub_export.settings import TASK_MODEL, TEXT_EMBEDDING
from hub_export.verify.closeness import Floats
from hub_export.verify.composed import Composed
from hub_export.verify.references.encoder import Reference
from hub_export.verify.references.sentences import (
    LateReference,
    SentenceReference,
    has_sentence_transformers,
)
from hub_export.verify.references.task import TaskReference
from hub_export.verify.tokens import transformers_tokens


class Source:
    """The source of a session.

    Attributes:
        session: what is exported.
    """

    def __init__(self, session: Session) -> None:
        """Loads nothing yet."""
        self.session = session

    @functools.cached_property
    def model(self) -> Reference:
        """The encoder.

        Raises:
            SourceError: `transformers` refuses the checkpoint.
        """
        session, whole = self.session, self._whole
        if whole is not None and not (
            session.has_pooler and getattr(whole.encoder, "pooler", None) is None
        ):
            return Reference(whole.encoder, session.size, session.has_pooler, session.token)
        return Reference.load(session.checkpoint, session.size, session.has_pooler, session.token)

    @property
    def _whole(self) -> SentenceReference | TaskReference | LateReference | None:
        """What is loaded anyway, and has the encoder in it."""
        if self.sentences is not None:
            return self.sentences
        session = self.session
        if TASK_MODEL not in session.settings.parts or session.task is None:
            return None
        return self.task_model if session.task.late is None else self.late

    @functools.cached_property
    def sentences(self) -> SentenceReference | None:
        """The whole in sentence-transformers, where that is wanted and possible.

        Raises:
            SourceError: sentence-transformers refuses the checkpoint.
        """
        checkpoint = self.session.checkpoint
        if (
            TEXT_EMBEDDING not in self.session.settings.parts
            or not (checkpoint.folder or checkpoint.is_static)
            or checkpoint.route
            or checkpoint.pipeline().pooling is None
            or not has_sentence_transformers()
        ):
            return None
        return SentenceReference(self.session)

    @functools.cached_property
    def task_model(self) -> TaskReference:
        """The encoder with the head of its task on it.

        Raises:
            SourceError: `transformers` refuses the checkpoint.
        """
        return TaskReference(self.session)

    @functools.cached_property
    def late(self) -> LateReference | None:
        """The late interaction in sentence-transformers, where that is possible.

        Raises:
            SourceError: sentence-transformers refuses the checkpoint.
        """
        possible = self.session.checkpoint.folder is not None and has_sentence_transformers()
        return LateReference(self.session) if possible else None

    @functools.cached_property
    def tokenizer(self) -> transformers_tokens.Reading:
        """The tokenizer as `transformers` reads it."""
        session = self.session
        asked = session.settings.special_tokens_in_text
        found = transformers_tokens.read(session.checkpoint, asked)
        if isinstance(found, Tokenizer):
            session.tokenization.mark(found)
        return found

    def release(self) -> None:
        """Lets go of the models: never is one in memory beside an export."""
        for name in ("model", "sentences", "task_model", "late"):
            self.__dict__.pop(name, None)

    @property
    def needs(self) -> str:
        """What must be installed to say what vectors are right; empty if it is."""
        own = [each for each in self.session.plan.modules if each.module.kind != "Truncate"]
        wanted = self.session.checkpoint.is_static or own
        return "sentence-transformers" if wanted and not has_sentence_transformers() else ""

    @property
    def vectors(self) -> tuple[str, Callable[..., Floats]]:
        """Who says what is right, and what gives the vector of a text, or of a pair of texts."""
        if self.sentences is not None:
            return "sentence-transformers", self.sentences
        return self.composed

    @property
    def composed(self) -> tuple[str, Callable[..., Floats]]:
        """The same, of the ids that the source tokenizer gives, not sentence-transformers'."""
        own = ", the modules behind by sentence-transformers" if self.session.plan.modules else ""
        return f"torch, pooled in numpy{own}", Composed(self.model, self.session)
