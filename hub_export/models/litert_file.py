"""What a LiteRT file says beside its graphs, in its `metadata`.

The schema is that of TensorFlow Lite (tensorflow/lite/schema/schema.fbs).
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

_BUILT_IN = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}


def operations(file: Path) -> Counter[str]:
    """How often the first graph of a file has each operation; all signatures compute the same."""
    model = schema.Model.GetRootAs(file.read_bytes())
    graph = model.Subgraphs(0)
    places = (graph.Operators(at).OpcodeIndex() for at in range(graph.OperatorsLength()))
    codes = (model.OperatorCodes(place) for place in places)
    return Counter(
        _BUILT_IN[max(each.BuiltinCode(), each.DeprecatedBuiltinCode())] for each in codes
    )


class Tensor(NamedTuple):
    """An input or output of a signature.

    Attributes:
        name: what the signature calls it.
        in_graph: what the graph does.
        dtype: of its values.
        shape: of them.
    """

    name: str
    in_graph: str
    dtype: tf.DType
    shape: Sequence[int]


class LiteRtFile:
    """A file of one signature, to be added to."""

    def __init__(self, content: bytes) -> None:
        """Reads it whole."""
        self._model: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
        [self._graph], [self._signature] = self._model.subgraphs, self._model.signatureDefs

    @property
    def inputs(self) -> list[Tensor]:
        """The inputs, in the order of the graph."""
        return self._tensors(self._signature.inputs, self._graph.inputs)

    @property
    def outputs(self) -> list[Tensor]:
        """The outputs, in the order of the graph."""
        return self._tensors(self._signature.outputs, self._graph.outputs)

    def put_first(self, output: str) -> None:
        """Makes an output the graph's first, if there is one of this name."""
        found = [*zip(self.outputs, self._graph.outputs, strict=True)]
        found.sort(key=lambda each: each[0].name != output)
        self._graph.outputs = [place for _, place in found]

    def add(self, name: str, content: bytes) -> None:
        """Adds an entry of the metadata."""
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(content, np.uint8)
        entry.name, entry.buffer = name, len(self._model.buffers)
        self._model.buffers.append(buffer)
        self._model.metadata = [*(self._model.metadata or ()), entry]

    def content(self) -> bytes:
        """The file."""
        found: bytes = flatbuffer_utils.convert_object_to_bytearray(self._model)
        return found

    def _tensors(self, named: Sequence[Any], places: Sequence[int]) -> list[Tensor]:
        names = {each.tensorIndex: each.name.decode() for each in named}
        return [self._tensor(names[place], self._graph.tensors[place]) for place in places]

    def _tensor(self, name: str, found: Any) -> Tensor:
        dtype = tf.dtypes.as_dtype(flatbuffer_utils.type_to_name(found.type).lower())
        return Tensor(name, found.name.decode(), dtype, [*map(int, found.shape)])
