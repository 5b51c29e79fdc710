"""A Keras 3 layer around a SavedModel, as `hub.KerasLayer` is one for Keras 2.

tokenize = HubLayer("exported/bert_preprocess/1", "tokenize")
pack = HubLayer("exported/bert_preprocess/1", "bert_pack_inputs", {"seq_length": 64})
encoder = HubLayer("exported/bert_L-12_H-768_A-12/1", trainable=True)
"""

import inspect
import operator
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
import tensorflow_text  # noqa: F401 (loading a preprocessor needs its operations)


@keras.saving.register_keras_serializable("hub_export")
class HubLayer(keras.layers.Layer):
    """Calls a SavedModel, or an object in it.

    A saved Keras model has the weights and names the folder, which is loaded with it again.
    """

    def __init__(
        self,
        handle: str,
        name_in_model: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        trainable: bool = False,
        **options: Any,
    ) -> None:
        """Loads the SavedModel.

        Args:
            handle: its folder.
            name_in_model: the object to call, such as `tokenize`; by default the model itself.
            arguments: passed on at every call, such as `{"seq_length": 64}`.
            trainable: whether its variables learn. Only then is `training` passed on.
            **options: of `keras.layers.Layer`.

        Raises:
            OSError: there is no SavedModel.
            AttributeError: it has no such object.
        """
        super().__init__(trainable=trainable, **options)
        self.handle = str(handle)
        self.name_in_model = name_in_model
        self.arguments = dict(arguments or {})
        self.supports_jit = False  # strings
        self._loaded = tf.saved_model.load(self.handle)
        function: Any = self._loaded
        if name_in_model:
            function = operator.attrgetter(name_in_model)(function)
        self._function = function
        self._takes_training = "training" in inspect.signature(function.__call__).parameters
        learning = {id(each) for each in getattr(function, "trainable_variables", ())}
        for variable in getattr(function, "variables", ()):
            self._track(variable, id(variable) in learning)
        self.built = True

    def _track(self, variable: tf.Variable, trainable: bool) -> None:
        # Optimizers refuse names with a colon or a slash.
        name = variable.name.split(":")[0].replace("/", "_")
        # It holds the SavedModel's own variable, not a copy.
        tracked = keras.Variable(variable, trainable=trainable, dtype=variable.dtype, name=name)
        self._track_variable(tracked)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Calls it, with dropout if `training`."""
        options = {"training": bool(self.trainable and training)} if self._takes_training else {}
        return self._function(inputs, **self.arguments, **options)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """The outputs' shapes; Keras by itself takes ragged tensors for dense ones."""
        specs = keras.tree.map_structure(_spec, inputs)
        traced = tf.function(self.call).get_concrete_function(specs, training)
        return tf.nest.map_structure(_symbol, traced.structured_outputs)

    def get_config(self) -> dict[str, Any]:
        """The arguments to make the layer from."""
        own = {"handle": self.handle, "name_in_model": self.name_in_model}
        return {**super().get_config(), **own, "arguments": self.arguments}


def _spec(symbol: keras.KerasTensor) -> tf.TypeSpec:
    if symbol.ragged:
        return tf.RaggedTensorSpec(symbol.shape, symbol.dtype, symbol.ragged_rank)
    return tf.TensorSpec(symbol.shape, symbol.dtype)


def _symbol(tensor: tf.Tensor | tf.RaggedTensor) -> keras.KerasTensor:
    shape, dtype = tuple(tensor.shape), tensor.dtype.name
    if isinstance(tensor, tf.RaggedTensor):
        return keras.KerasTensor(shape, dtype, ragged=True, ragged_rank=tensor.ragged_rank)
    return keras.KerasTensor(shape, dtype)
