"""`encoder.mlm`: an encoder with the head for masked tokens on it, as Model Garden's exports."""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from encoders import Encoder, FillMask, HeadedEncoder
from hub_export.contract import MLM_LOGITS, POSITIONS, SEQUENCE, Tensors


class MaskedLanguageModel(tf.train.Checkpoint):
    """The encoder's outputs, and logits of the words at some positions."""

    def __init__(
        self,
        encoder: Encoder,
        head: FillMask,
        encode: Callable[[Tensors, bool], Tensors],
        variants: Sequence[Mapping[str, tf.TensorSpec]],
    ) -> None:
        """Traces it.

        Args:
            encoder: the encoder, for its variables.
            head: the head.
            encode: computes the encoder's outputs of inputs, in training or not.
            variants: the inputs that it may have.
        """
        headed = HeadedEncoder(encoder, head)
        super().__init__(headed=headed)
        self.variables = list(headed.variables)
        self.trainable_variables = list(headed.trainable_variables)
        self.regularization_losses: list[tf.Tensor] = []

        def call(inputs: Tensors, training: bool = False) -> Tensors:
            outputs = encode(inputs, training)
            chosen = tf.gather(outputs[SEQUENCE], inputs[POSITIONS], batch_dims=1)
            return {**outputs, MLM_LOGITS: head.logits(chosen)}

        self.__call__ = tf.function(call, autograph=False)
        positions = {POSITIONS: tf.TensorSpec([None, None], tf.int32, POSITIONS)}
        for specs in variants:
            for training in (False, True):
                self.__call__.get_concrete_function({**specs, **positions}, training=training)
