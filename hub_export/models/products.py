"""What an export may consist of. Each product is made of the session alone."""

from collections.abc import Callable, Mapping

from hub_export.models import classification, encoder, preprocessor, question_answering, text
from hub_export.models.product import Product
from hub_export.models.session import Session
from hub_export.models.task import Task
from hub_export.settings import (
    ENCODER,
    PREPROCESSOR,
    QUESTION_ANSWERING,
    TASK_MODEL,
    TEXT_CLASSIFICATION,
    TEXT_EMBEDDING,
)


def _task_model(session: Session) -> Product | None:
    """The model of the session's task; nothing where its checkpoint has none."""
    return None if session.task is None else _TASKS[session.task.name](session, session.task)


_TASKS: Mapping[str, Callable[[Session, Task], Product]] = {
    TEXT_CLASSIFICATION: classification.product,
    QUESTION_ANSWERING: question_answering.product,
}
PRODUCTS: Mapping[str, Callable[[Session], Product | None]] = {
    ENCODER: encoder.product,
    PREPROCESSOR: preprocessor.product,
    TEXT_EMBEDDING: text.product,
    TASK_MODEL: _task_model,
}
