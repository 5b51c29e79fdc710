"""The encoder as the root of a SavedModel."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from encoders import Encoded, Encoder, FillMask, RealTokens, by_length
from hub_export import contract
from hub_export.contract import DEFAULT, LAYERS, MASK, POOLED, SEQUENCE, TYPE_IDS, WORD_IDS, Tensors
from hub_export.models import signatures
from hub_export.models.masked_lm import MaskedLanguageModel
from hub_export.models.product import Product
from hub_export.models.session import Session
from hub_export.settings import ENCODER


class EncoderModel(tf.train.Checkpoint):
    """Wraps an encoder so that it keeps the contract of `hub_export.contract`.

    The encoder is traced once for training, once for inference, and once for the signatures, which
    compute nothing for padding. Whatever a consumer calls is a thin function around one of these,
    which keeps the SavedModel small and quick to load.
    """

    def __init__(self, encoder: Encoder, masked: FillMask | None = None) -> None:
        """Traces it.

        Args:
            encoder: the encoder.
            masked: a head for masked tokens, which becomes `mlm`.
        """
        super().__init__(encoder=encoder)
        self.variables = list(encoder.variables)
        self.trainable_variables = list(encoder.trainable_variables)
        self.regularization_losses: list[tf.Tensor] = []
        bodies = {training: _trace(encoder, training=training) for training in (False, True)}

        def encode(training: bool, inputs: Tensors) -> Encoded:
            word_ids, mask = inputs[WORD_IDS], inputs[MASK]
            type_ids = inputs.get(TYPE_IDS, tf.zeros_like(word_ids))
            return Encoded(*bodies[training](word_ids, mask, type_ids))

        def call(inputs: Tensors, training: bool = False) -> Tensors:
            return contract.outputs(*encode(training, inputs))

        self.__call__ = tf.function(call, autograph=False)
        self.serve = tf.function(lambda inputs: call(inputs), autograph=False)
        self.serve_training = tf.function(lambda inputs: call(inputs, True), autograph=False)
        for specs in (contract.input_specs(), contract.input_specs(types=False)):
            for training in bodies:
                self.__call__.get_concrete_function(specs, training=training)
            self.serve.get_concrete_function(specs)
            self.serve_training.get_concrete_function(specs)
        if masked is not None:
            roads = {training: functools.partial(encode, training) for training in bodies}
            self.mlm = MaskedLanguageModel(encoder, masked, roads)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures, with the flat names that TF Serving needs."""
        body = _trace(self.encoder, arrange=RealTokens)

        def default(*inputs: tf.Tensor) -> Tensors:
            def compute(*rows: tf.Tensor) -> list[tf.Tensor]:
                found = Encoded(*body(*rows))
                return [found.pooled, found.sequence]

            pooled, sequence = by_length(compute, *_alike(*inputs))
            return {POOLED: pooled, SEQUENCE: sequence, DEFAULT: pooled}

        def layers(*inputs: tf.Tensor) -> Tensors:
            def compute(*rows: tf.Tensor) -> list[tf.Tensor]:
                return Encoded(*body(*rows)).layers

            return contract.layer_outputs(by_length(compute, *_alike(*inputs)))

        specs = [*contract.input_specs().values()]
        return signatures.checked({contract.SERVING: (default, specs), LAYERS: (layers, specs)})


def _trace(encoder: Encoder, **options: Any) -> tf.types.experimental.ConcreteFunction:
    def body(word_ids: tf.Tensor, mask: tf.Tensor, type_ids: tf.Tensor) -> list[tf.Tensor]:
        return list(encoder(word_ids, mask, type_ids, **options))

    # Saving traces every function anew, but not what is concrete.
    specs = contract.input_specs().values()
    return tf.function(body, autograph=False).get_concrete_function(*specs)


def _alike(word_ids: tf.Tensor, *others: tf.Tensor) -> list[tf.Tensor]:
    """The inputs of a signature, unless their shapes differ: rows without a mask would get lost."""
    shape = tf.shape(word_ids)
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(tf.equal(tf.shape(each), shape)),
            [f"{name}: the shape", tf.shape(each), f"is not that of {WORD_IDS}", shape],
        )
        for name, each in zip((MASK, TYPE_IDS), others, strict=True)
    ]
    with tf.control_dependencies(checks):
        return [tf.identity(each) for each in (word_ids, *others)]


_USAGE = (
    f"Takes a dict of int32 [batch, length] `{WORD_IDS}`, `{MASK}` and, if wanted, `{TYPE_IDS}`. "
    f"Gives `{POOLED}` [batch, width], `{SEQUENCE}` [batch, length, width] and `{LAYERS}`, a list "
    "of the outputs of each block."
)


def product(session: Session) -> Product:
    """The encoder of a session."""

    def notes() -> dict[str, Any]:
        encoder, filled = session.built
        unused = {**filled.unused, **session.checkpoint.unused}
        return {POOLED: _pooled(encoder), "unused_tensors": unused}

    size = session.size

    def build() -> EncoderModel:
        head = session.head[0] if session.has_mlm else None
        return EncoderModel(session.built[0], head if isinstance(head, FillMask) else None)

    return Product(
        ENCODER,
        f"{session.settings.name}_L-{size.layers}_H-{size.width}_A-{size.heads}",
        _USAGE,
        build,
        notes,
    )


def _pooled(encoder: Encoder) -> str:
    """What the encoder's pooled output is, in words."""
    if encoder.pooler is None:
        return "the first token's vector"
    if not np.any(encoder.pooler.dense.bias):
        # `transformers` starts from zeros; no training leaves every one of them as it was.
        return "the output of the pooler, whose bias is zero: it has probably not been trained"
    return "the pooler's output"
