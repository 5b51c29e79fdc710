"""The late interaction of queries and documents as the root of a SavedModel."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from encoders import HeadedEncoder
from hub_export import contract
from hub_export.contract import (
    DOCUMENT,
    QUERY,
    ROW_SPLITS,
    SCORE,
    TEXT,
    TEXT_PAIR,
    TOKEN,
    TOKEN_ID,
    VECTORS,
    Tensors,
)
from hub_export.errors import ExportError
from hub_export.models import signatures
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.models.task import Task
from hub_export.models.tasks import task_model
from hub_export.models.tasks.task_model import TaskModel
from hub_export.models.tasks.token_rows import Rows, rows
from hub_export.models.texts import called, traced
from preprocess import Preprocessor, flat_segment

WORST = -1e9
"""The sum of a document without vectors; that of sentence-transformers."""


class Found(NamedTuple):
    """The vectors of a batch.

    Attributes:
        vectors: float32 [n, D].
        ids: of their tokens, int32 [n].
        row_splits: where those of each text begin, int64 [B + 1].
    """

    vectors: tf.Tensor
    ids: tf.Tensor
    row_splits: tf.Tensor


class LateInteractionModel(TaskModel):
    """Wraps preprocessor, encoder and head as `hub_export.contract` says."""

    def __init__(
        self,
        words: Sequence[str],
        sides: Mapping[str, Rows],
        preprocessor: Preprocessor,
        headed: HeadedEncoder,
        task: Task,
    ) -> None:
        """Traces them.

        Args:
            words: what each id stands for.
            sides: QUERY and DOCUMENT.
            preprocessor: packs their texts.
            headed: gets rows as long as the longest one of the batch. Except in training, it
                computes nothing for padding, and rows of similar length together.
            task: the session's.
        """
        super().__init__(preprocessor, headed)
        assert task.late is not None
        self._is_mean = task.late.is_mean
        # One function: each signature would have a copy of the words.
        self._spelled = tf.function(
            lambda ids: tf.gather(tf.constant(words), ids), autograph=False
        ).get_concrete_function(tf.TensorSpec([None], tf.int32))
        tokenize = preprocessor.tokenizer.traced(preprocessor.tokenizer.tokenize)

        def compute(side: Rows, training: bool, text: tf.Tensor) -> Found:
            tokens = flat_segment(tokenize(tf.strings.join([side.prompt, text])))
            packed = side.pack(preprocessor, tokens)
            vectors = side.vectors(headed, training, packed)
            return _flat(vectors, packed.word_ids, side.counted(packed))

        bodies = {
            (name, each): traced(functools.partial(compute, side, each))
            for name, side in sides.items()
            for each in (False, True)
        }
        self._found = {name: bodies[name, False] for name in sides}

        def query(sentences: tf.Tensor, training: bool = False) -> tf.RaggedTensor:
            return _ragged(bodies[QUERY, training](sentences))

        def document(sentences: tf.Tensor, training: bool = False) -> tf.RaggedTensor:
            return _ragged(bodies[DOCUMENT, training](sentences))

        self.query = called(query)
        self.document = self.__call__ = called(document)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures."""
        text, text_pair = map(contract.text_spec, (TEXT, TEXT_PAIR))
        named = {contract.SERVING: DOCUMENT, QUERY: QUERY, DOCUMENT: DOCUMENT}
        served: signatures.Signatures = {
            name: (functools.partial(self._listed, side), [text]) for name, side in named.items()
        }
        pair = {contract.SERVING_PAIR: (self._score, [text, text_pair])}
        return signatures.checked({**served, **pair})

    def _listed(self, side: str, text: tf.Tensor) -> Tensors:
        """Vectors of all texts in one list, and where those of each begin."""
        found = self._found[side](text)
        return {
            VECTORS: found.vectors,
            TOKEN: self._spelled(found.ids),
            TOKEN_ID: found.ids,
            ROW_SPLITS: found.row_splits,
        }

    def _score(self, text: tf.Tensor, text_pair: tf.Tensor) -> Tensors:
        query, document = self._found[QUERY](text), self._found[DOCUMENT](text_pair)
        return {SCORE: maxsim(_ragged(query), _ragged(document), self._is_mean)}


def maxsim(queries: tf.RaggedTensor, documents: tf.RaggedTensor, is_mean: bool) -> tf.Tensor:
    """The score of each query and its document.

    Args:
        queries: float32 [B, (m), D].
        documents: float32 [B, (n), D].
        is_mean: whether the score is divided by the number of the query's vectors.

    Returns:
        float32 [B].
    """
    query, document = queries.to_tensor(), documents.to_tensor()
    products = tf.matmul(query, document, transpose_b=True)  # [B, m, n]
    is_there = tf.sequence_mask(documents.row_lengths(), tf.shape(document)[1])
    best = tf.reduce_max(tf.where(is_there[:, tf.newaxis], products, tf.float32.min), axis=2)
    asked = tf.sequence_mask(queries.row_lengths(), tf.shape(query)[1])
    score = tf.reduce_sum(tf.where(asked, best, 0.0), axis=1)
    score = tf.where(tf.reduce_any(is_there, axis=1), score, WORST)
    count = tf.cast(tf.maximum(queries.row_lengths(), 1), tf.float32)
    return score / count if is_mean else score


def _flat(vectors: tf.Tensor, ids: tf.Tensor, counted: tf.Tensor) -> Found:
    """Those that are counted, bool [B, S], of [B, S, D] and [B, S]."""
    counts = tf.reduce_sum(tf.cast(counted, tf.int64), axis=1)
    splits = tf.concat([tf.zeros([1], tf.int64), tf.cumsum(counts)], axis=0)
    return Found(tf.boolean_mask(vectors, counted), tf.boolean_mask(ids, counted), splits)


def _ragged(found: Found) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_splits(found.vectors, found.row_splits, validate=False)


_USAGE = (
    f"`{QUERY}(sentences)` and `{DOCUMENT}(sentences)` take a batch of strings and give vectors of "
    "the tokens of each, float32, a ragged tensor [batch, (tokens), width]; the call is that of "
    f"documents. Signatures for TF Serving: `{QUERY}`, `{DOCUMENT}` and `{contract.SERVING}`, "
    f"which is that of documents (`{TEXT}` -> `{VECTORS}` [n, width], `{TOKEN}`, `{TOKEN_ID}`, "
    f"`{ROW_SPLITS}`); `{contract.SERVING_PAIR}` (`{TEXT}`, a query, `{TEXT_PAIR}`, a document -> "
    f"`{SCORE}`, their MaxSim). Import tensorflow_text before loading it."
)


def product(session: Session, task: Task) -> Product:
    """The late interaction of a session.

    Raises:
        SourceError: an option is not supported, or contradicts the tokenizer or the encoder.
        ExportError: the user asks for something that only a text embedding has.
    """
    late = task.late
    assert late is not None
    settings = session.settings
    if asked := settings.of_embedding + ["prompt"] * (settings.prompt is not None):
        raise ExportError(f"{', '.join(asked)}: not for a checkpoint of late interaction")
    sides = {name: rows(session, name, getattr(late, name)) for name in (QUERY, DOCUMENT)}
    words = task_model.words(session.tokenizer, session.size.vocabulary)
    build = functools.partial(LateInteractionModel, words, sides)
    notes = {"late": {name: side.words(session.tokenizer) for name, side in sides.items()}}
    of_rows = functools.partial(_of_rows, sides, len(words))
    longest = max(side.seq_length for side in sides.values())
    return task_model.product(session, task, build, _USAGE, of_rows, longest=longest, notes=notes)


def _of_rows(sides: Mapping[str, Rows], words: int, headed: HeadedEncoder, task: Task) -> OfRows:
    assert task.late is not None
    options = {
        "words": words,
        "is_mean": task.late.is_mean,
        "worst": WORST,
        **{name: side.options() for name, side in sides.items()},
    }
    # Of some architectures, what no token attends to depends on how far a row is padded.
    lengths = {side.filling.length for side in sides.values() if side.filling is not None}
    return OfRows(headed, headed, by_token=[VECTORS], lengths=sorted(lengths), options=options)
