"""What the models of all tasks have in common: how each is made of a session."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import tensorflow as tf
from tokenizers import Tokenizer

from encoders import HeadedEncoder
from hub_export import contract
from hub_export.errors import SourceError
from hub_export.models.product import Model, OfRows, Product
from hub_export.models.session import Session
from hub_export.models.task import Task
from hub_export.models.texts import rows_of_texts
from hub_export.settings import product_of
from preprocess import Preprocessor


class TaskModel(tf.train.Checkpoint):
    """What the roots of all tasks' SavedModels have, as `hub_export.contract` says."""

    def __init__(self, preprocessor: Preprocessor, headed: HeadedEncoder) -> None:
        super().__init__(headed=headed)
        self.variables = list(headed.variables)
        self.trainable_variables = list(headed.trainable_variables)
        self.regularization_losses: list[tf.Tensor] = []
        self._tokenizer = preprocessor.tokenizer  # whose functions use tables


Build = Callable[[Preprocessor, HeadedEncoder, Task], Model]
Rows = Callable[[HeadedEncoder, Task], OfRows]


def product(
    session: Session,
    task: Task,
    build: Build,
    usage: str,
    of_rows: Rows,
    prompt: str = "",
    longest: int | None = None,
    notes: Mapping[str, Any] = MappingProxyType({}),
) -> Product:
    """The model of a session's task.

    Args:
        session: what it is made of.
        task: the session's.
        build: makes the root of the SavedModel of what packs texts, and of the encoder with its
            head.
        usage: what goes in and comes out, for a reader of its card.
        of_rows: what the encoder with its head computes of rows of tokens, for copies.
        prompt: what it puts before a text.
        longest: the longest row; None for that of the session's plan.
        notes: what a reader of the report should know of the task besides.

    Raises:
        SourceError: the head is not supported, or is not in the checkpoint.
    """
    _ = session.tokenizer, session.plan, session.head
    name = product_of(task.name)

    def built() -> Model:
        return build(rows_of_texts(session), _headed(session, task), task)

    def rows() -> OfRows:
        return dataclasses.replace(of_rows(_headed(session, task), task), prompt=prompt)

    described = {**task.words(), "prompt": prompt, "max_length": session.plan.max_length}
    return Product(
        name,
        f"{session.settings.name}_{name}",
        usage,
        built,
        lambda: {contract.TASK: {**described, **notes}},
        longest or session.plan.max_length,
        rows,
    )


def _headed(session: Session, task: Task) -> HeadedEncoder:
    """The encoder with the head on it; without its pooler, unless the head needs that."""
    (encoder, _), (head, _) = session.built, session.head
    if head.needs_pooler and encoder.pooler is None:
        raise SourceError(
            f"{session.checkpoint.weights_file}: has no pooler, which the head for {task.name} "
            "stands on; it was never trained: say task=feature-extraction to leave the head out"
        )
    return HeadedEncoder(encoder if head.needs_pooler else encoder.without_pooler(), head)


def words(tokenizer: Tokenizer, count: int) -> list[str]:
    """What each id of an encoder stands for; nothing for those that the tokenizer does not have."""
    ids = range(max(tokenizer.get_vocab().values()) + 1)
    named = tokenizer.decode_batch([[id] for id in ids], skip_special_tokens=False)
    return [*named, *[""] * (count - len(named))]
