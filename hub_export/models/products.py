"""What an export may consist of. Each product is made of the session alone."""

from collections.abc import Callable, Mapping

from hub_export.models import encoder, preprocessor, text
from hub_export.models.product import Product
from hub_export.models.session import Session
from hub_export.models.task import Task
from hub_export.models.tasks import (
    classification,
    fill_mask,
    late_interaction,
    multiple_choice,
    question_answering,
    sparse_embedding,
    token_classification,
)
from hub_export.settings import (
    ENCODER,
    FILL_MASK,
    LATE_INTERACTION,
    MULTIPLE_CHOICE,
    PREPROCESSOR,
    QUESTION_ANSWERING,
    SPARSE_EMBEDDING,
    TASK_MODEL,
    TEXT_CLASSIFICATION,
    TEXT_EMBEDDING,
    TOKEN_CLASSIFICATION,
)


def products_of(session: Session) -> list[Product]:
    """Those that are asked for, as far as the checkpoint has them."""
    made = (PRODUCTS[name](session) for name in session.settings.parts)
    return [each for each in made if each is not None]


def _task_model(session: Session) -> Product | None:
    """The model of the session's task; nothing where its checkpoint has none."""
    return None if session.task is None else _TASKS[session.task.name](session, session.task)


_TASKS: Mapping[str, Callable[[Session, Task], Product]] = {
    TEXT_CLASSIFICATION: classification.product,
    TOKEN_CLASSIFICATION: token_classification.product,
    QUESTION_ANSWERING: question_answering.product,
    MULTIPLE_CHOICE: multiple_choice.product,
    FILL_MASK: fill_mask.product,
    SPARSE_EMBEDDING: sparse_embedding.product,
    LATE_INTERACTION: late_interaction.product,
}
PRODUCTS: Mapping[str, Callable[[Session], Product | None]] = {
    ENCODER: encoder.product,
    PREPROCESSOR: preprocessor.product,
    TEXT_EMBEDDING: text.product,
    TASK_MODEL: _task_model,
}
