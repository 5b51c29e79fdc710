"""What stands for mask tokens in texts, as the root of a SavedModel."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from encoders import FillMask, HeadedEncoder, RealTokens, by_length
from hub_export import contract
from hub_export.contract import LOGITS, ROW_SPLITS, SCORE, TOKEN, TOKEN_ID, Tensors
from hub_export.errors import SourceError
from hub_export.models import signatures
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.models.task import Task
from hub_export.models.tasks import task_model
from hub_export.models.tasks.task_model import TaskModel
from hub_export.models.texts import called, packing, traced
from preprocess import Preprocessor

BEST = 5
"""How many tokens are given for each mask, the likeliest first."""


class FillMaskModel(TaskModel):
    """Wraps preprocessor, encoder and head as `hub_export.contract` says."""

    def __init__(
        self,
        preprocessor: Preprocessor,
        headed: HeadedEncoder,
        head: FillMask,
        mask: int,
        words: Sequence[str],
    ) -> None:
        """Traces them.

        Args:
            preprocessor: its `seq_length` is the longest row; what is longer is cut.
            headed: the encoder with its head.
            head: the head, which is computed where masks stand.
            mask: the id of the mask token.
            words: what each id stands for.
        """
        super().__init__(preprocessor, headed)
        self._words = words
        encoder = headed.encoder
        real, pack = functools.partial(encoder, arrange=RealTokens), packing(preprocessor)

        def logits(training: bool, text: tf.Tensor) -> list[tf.Tensor]:
            """string [B] -> of n masks float32 [n, V]; int64 [B + 1], where each text's begin."""
            rows = pack(text)
            if training:
                sequence = encoder(*rows, training=True).sequence
            else:
                [sequence] = by_length(lambda *some: [real(*some).sequence], *rows)
            masks = tf.equal(rows.word_ids, mask) & tf.not_equal(rows.mask, 0)
            counts = tf.reduce_sum(tf.cast(masks, tf.int64), axis=1)
            return [
                head.logits(tf.boolean_mask(sequence, masks)),
                tf.concat([[0], tf.cumsum(counts)], axis=0),
            ]

        bodies = {each: traced(functools.partial(logits, each)) for each in (False, True)}
        self._logits = bodies[False]

        def call(sentences: tf.Tensor, training: bool = False) -> Tensors:
            found, splits = bodies[training](sentences)
            answers = {LOGITS: found, **self._answers(found)}
            ragged = functools.partial(tf.RaggedTensor.from_row_splits, validate=False)
            return {name: ragged(each, splits) for name, each in answers.items()}

        self.__call__ = called(call)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures."""

        def serve(text: tf.Tensor) -> Tensors:
            logits, splits = self._logits(text)
            return {**self._answers(logits), ROW_SPLITS: splits}

        return signatures.checked({contract.SERVING: (serve, [contract.text_spec(contract.TEXT)])})

    def _answers(self, logits: tf.Tensor) -> Tensors:
        """The likeliest tokens, of float32 [n, V]: [n, k] each."""
        scores, ids = tf.math.top_k(tf.nn.softmax(logits), min(BEST, len(self._words)))
        return {TOKEN: tf.gather(tf.constant(self._words), ids), TOKEN_ID: ids, SCORE: scores}


_USAGE = (
    f"Takes a batch of strings with mask tokens and gives, for each mask, the {BEST} likeliest "
    f"tokens: `{TOKEN}` (strings), `{TOKEN_ID}` and `{SCORE}`, ragged [batch, (masks), {BEST}], "
    f"and `{LOGITS}` [batch, (masks), vocabulary]. A text without a mask, and a mask beyond the "
    f"longest row, get none. Signature for TF Serving: `{contract.SERVING}` (`{contract.TEXT}` -> "
    f"`{TOKEN}`, `{TOKEN_ID}`, `{SCORE}` [masks, {BEST}], `{ROW_SPLITS}`). Import tensorflow_text "
    "before loading it."
)


def product(session: Session, task: Task) -> Product:
    """The masked language model of a session.

    Raises:
        SourceError: the head is not supported or not in the checkpoint, or there is no mask token.
    """
    words = task_model.words(session.tokenizer, session.size.vocabulary)

    def build(preprocessor: Preprocessor, headed: HeadedEncoder, task: Task) -> FillMaskModel:
        mask = preprocessor.special.mask
        if mask is None:
            raise SourceError(
                f"{session.checkpoint.tokenizer_file}: has no mask token, which {task.name} asks "
                "about; name it in tokenizer_config.json, or say task=feature-extraction"
            )
        assert isinstance(headed.head, FillMask)
        return FillMaskModel(preprocessor, headed, headed.head, mask, words)

    token = session.tokenization.mask
    id = None if token is None else session.tokenizer.token_to_id(token)
    of_rows = functools.partial(_of_rows, {"mask": id, "best": BEST})
    return task_model.product(session, task, build, _USAGE, of_rows, notes={"mask": token})


def _of_rows(options: Mapping[str, Any], headed: HeadedEncoder, task: Task) -> OfRows:
    """Logits of the position of each row that is asked about, which its mask tells."""
    del task
    encoder, head = headed.encoder, headed.head
    assert isinstance(head, FillMask)

    def compute(word_ids: tf.Tensor, marks: tf.Tensor, type_ids: tf.Tensor) -> Tensors:
        sequence = encoder(word_ids, tf.minimum(marks, 1), type_ids).sequence
        place = tf.argmax(marks, axis=1)  # that of hub_export.litert.model.ASKED
        return {LOGITS: head.logits(tf.gather(sequence, place, axis=1, batch_dims=1))}

    return OfRows(headed, compute, options=options)
