"""The classification of tokens as the root of a SavedModel: texts in, entities out."""

import functools

import tensorflow as tf

from encoders import HeadedEncoder
from hub_export import contract
from hub_export.contract import (
    AGGREGATIONS,
    LABEL,
    LIMIT,
    LOGITS,
    MASK,
    ROW_SPLITS,
    SCORE,
    SIMPLE,
    START,
    TEXT,
    Tensors,
)
from hub_export.models import signatures
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.models.task import Task
from hub_export.models.tasks import task_model
from hub_export.models.tasks.entities import Labels, Subwords, Tokens, entities
from hub_export.models.tasks.task_model import TaskModel
from hub_export.models.texts import Located, called, cut, locate, of_rows, traced
from preprocess import Preprocessor


class TokenClassificationModel(TaskModel):
    """Wraps preprocessor, encoder and classifier as `hub_export.contract` says."""

    def __init__(
        self, subwords: Subwords, preprocessor: Preprocessor, headed: HeadedEncoder, task: Task
    ) -> None:
        """Traces them.

        Args:
            subwords: which tokens are of one word.
            preprocessor: its `seq_length` is the longest row; what is longer is cut.
            headed: gets rows as long as the longest one of the batch. Except in training, it
                computes nothing for padding, and rows of similar length together.
            task: its labels.
        """
        super().__init__(preprocessor, headed)
        self._subwords, self._labels = subwords, Labels(task.labels)

        located_once = traced(functools.partial(locate, preprocessor))

        def compute(training: bool, text: tf.Tensor) -> tuple[Located, tf.Tensor]:
            located = located_once(text)
            logits = of_rows(headed, LOGITS, training, located.rows)
            real = tf.cast(located.rows.mask[:, :, tf.newaxis], tf.float32)
            return located, logits * real

        bodies = {each: traced(functools.partial(compute, each)) for each in (False, True)}
        self._tokens = bodies[False]
        self._found = {
            each: traced(functools.partial(self._entities, each)) for each in AGGREGATIONS
        }

        def call(sentences: tf.Tensor, training: bool = False) -> Tensors:
            located, logits = bodies[training](sentences)
            named = {START: located.start, LIMIT: located.limit, MASK: located.rows.mask}
            return {LOGITS: logits, **named}

        def of_sentences(sentences: tf.Tensor, aggregation: str = SIMPLE) -> Tensors:
            found = self._found[aggregation](sentences)
            return {
                name: tf.RaggedTensor.from_row_splits(each, found[ROW_SPLITS], validate=False)
                for name, each in found.items()
                if name != ROW_SPLITS
            }

        sentences = contract.text_spec("sentences")
        self.__call__ = called(call)
        self.entities = tf.function(of_sentences, autograph=False)
        for aggregation in AGGREGATIONS:
            self.entities.get_concrete_function(sentences, aggregation=aggregation)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures."""
        text = [contract.text_spec(TEXT)]
        named = {**{each: each for each in AGGREGATIONS}, contract.SERVING: SIMPLE}
        served = {name: (self._found[each], text) for name, each in named.items()}
        return signatures.checked({**served, LOGITS: (lambda text: self.__call__(text), text)})

    def _entities(self, aggregation: str, text: tf.Tensor) -> Tensors:
        """Entities of all texts in one list, and where those of each begin."""
        located, logits = self._tokens(text)
        places = tf.where(located.is_text)
        flat = (
            tf.gather_nd(each, places)
            for each in (
                located.rows.word_ids,
                located.start,
                located.limit,
                tf.nn.softmax(logits),
            )
        )
        tokens = Tokens(places[:, 0], *flat)
        label, spans = entities(text, tokens, self._labels, self._subwords, aggregation)
        rows = tf.range(tf.size(text, tf.int64) + 1)
        return {
            LABEL: label,
            SCORE: spans.score,
            START: spans.start,
            LIMIT: spans.limit,
            TEXT: cut(text, spans.row, spans.start, spans.limit),
            ROW_SPLITS: tf.searchsorted(spans.row, rows, out_type=tf.int64),
        }


_USAGE = (
    f"Takes a batch of strings. `entities(sentences, aggregation)` gives the entities of each: "
    f"`{LABEL}`, `{SCORE}`, `{START}` and `{LIMIT}` (bytes of the original string) and `{TEXT}`, "
    f"ragged tensors [batch, (entities)]. Signatures for TF Serving: `{contract.SERVING}` (that of "
    f"`{SIMPLE}`) and one for each aggregation of transformers' pipeline, "
    + ", ".join(f"`{each}`" for each in AGGREGATIONS)
    + f", give the same as flat lists, and `{ROW_SPLITS}`, where the entities of each string "
    f"begin. What is labelled `O` is left out. The call and the signature `{LOGITS}` give "
    f"`{LOGITS}`, float32 [batch, tokens, labels], with `{MASK}`, `{START}` and `{LIMIT}` of the "
    "tokens. Import tensorflow_text before loading it."
)


def product(session: Session, task: Task) -> Product:
    """The token classification of a session.

    Raises:
        SourceError: the head is not supported, or is not in the checkpoint.
    """
    build = functools.partial(TokenClassificationModel, _subwords(session))
    of_rows = functools.partial(_of_rows, session.tokenization.unknown)
    return task_model.product(session, task, build, _USAGE, of_rows)


def _of_rows(unknown: int | None, headed: HeadedEncoder, task: Task) -> OfRows:
    return OfRows(
        headed, headed, by_token=[LOGITS], labels=task.labels, options={"unknown": unknown}
    )


def _subwords(session: Session) -> Subwords:
    source = session.tokenizer
    lengths = None
    if getattr(source.model, "continuing_subword_prefix", None):
        size = max(source.get_vocab().values()) + 1
        lengths = [len(source.id_to_token(id) or "") for id in range(size)]
    return Subwords(lengths, session.tokenization.unknown)
