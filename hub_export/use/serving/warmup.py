"""Warm-up requests for TF Serving: `assets.extra/tf_serving_warmup_requests` of a SavedModel.

TF Serving replays them before a version takes requests, and does not load a version whose record
fails (https://www.tensorflow.org/tfx/serving/saved_model_warmup). So each is run here first.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow as tf
import tensorflow_text  # noqa: F401 (loading a preprocessor needs its operations)
from tensorflow_serving.apis import prediction_log_pb2

from hub_export.contract import IDS, ROW_SPLITS, TYPE_IDS, Tensors
from hub_export.errors import ExportError, SourceError, TargetError

FILE = Path("assets.extra", "tf_serving_warmup_requests")
_WORD, _CHOICES = "a ", 4


def write(path: Path, name: str, lengths: Sequence[int]) -> list[str]:
    """Writes one request for each signature and length.

    Signatures whose outputs have other rows than their inputs (`tokenize`) get none: where a server
    batches, it can answer no request for them.

    Args:
        path: the folder of a version.
        name: what the server calls the model.
        lengths: numbers of tokens.

    Returns:
        The signatures that have requests.

    Raises:
        SourceError: the model cannot be loaded.
        ExportError: the model cannot answer a request.
        TargetError: the file cannot be written.
    """
    try:
        signatures = tf.saved_model.load(str(path)).signatures
    except (OSError, IndexError, tf.errors.OpError) as error:
        raise SourceError(f"{path}: cannot be loaded as a SavedModel ({error})") from error
    try:
        logs = {
            signature: [_log(function, name, signature, length) for length in lengths]
            for signature, function in signatures.items()
        }
    except ExportError as error:
        raise ExportError(f"{path}: {error}") from error
    written = path / FILE
    part = written.with_suffix(".part")
    try:
        part.parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(part)) as writer:
            for log in filter(None, (log for each in logs.values() for log in each)):
                writer.write(log.SerializeToString())
        part.replace(written)
    except (OSError, tf.errors.OpError) as error:
        raise TargetError(f"{written}: cannot be written ({error})") from error
    return [signature for signature, each in logs.items() if all(each)]


def _log(
    function: tf.types.experimental.ConcreteFunction, name: str, signature: str, length: int
) -> prediction_log_pb2.PredictionLog | None:
    inputs = request(function.structured_input_signature[1], length)
    try:
        outputs = function(**inputs)
    except tf.errors.OpError as error:
        raise ExportError(
            f"{signature} cannot answer a request of {length} tokens; choose other --lengths: "
            f"{error.message}"
        ) from error
    if {len(each) for each in outputs.values()} != {len(each) for each in inputs.values()}:
        return None
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = name
    log.predict_log.request.model_spec.signature_name = signature
    for key, value in inputs.items():
        log.predict_log.request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return log


def request(specs: Mapping[str, tf.TensorSpec], length: int) -> Tensors:
    """Inputs of one row for a signature: texts of so many words, or so many ids or vectors.

    Raises:
        ExportError: an input is neither.
    """
    return {name: value for each in specs.items() for name, value in _input(*each, length)}


def _input(name: str, spec: tf.TensorSpec, length: int) -> Iterator[tuple[str, tf.Tensor]]:
    if spec.dtype == tf.string and spec.shape.rank in (1, 2):
        shape = [1, *[_CHOICES] * (spec.shape.rank - 1)]
        yield name, tf.fill(shape, (_WORD * length).strip())
    elif name == ROW_SPLITS:
        yield name, tf.constant([0, length], spec.dtype)
    elif name == IDS:
        yield name, tf.ones([length], spec.dtype)
    elif spec.dtype.is_integer and spec.shape.rank == 2:
        yield name, tf.fill([1, length], tf.cast(name != TYPE_IDS, spec.dtype))
    elif spec.dtype.is_floating and spec.shape.rank == 3:
        yield name, tf.zeros([1, length, spec.shape[2]], spec.dtype)
    else:
        raise ExportError(f"no request can be made for the input {name}, {spec}")
