"""The source's model for its task in torch."""

from collections.abc import Mapping
from typing import Any

from encoders import architectures
from hub_export.models.session import Session
from hub_export.settings import (
    FILL_MASK,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    SPARSE_EMBEDDING,
    TEXT_CLASSIFICATION,
    TOKEN_CLASSIFICATION,
)
from hub_export.verify.closeness import Floats
from hub_export.verify.references.encoder import Ids, doubtful, loaded_encoder, rows_of
from hub_export.verify.references.families import settled
from hub_export.verify.references.loading import computed, loaded

_MASKED = ("AutoModelForMaskedLM", "MODEL_FOR_MASKED_LM_MAPPING")
TASKS: Mapping[str, tuple[str, str]] = {
    TEXT_CLASSIFICATION: (
        "AutoModelForSequenceClassification",
        "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING",
    ),
    TOKEN_CLASSIFICATION: (
        "AutoModelForTokenClassification",
        "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING",
    ),
    QUESTION_ANSWERING: (
        "AutoModelForQuestionAnswering",
        "MODEL_FOR_QUESTION_ANSWERING_MAPPING",
    ),
    MULTIPLE_CHOICE: ("AutoModelForMultipleChoice", "MODEL_FOR_MULTIPLE_CHOICE_MAPPING"),
    FILL_MASK: _MASKED,
    SPARSE_EMBEDDING: _MASKED,
}


class TaskReference:
    """The checkpoint's model for its task in torch, float32."""

    def __init__(self, session: Session) -> None:
        """Loads it.

        Raises:
            SourceError: `transformers` refuses the checkpoint.
        """
        task, (head, _) = session.task, session.head
        assert task is not None
        checkpoint, pooler = session.checkpoint, head.needs_pooler
        self._model: Any
        if not architectures()[checkpoint.config["model_type"]].reference:
            from hub_export.verify.references.own import models  # noqa: PLC0415

            self._model = models.load_headed(checkpoint, pooler, task.name)
        elif task.form is None:
            self._model = settled(loaded(checkpoint, pooler, *TASKS[task.name]).eval())
        else:
            from hub_export.verify.references.adapters import Headed  # noqa: PLC0415

            encoder = loaded_encoder(checkpoint, pooler)
            self._model = Headed(encoder, task.form, checkpoint, task.name)
        self._types = session.size.types

    @property
    def encoder(self) -> Any:
        """The encoder in it."""
        return self._model.base_model

    def is_doubtful(self, word_ids: Ids, mask: Ids, type_ids: Ids) -> bool:
        """Whether what it gives hangs on a rounding; see `Reference.doubtful`."""
        return bool(doubtful(self.encoder, self, word_ids, mask, type_ids).any())

    def __call__(self, word_ids: Ids, mask: Ids, type_ids: Ids) -> Mapping[str, Floats]:
        """int32 [B, S] each -> its outputs by name, float32.

        Raises:
            SourceError: the source's code cannot compute them.
        """
        import torch  # noqa: PLC0415

        rows = rows_of(word_ids, mask, type_ids if self._types else None)
        found = computed(self._model, **rows)
        return {name: each.numpy() for name, each in found.items() if torch.is_tensor(each)}
