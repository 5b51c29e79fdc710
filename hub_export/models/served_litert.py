"""`model.tflite` beside an encoder's `saved_model.pb`: what TF Serving reads instead, if told to.

`tensorflow_model_server --prefer_tflite_model` is experimental. It computes built-in operations
alone, on one thread for each of several interpreters, and takes the signatures from an entry of the
file's metadata (tensorflow_serving/servables/tensorflow/tflite_session.cc). It resizes one input
after the other and prepares the graph each time, which three inputs of another shape than before do
not survive. So the signature has a fixed shape, and other requests are refused.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import tensorflow as tf
from flatbuffers import flexbuffers
from tensorflow.core.protobuf import meta_graph_pb2

from hub_export.contract import SERVING
from hub_export.errors import TargetError
from hub_export.litert import description, interpreters
from hub_export.models.litert import LiteRtCopy
from hub_export.models.litert_file import LiteRtFile, Tensor
from hub_export.models.product import Product
from hub_export.models.session import Session
from hub_export.settings import ENCODER, NONE

SUFFIX = "_tflite"
_ENTRY, _METHOD = "signature_defs_metadata", "tensorflow/serving/predict"


@dataclasses.dataclass(frozen=True)
class ServedCopy(LiteRtCopy):
    """The encoder as TF Serving reads it, to be: one row of the preprocessor's length."""

    kind: ClassVar[str] = "model.tflite"
    suffix: ClassVar[str] = SUFFIX

    @property
    def longest(self) -> int:
        """The length of the row."""
        return self.session.tokenization.seq_length

    def save(self, path: Path) -> None:
        """Writes the file into the folder of the SavedModel.

        Raises:
            ExportError: an operation has no counterpart, or (TargetError) there is no room.
        """
        assert self.of.rows is not None
        try:
            # The signature of the SavedModel that it stands for.
            signatures = {SERVING: (1, self.longest)}
            for _, content in self._made(self.of.rows(), signatures, self.precisions, path):
                (path / description.SERVED).write_bytes(_signed(content))
        except OSError as error:
            raise TargetError(f"{path.parent}: the copy cannot be written: {error}") from error

    @property
    def precisions(self) -> Sequence[str]:
        """The one that was asked for."""
        return [self.session.settings.serving_tflite]


def _signed(content: bytes) -> bytes:
    """The file with its signature as TF Serving looks for it."""
    file = LiteRtFile(content)
    signature = meta_graph_pb2.SignatureDef(method_name=_METHOD)
    for infos, tensors in (
        (signature.inputs, file.inputs),
        (signature.outputs, file.outputs),
    ):
        for each in tensors:
            infos[each.name].CopyFrom(_info(each))
    file.add(_ENTRY, _mapping(SERVING, signature.SerializeToString(deterministic=True)))
    return file.content()


def _info(tensor: Tensor) -> meta_graph_pb2.TensorInfo:
    found = meta_graph_pb2.TensorInfo(name=tensor.in_graph, dtype=tensor.dtype.as_datatype_enum)
    found.tensor_shape.CopyFrom(tf.TensorShape(tensor.shape).as_proto())
    return found


def _mapping(key: str, value: bytes) -> bytes:
    """A FlexBuffer of a string by its name.

    The library's own `String` takes no bytes, though a string there may be any.
    """
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key(key)
        builder._WriteBlob(value, append_zero=True, type_=flexbuffers.Type.STRING)
    return bytes(builder.Finish())


def copies(session: Session, products: Sequence[Product]) -> Iterator[ServedCopy]:
    """That of an export's encoder, if it is asked for.

    Raises:
        ExportError: LiteRT is not installed.
    """
    if session.settings.serving_tflite != NONE:
        interpreters.interpreter()
        yield from (ServedCopy(session, each) for each in products if each.name == ENCODER)
