"""The encoder as the root of a SavedModel."""

import tensorflow as tf

from encoders import Encoded, Encoder
from hub_export import contract
from hub_export.contract import MASK, TYPE_IDS, WORD_IDS, Tensors


class EncoderModel(tf.train.Checkpoint):
    """Wraps an encoder so that it keeps the contract of `hub_export.contract`.

    The encoder is traced once for training and once for inference; whatever a consumer calls is a
    thin function around one of the two, which keeps the SavedModel small and quick to load.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder=encoder)
        self.variables = list(encoder.variables)
        self.trainable_variables = list(encoder.trainable_variables)
        self.regularization_losses: list[tf.Tensor] = []
        bodies = {training: _trace(encoder, training) for training in (False, True)}

        def call(inputs: Tensors, training: bool = False) -> Tensors:
            word_ids, mask = inputs[WORD_IDS], inputs[MASK]
            type_ids = inputs.get(TYPE_IDS, tf.zeros_like(word_ids))
            return contract.outputs(Encoded(*bodies[training](word_ids, mask, type_ids)))

        self.__call__ = tf.function(call, autograph=False)
        self.serve = tf.function(lambda inputs: call(inputs), autograph=False)
        self.serve_training = tf.function(lambda inputs: call(inputs, True), autograph=False)
        for specs in (contract.input_specs(), contract.input_specs(types=False)):
            for training in bodies:
                self.__call__.get_concrete_function(specs, training=training)
            self.serve.get_concrete_function(specs)
            self.serve_training.get_concrete_function(specs)

    def serving(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The signatures, with the flat names that TF Serving needs."""

        def default(**inputs: tf.Tensor) -> Tensors:
            outputs = self.__call__(inputs)
            return {name: each for name, each in outputs.items() if name != contract.LAYERS}

        def layers(**inputs: tf.Tensor) -> Tensors:
            return contract.layer_outputs(self.__call__(inputs)[contract.LAYERS])

        return {
            name: tf.function(each, autograph=False).get_concrete_function(**contract.input_specs())
            for name, each in ((contract.SERVING, default), (contract.LAYERS, layers))
        }


def _trace(encoder: Encoder, training: bool) -> tf.types.experimental.ConcreteFunction:
    def body(word_ids: tf.Tensor, mask: tf.Tensor, type_ids: tf.Tensor) -> list[tf.Tensor]:
        return list(encoder(word_ids, mask, type_ids, training))

    # Saving traces every function anew, but not what is concrete.
    specs = contract.input_specs().values()
    return tf.function(body, autograph=False).get_concrete_function(*specs)
