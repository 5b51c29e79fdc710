"""The text embedding as the root of a SavedModel."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from encoders import Embedder, RealTokens, by_length
from hub_export import contract, signatures
from hub_export.contract import Tensors
from preprocess import Packed, Preprocessor, flat_segment


class TextEmbeddingModel(tf.train.Checkpoint):
    """Wraps preprocessor and embedder so that they keep the contract of `hub_export.contract`.

    What takes work is traced once, as a concrete function (saving traces all others anew); what
    consumers call are thin functions around these.
    """

    def __init__(
        self, preprocessor: Preprocessor, embedder: Embedder, prompt: str = "", pairs: bool = False
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
        trace = functools.partial(_trace, preprocessor, embedder, prompt)
        bodies = {training: trace(training) for training in (False, True)}
        self._body = bodies[False]
        self._pair: Any = trace(False, texts=2) if pairs else None

        def call(sentences: tf.Tensor, training: bool = False) -> tf.Tensor:
            return bodies[training](sentences)[contract.DEFAULT]

        self.__call__ = tf.function(call, autograph=False)
        for training in bodies:
            self.__call__.get_concrete_function(contract.text_spec("sentences"), training=training)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures."""

        def serve(text: tf.Tensor) -> Tensors:
            return _some(self._body(text), contract.DEFAULT)

        def tokens(text: tf.Tensor) -> Tensors:
            return _some(self._body(text), contract.SEQUENCE, contract.MASK)

        def pair(text: tf.Tensor, text_pair: tf.Tensor) -> Tensors:
            return _some(self._pair(text, text_pair), contract.DEFAULT)

        text, text_pair = map(contract.text_spec, (contract.TEXT, contract.TEXT_PAIR))
        served: dict[str, tuple[Callable[..., Tensors], list[tf.TensorSpec]]] = {
            contract.SERVING: (serve, [text]),
            contract.TOKENS: (tokens, [text]),
        }
        if self._pair is not None:
            served[contract.PAIR] = (pair, [text, text_pair])
        return signatures.checked(served)


def _some(outputs: Tensors, *names: str) -> Tensors:
    return {name: outputs[name] for name in names}


def _trace(
    preprocessor: Preprocessor, embedder: Embedder, prompt: str, training: bool, texts: int = 1
) -> tf.types.experimental.ConcreteFunction:
    def embed(text: tf.Tensor, *others: tf.Tensor) -> Tensors:
        """string [B] each -> the outputs for rows that hold them all."""
        whole = (tf.strings.join([prompt, text]), *others)
        packed = _pack(preprocessor, [preprocessor.tokenizer.tokenize(each) for each in whole])
        if training:
            vectors, sequence = embedder(*packed, training=True)
        else:
            vectors, sequence = by_length(functools.partial(embedder, arrange=RealTokens), *packed)
        return {
            contract.DEFAULT: vectors,
            contract.SEQUENCE: sequence,
            contract.MASK: packed.mask,
        }

    specs = [tf.TensorSpec([None], tf.string)] * texts
    return tf.function(embed, autograph=False).get_concrete_function(*specs)


def _pack(preprocessor: Preprocessor, rows: Sequence[tf.RaggedTensor]) -> Packed:
    """Packs segments into rows as long as the longest one needs, up to the preprocessor's."""
    segments = [flat_segment(each) for each in rows]
    lengths = sum(each.row_splits[1:] - each.row_splits[:-1] for each in segments)
    longest = tf.reduce_max(tf.concat([[0], tf.cast(lengths, tf.int32)], axis=0))
    needed = longest + preprocessor.packer.special_tokens(len(segments))
    return preprocessor.packer(segments, tf.clip_by_value(needed, 1, preprocessor.seq_length))
