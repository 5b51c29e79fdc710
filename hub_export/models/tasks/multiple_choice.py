"""Multiple choice as the root of a SavedModel: which of its choices goes best with a text."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from encoders import HeadedEncoder
from hub_export import contract
from hub_export.contract import ANSWER, CHOICE, CHOICES, LOGITS, PROBABILITIES, TEXT, Tensors
from hub_export.models import signatures
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.models.task import Task
from hub_export.models.tasks import task_model
from hub_export.models.tasks.task_model import TaskModel
from hub_export.models.texts import computing, packing, traced
from preprocess import Preprocessor

Compute = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From texts and as many choices, string [n] each, to logits, float32 [n, 1]."""
_LOWEST = -math.inf


class MultipleChoiceModel(TaskModel):
    """Wraps preprocessor, encoder and head as `hub_export.contract` says."""

    def __init__(self, preprocessor: Preprocessor, headed: HeadedEncoder, task: Task) -> None:
        """Traces them.

        Args:
            preprocessor: its `seq_length` is the longest row; what is longer is cut.
            headed: gets rows as long as the longest one of the batch. Except in training, it
                computes nothing for padding, and rows of similar length together.
            task: the session's.
        """
        super().__init__(preprocessor, headed)
        del task
        logits = computing(packing(preprocessor), headed, LOGITS)
        bodies = {each: traced(functools.partial(logits, each), texts=2) for each in (False, True)}
        self._logits = bodies[False]

        def call(inputs: Sequence[Any], training: bool = False) -> Tensors:
            text, choices = inputs
            answer = _of_lists if isinstance(choices, tf.RaggedTensor) else _of_rows
            return answer(bodies[training], text, choices)

        self.__call__ = tf.function(call, autograph=False)
        text = contract.text_spec(TEXT)
        ragged = tf.RaggedTensorSpec([None, None], tf.string)
        for choices in (contract.choices_spec(), ragged):
            for training in (False, True):
                self.__call__.get_concrete_function([text, choices], training=training)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures."""
        specs = [contract.text_spec(TEXT), contract.choices_spec()]

        def serve(text: tf.Tensor, choices: tf.Tensor) -> Tensors:
            return _of_rows(self._logits, text, choices)

        return signatures.checked({contract.SERVING: (serve, specs)})


def _of_rows(compute: Compute, text: tf.Tensor, choices: tf.Tensor) -> Tensors:
    """All outputs, of texts, string [B], and their choices, string [B, C]."""
    found = _of_lists(compute, text, tf.RaggedTensor.from_tensor(choices))
    shape = tf.shape(choices)
    rows = {name: tf.reshape(found[name].flat_values, shape) for name in (LOGITS, PROBABILITIES)}
    return {**found, **rows}


def _of_lists(compute: Compute, text: tf.Tensor, choices: tf.RaggedTensor) -> Tensors:
    """All outputs, of texts, string [B], and their choices, string [B, (C)]."""
    counts = choices.row_lengths()
    tf.debugging.assert_equal(
        tf.size(text), tf.size(counts), message="as many texts are needed as lists of choices"
    )
    found = compute(tf.gather(text, choices.value_rowids()), choices.values)
    logits = choices.with_values(found[:, 0])
    # Behind the choices stands what is none, for a text that has none.
    behind = [[0, 0], [0, 1]]
    scored = tf.pad(logits.to_tensor(_LOWEST), behind, constant_values=_LOWEST)
    best = tf.argmax(scored, axis=1)
    return {
        LOGITS: logits,
        PROBABILITIES: tf.RaggedTensor.from_tensor(tf.nn.softmax(scored), lengths=counts),
        CHOICE: tf.where(counts > 0, best, -1),
        ANSWER: tf.gather(tf.pad(choices.to_tensor(), behind), best, batch_dims=1),
    }


_USAGE = (
    f"Takes a batch of `{TEXT}` strings and the `{CHOICES}` of each, string [batch, choices], and "
    f"gives `{LOGITS}` and `{PROBABILITIES}`, float32 [batch, choices], the `{CHOICE}` that is "
    f"best, int64 [batch], counted from 0, and that `{ANSWER}`, string [batch]; -1 and an empty "
    f"string where there are no choices. The call takes a list, [{TEXT}, {CHOICES}]; there the "
    f"choices may be ragged. Signature for TF Serving: `{contract.SERVING}` (`{TEXT}`, "
    f"`{CHOICES}`). Import tensorflow_text before loading it."
)


def product(session: Session, task: Task) -> Product:
    """The multiple choice of a session.

    Raises:
        SourceError: the head is not supported, or is not in the checkpoint.
    """
    return task_model.product(session, task, MultipleChoiceModel, _USAGE, _of_pairs)


def _of_pairs(headed: HeadedEncoder, task: Task) -> OfRows:
    del task
    return OfRows(headed, headed, pairs=True)
