"""Runs the signatures of a SavedModel in whatever TensorFlow this Python has.

    python answers.py MODEL REQUESTS ANSWERS

REQUESTS/<signature>/<input> are serialized TensorProtos, and so are ANSWERS/<signature>/<output>.
"""

import pathlib
import sys

import tensorflow as tf
import tensorflow_text  # noqa: F401 (the preprocessor's operations)


def main(model: str, requests: str, answers: str) -> None:
    """Reads every request, and writes its answer."""
    loaded = tf.saved_model.load(model)
    for request in pathlib.Path(requests).iterdir():
        inputs = {file.name: read(file) for file in request.iterdir()}
        folder = pathlib.Path(answers, request.name)
        folder.mkdir(parents=True)
        for name, value in loaded.signatures[request.name](**inputs).items():
            (folder / name).write_bytes(tf.make_tensor_proto(value).SerializeToString())


def read(file: pathlib.Path) -> tf.Tensor:
    """A tensor from its serialized TensorProto."""
    proto = tf.make_tensor_proto(0)
    proto.ParseFromString(file.read_bytes())
    return tf.constant(tf.make_ndarray(proto))


if __name__ == "__main__":
    main(*sys.argv[1:])
