"""The text embedding as the root of a SavedModel."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from encoders import HeadedEncoder, Pooling, RealTokens, TextEmbedding, by_length
from hub_export import contract
from hub_export.contract import Tensors
from hub_export.errors import SourceError
from hub_export.models import signatures
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.models.texts import called, computing, packing, rows_of_texts, traced
from hub_export.settings import TEXT_EMBEDDING
from preprocess import Preprocessor


class TextEmbeddingModel(tf.train.Checkpoint):
    """Wraps preprocessor and embedder so that they keep the contract of `hub_export.contract`.

    What takes work is traced once, as a concrete function (saving traces all others anew); what
    consumers call are thin functions around these.
    """

    def __init__(
        self,
        preprocessor: Preprocessor,
        embedder: HeadedEncoder,
        prompt: str = "",
        pairs: bool = False,
    ) -> None:
        """Traces them.

        Args:
            preprocessor: its `seq_length` is the longest row; what is longer is cut.
            embedder: gets rows as long as the longest one of the batch. Except in training, it
                computes nothing for padding, and rows of similar length together.
            prompt: put before every text; of a pair, before the first one.
            pairs: whether there is a signature for pairs.
        """
        super().__init__(embedder=embedder)
        self.variables = list(embedder.variables)
        self.trainable_variables = list(embedder.trainable_variables)
        self.regularization_losses: list[tf.Tensor] = []
        self._tokenizer = preprocessor.tokenizer  # whose functions use tables
        encode = functools.partial(embedder.encoder, arrange=RealTokens)

        pack = packing(preprocessor, prompt)
        vectors = computing(pack, embedder, contract.DEFAULT)

        def tokens(text: tf.Tensor) -> list[tf.Tensor]:
            rows = pack(text)
            return [*by_length(lambda *some: [encode(*some).sequence], *rows), rows.mask]

        bodies = {each: traced(functools.partial(vectors, each)) for each in (False, True)}
        self._vectors, self._tokens = bodies[False], traced(tokens)
        self._pair: Any = traced(functools.partial(vectors, False), texts=2) if pairs else None

        def call(sentences: tf.Tensor, training: bool = False) -> tf.Tensor:
            return bodies[training](sentences)

        self.__call__ = called(call)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures."""

        def serve(text: tf.Tensor) -> Tensors:
            return {contract.DEFAULT: self._vectors(text)}

        def tokens(text: tf.Tensor) -> Tensors:
            sequence, mask = self._tokens(text)
            return {contract.SEQUENCE: sequence, contract.MASK: mask}

        def pair(text: tf.Tensor, text_pair: tf.Tensor) -> Tensors:
            return {contract.DEFAULT: self._pair(text, text_pair)}

        text, text_pair = map(contract.text_spec, (contract.TEXT, contract.TEXT_PAIR))
        served: dict[str, tuple[Callable[..., Tensors], list[tf.TensorSpec]]] = {
            contract.SERVING: (serve, [text]),
            contract.TOKENS: (tokens, [text]),
        }
        if self._pair is not None:
            served[contract.PAIR] = (pair, [text, text_pair])
        return signatures.checked(served)


_USAGE = (
    "Takes a batch of strings and gives a vector of each, float32 [batch, width]. Signatures for "
    f"TF Serving: `{contract.SERVING}` (`{contract.TEXT}` -> `{contract.DEFAULT}`) and "
    f"`{contract.TOKENS}` (`{contract.TEXT}` -> `{contract.SEQUENCE}`, `{contract.MASK}`). Import "
    "tensorflow_text before loading it."
)


def product(session: Session) -> Product | None:
    """The text embedding of a session; nothing where the checkpoint's has more than one vector.

    Raises:
        SourceError: something is not supported, or the vocabulary does not fit the encoder.
        ExportError: the user asks for something that the checkpoint does not have.
    """
    if session.checkpoint.is_late() or session.checkpoint.pipeline().splade is not None:
        return None
    _ = session.tokenizer
    try:
        plan = session.plan
    except SourceError as error:
        raise SourceError(
            f"{error}; to leave the text embedding out, say parts=encoder,preprocessor"
        ) from error
    return Product(
        TEXT_EMBEDDING,
        f"{session.settings.name}_text_embedding",
        _USAGE,
        lambda: _built(session),
        lambda: {contract.EMBEDDING: plan.words()},
        plan.max_length,
        lambda: _of_rows(session),
    )


def _built(session: Session) -> TextEmbeddingModel:
    plan = session.plan
    preprocessor = rows_of_texts(session)
    return TextEmbeddingModel(preprocessor, _embedder(session), plan.prompt, plan.pairs)


def _of_rows(session: Session) -> OfRows:
    embedder = _embedder(session)
    return OfRows(embedder, embedder, pairs=session.plan.pairs, prompt=session.plan.prompt)


def _embedder(session: Session) -> HeadedEncoder:
    """The encoder with pooling and modules on it."""
    plan, tokenizer = session.plan, session.tokenizer
    encoder, _ = session.built
    if plan.pooling is None:
        return HeadedEncoder(encoder, TextEmbedding(modules=session.modules))
    with plan.applied(tokenizer):
        skipped = plan.unpooled(tokenizer)
    head = TextEmbedding(Pooling(plan.pooling.modes, skipped), session.modules)
    return HeadedEncoder(encoder.without_pooler(), head)
