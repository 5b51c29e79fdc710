"""Question answering as the root of a SavedModel: where a context says what is asked."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from encoders import HeadedEncoder, RealTokens, by_length
from hub_export import contract
from hub_export.contract import CONTEXT, END_LOGITS, LIMIT, QUESTION, START, START_LOGITS, Tensors
from hub_export.litert.answers import MASKED
from hub_export.models import signatures
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.models.task import Task
from hub_export.models.tasks import answers, passages, task_model
from hub_export.models.tasks.passages import Passages, Reader
from hub_export.models.tasks.task_model import TaskModel
from hub_export.models.texts import traced
from preprocess import Preprocessor

TOP_K = 5
"""The answers of a signature."""


class QuestionAnsweringModel(TaskModel):
    """Wraps preprocessor, encoder and head as `hub_export.contract` says."""

    def __init__(
        self, context_first: bool, preprocessor: Preprocessor, headed: HeadedEncoder, task: Task
    ) -> None:
        """Traces them.

        Args:
            context_first: whether a row begins with the context rather than with the question.
            preprocessor: its `seq_length` is the longest row, if that is less than the pipeline's.
            headed: gets rows as long as the longest one of the batch. Except in training, it
                computes nothing for padding, and rows of similar length together.
            task: the session's.

        Raises:
            SourceError: rows are too short for windows of a context.
        """
        super().__init__(preprocessor, headed)
        del task
        self._reader = reader = Reader(preprocessor, context_first)
        compute = _computing(headed)

        def rows(training: bool, question: tf.Tensor, context: tf.Tensor) -> Tensors:
            read = reader(question, context, whole=False)
            real, logits = tf.equal(read.rows.mask, 1), compute[training](*read.rows)
            start, end = (tf.where(real, each, MASKED) for each in logits)
            return {START_LOGITS: start, END_LOGITS: end, **_extents(read)}

        def answer(
            may_be_none: bool, question: tf.Tensor, context: tf.Tensor, top_k: tf.Tensor
        ) -> Tensors:
            read = reader(question, context)
            start, end = compute[False](*read.rows)
            return answers.best(read, start, end, context, top_k, reader.special, may_be_none)

        bodies = {each: traced(functools.partial(rows, each), texts=2) for each in (False, True)}
        self._rows = bodies[False]
        self._answers = [_of_count(functools.partial(answer, each)) for each in (False, True)]

        def call(texts: Sequence[tf.Tensor], training: bool = False) -> Tensors:
            return bodies[training](*texts)

        def find(
            question: tf.Tensor,
            context: tf.Tensor,
            top_k: int | tf.Tensor = 1,
            handle_impossible_answer: bool = False,
        ) -> Tensors:
            return self._answers[handle_impossible_answer](
                question, context, tf.cast(top_k, tf.int32)
            )

        texts = [contract.text_spec(name) for name in (QUESTION, CONTEXT)]
        self.__call__ = tf.function(call, autograph=False)
        self.answer = tf.function(find, autograph=False)
        count = tf.TensorSpec([], tf.int32)
        for each in (False, True):
            self.__call__.get_concrete_function(texts, training=each)
            self.answer.get_concrete_function(*texts, count, handle_impossible_answer=each)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures."""

        def best(may_be_none: bool, question: tf.Tensor, context: tf.Tensor) -> Tensors:
            found = self._answers[may_be_none](question, context, tf.constant(TOP_K))
            return {name: tf.ensure_shape(each, [None, TOP_K]) for name, each in found.items()}

        texts = [contract.text_spec(name) for name in (QUESTION, CONTEXT)]
        served: dict[str, tuple[Callable[..., Tensors], Sequence[tf.TensorSpec]]] = {
            contract.SERVING: (lambda question, context: best(False, question, context), texts),
            contract.ANSWER_OR_NONE: (
                lambda question, context: best(True, question, context),
                texts,
            ),
            contract.LOGITS: (lambda question, context: self._rows(question, context), texts),
        }
        return signatures.checked(served)


def _of_count(function: Callable[..., Tensors]) -> tf.types.experimental.ConcreteFunction:
    """A function of questions, contexts and a number, traced once."""
    text = tf.TensorSpec([None], tf.string)
    traced = tf.function(function, autograph=False)
    return traced.get_concrete_function(text, text, tf.TensorSpec([], tf.int32))


def _computing(headed: HeadedEncoder) -> list[Callable[..., list[tf.Tensor]]]:
    """From rows to the logits of the first and of the last token, float32 [W, S] each.

    Returns:
        What computes them, traced once, and what does so in training.
    """
    inside = functools.partial(headed, arrange=RealTokens)

    def both(*rows: tf.Tensor) -> list[tf.Tensor]:
        found = inside(*rows)
        return [tf.stack([found[START_LOGITS], found[END_LOGITS]], axis=2)]

    def infer(*rows: tf.Tensor) -> list[tf.Tensor]:
        [found] = by_length(both, *rows)
        return tf.unstack(found, axis=2)

    def train(word_ids: tf.Tensor, mask: tf.Tensor, type_ids: tf.Tensor) -> list[tf.Tensor]:
        found = headed(word_ids, mask, type_ids, training=True)
        return [found[START_LOGITS], found[END_LOGITS]]

    specs = contract.input_specs().values()
    return [tf.function(infer, autograph=False).get_concrete_function(*specs), train]


def _extents(read: Passages) -> Tensors:
    """Which bytes of the context each place of the rows is, int64 [W, S] each."""
    none, sources = tf.zeros([1], tf.int64), read.sources + 1
    extents = {START: read.tokens.starts, LIMIT: read.tokens.limits}
    return {
        name: tf.gather(tf.concat([none, each], axis=0), sources) for name, each in extents.items()
    }


_USAGE = (
    f"Takes a batch of `{QUESTION}` and of `{CONTEXT}` strings. Signatures for TF Serving: "
    f"`{contract.SERVING}` gives the {TOP_K} best `{contract.ANSWER}` of each, string [batch, "
    f"{TOP_K}], their `{contract.SCORE}`, float32, and their `{START}` and `{LIMIT}`, bytes of the "
    f"context, int64; where there are fewer, empty ones of score 0 follow. "
    f"`{contract.ANSWER_OR_NONE}` is for models that know questions without an answer: an empty "
    "answer is one of them, with the score of that. In Python, `answer(question, context, top_k=1, "
    "handle_impossible_answer=False)` gives as many as are asked for. The call, and the signature "
    f"`{contract.LOGITS}`, give what is trained: `{START_LOGITS}` and `{END_LOGITS}`, float32 "
    f"[batch, length], of a row of the question and the context's beginning, and `{START}` and "
    f"`{LIMIT}` of each place. A long context is read in rows of up to {passages.LONGEST} tokens "
    f"that share {passages.OVERLAP} (half of a row, if that is less). An answer has up to "
    f"{answers.LONGEST} tokens before it is extended to whole words. Import tensorflow_text before "
    "loading it."
)


def product(session: Session, task: Task) -> Product:
    """The question answering of a session.

    Raises:
        SourceError: the head is not supported, or is not in the checkpoint.
    """
    longest = min(session.plan.max_length, passages.LONGEST)
    first = passages.is_context_first(session.tokenizer)
    build = functools.partial(QuestionAnsweringModel, first)
    of_rows = functools.partial(_of_rows, {"context_first": first})
    return task_model.product(session, task, build, _USAGE, of_rows, longest=longest)


def _of_rows(options: Mapping[str, Any], headed: HeadedEncoder, task: Task) -> OfRows:
    del task
    options = {
        **options,
        "row": passages.LONGEST,
        "overlap": passages.OVERLAP,
        "answer": answers.LONGEST,
        "best": TOP_K,
    }
    by_token = [START_LOGITS, END_LOGITS]
    return OfRows(headed, headed, by_token, pairs=True, options=options)
