"""The classification of texts as the root of a SavedModel."""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from encoders import HeadedEncoder, activation
from hub_export import contract
from hub_export.contract import LABEL, LOGITS, PROBABILITIES, SCORE, Tensors
from hub_export.models import signatures
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.models.task import Task
from hub_export.models.tasks import task_model
from hub_export.models.tasks.task_model import TaskModel
from hub_export.models.tasks.zero_shot import judging, scores
from hub_export.models.texts import called, computing, packing, traced
from preprocess import Preprocessor

SOFTMAX = "softmax"


class ClassificationModel(TaskModel):
    """Wraps preprocessor, encoder and classifier as `hub_export.contract` says."""

    def __init__(
        self, prompt: str, preprocessor: Preprocessor, headed: HeadedEncoder, task: Task
    ) -> None:
        """Traces them.

        Args:
            prompt: put before every text; of a pair, before the first one.
            preprocessor: its `seq_length` is the longest row; what is longer is cut.
            headed: gets rows as long as the longest one of the batch. Except in training, it
                computes nothing for padding, and rows of similar length together.
            task: labels, and what makes probabilities.
        """
        super().__init__(preprocessor, headed)
        self._task = task
        logits = computing(packing(preprocessor, prompt), headed, LOGITS)
        bodies = {each: traced(functools.partial(logits, each)) for each in (False, True)}
        self._single, self._pair = bodies[False], traced(functools.partial(logits, False), texts=2)

        def call(sentences: tf.Tensor, training: bool = False) -> Tensors:
            return self._answers(bodies[training](sentences))

        self.__call__ = called(call)

        if task.zero_shot is not None:
            self._judged = traced(judging(preprocessor, headed, task.zero_shot), texts=2)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures."""
        text, text_pair = map(contract.text_spec, (contract.TEXT, contract.TEXT_PAIR))
        served: dict[str, tuple[Callable[..., Tensors], Sequence[tf.TensorSpec]]] = {
            contract.SERVING: (lambda text: self._answers(self._single(text)), [text]),
            contract.SERVING_PAIR: (
                lambda text, text_pair: self._answers(self._pair(text, text_pair)),
                [text, text_pair],
            ),
        }
        if self._task.zero_shot is not None:
            specs = [text, contract.text_spec(contract.LABELS)]
            served[contract.ZERO_SHOT] = (functools.partial(self._scored, False), specs)
            served[contract.ZERO_SHOT_MULTI_LABEL] = (functools.partial(self._scored, True), specs)
        return signatures.checked(served)

    def _scored(self, is_multi_label: bool, text: tf.Tensor, labels: tf.Tensor) -> Tensors:
        return {contract.SCORES: scores(self._judged(text, labels), is_multi_label)}

    def _answers(self, logits: tf.Tensor) -> Tensors:
        """All outputs, of float32 [B, C]."""
        found = numbers(self._task, logits)
        found[LABEL] = tf.gather(tf.constant(self._task.labels), tf.argmax(logits, axis=1))
        if len(self._task.labels) == 1:
            found[SCORE] = found[PROBABILITIES][:, 0]
        return found


def numbers(task: Task, logits: tf.Tensor) -> Tensors:
    """Logits, float32 [B, C], and the probabilities that a task makes of them."""
    name = task.activation
    probabilities = tf.nn.softmax(logits) if name == SOFTMAX else activation(name)(logits)
    return {LOGITS: logits, PROBABILITIES: probabilities}


_USAGE = (
    f"Takes a batch of strings and gives `{LOGITS}` and `{PROBABILITIES}`, float32 [batch, "
    f"labels], and the `{LABEL}` of each text, string [batch]. Signatures for TF Serving: "
    f"`{contract.SERVING}` (`{contract.TEXT}`) and `{contract.SERVING_PAIR}` (`{contract.TEXT}`, "
    f"`{contract.TEXT_PAIR}`: two texts in one row). Import tensorflow_text before loading it."
)


def product(session: Session, task: Task) -> Product:
    """The classification of a session.

    Raises:
        SourceError: the head is not supported, or is not in the checkpoint.
    """
    prompt = session.plan.prompt
    build = functools.partial(ClassificationModel, prompt)
    return task_model.product(session, task, build, _USAGE, _of_rows, prompt)


def _of_rows(headed: HeadedEncoder, task: Task) -> OfRows:
    def compute(*row: tf.Tensor) -> Tensors:
        return numbers(task, headed(*row)[LOGITS])

    return OfRows(headed, compute, labels=task.labels, pairs=True)
