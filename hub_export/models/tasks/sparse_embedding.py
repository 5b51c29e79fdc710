"""The sparse embedding of texts as the root of a SavedModel."""

import functools
from collections.abc import Sequence

import tensorflow as tf

from encoders import HeadedEncoder
from hub_export import contract
from hub_export.contract import ROW_SPLITS, TERMS, TOKEN, TOKEN_ID, WEIGHT, WEIGHTS, Tensors
from hub_export.models import signatures
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.models.task import Task
from hub_export.models.tasks import task_model
from hub_export.models.tasks.task_model import TaskModel
from hub_export.models.texts import called, computing, packing, traced
from preprocess import Preprocessor

MOST = 256
"""How many terms of a text are listed, those of the largest weights."""


class SparseEmbeddingModel(TaskModel):
    """Wraps preprocessor, encoder and head as `hub_export.contract` says."""

    def __init__(
        self,
        words: Sequence[str],
        prompt: str,
        preprocessor: Preprocessor,
        headed: HeadedEncoder,
        task: Task,
    ) -> None:
        """Traces them.

        Args:
            words: what each id stands for.
            prompt: put before every text.
            preprocessor: its `seq_length` is the longest row; what is longer is cut.
            headed: gets rows as long as the longest one of the batch. Except in training, rows of
                similar length are computed together.
            task: the session's.
        """
        del task
        super().__init__(preprocessor, headed)
        self._words = words
        weights = computing(packing(preprocessor, prompt), headed, WEIGHTS)
        bodies = {each: traced(functools.partial(weights, each)) for each in (False, True)}
        self._weights = bodies[False]

        def call(sentences: tf.Tensor, training: bool = False) -> tf.Tensor:
            return bodies[training](sentences)

        self.__call__ = called(call)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures."""
        text = [contract.text_spec(contract.TEXT)]

        def terms(text: tf.Tensor) -> Tensors:
            return self._terms(self._weights(text))

        return signatures.checked(
            {
                contract.SERVING: (lambda text: {WEIGHTS: self._weights(text)}, text),
                TERMS: (terms, text),
            }
        )

    def _terms(self, weights: tf.Tensor) -> Tensors:
        """Those of a weight, the largest first, of float32 [B, V]: [n] each."""
        values, ids = tf.math.top_k(weights, min(MOST, len(self._words)))
        found = values > 0
        counts = tf.reduce_sum(tf.cast(found, tf.int64), axis=1)
        chosen = tf.boolean_mask(ids, found)
        return {
            TOKEN: tf.gather(tf.constant(self._words), chosen),
            TOKEN_ID: chosen,
            WEIGHT: tf.boolean_mask(values, found),
            ROW_SPLITS: tf.concat([[0], tf.cumsum(counts)], axis=0),
        }


_USAGE = (
    "Takes a batch of strings and gives the weights of all words of the vocabulary, float32 "
    f"[batch, vocabulary], most of them zero. Signatures for TF Serving: `{contract.SERVING}` "
    f"(`{contract.TEXT}` -> `{WEIGHTS}`) and `{TERMS}` (`{contract.TEXT}` -> `{TOKEN}`, "
    f"`{TOKEN_ID}` and `{WEIGHT}` of the words that have a weight, the largest first, at most "
    f"{MOST} a text, and `{ROW_SPLITS}`). Import tensorflow_text before loading it."
)


def product(session: Session, task: Task) -> Product:
    """The sparse embedding of a session.

    Raises:
        SourceError: the head is not supported, or is not in the checkpoint.
    """
    words = task_model.words(session.tokenizer, session.size.vocabulary)
    prompt = session.plan.prompt
    build = functools.partial(SparseEmbeddingModel, words, prompt)
    return task_model.product(session, task, build, _USAGE, _of_rows, prompt)


def _of_rows(headed: HeadedEncoder, task: Task) -> OfRows:
    del task
    return OfRows(headed, headed, options={"most": MOST})
