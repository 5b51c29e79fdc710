"""Converts a SavedModel of strings to TensorFlow Lite, and compares its answers.

    python examples/tflite.py --model=exported/NAME_text_embedding/1 --output=model.tflite

The program that runs it links TensorFlow's Flex delegate (select TF ops) and the operations of
tensorflow_text. The interpreter of TensorFlow 2.18's wheel has the delegate; that of 2.21 has not,
so there the file is written but cannot be tried.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import interpreter
from tensorflow_text.core.pybinds import tflite_registrar

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("--model", required=True, help="SavedModel that takes strings")
PARSER.add_argument("--output", default="model.tflite", type=Path, help="(%(default)s)")

TEXTS = tf.constant(["a bad cab", "", "it rains today"])


def convert(model: str) -> bytes:
    """The signature `serving_default` as a TensorFlow Lite model."""
    converter = tf.lite.TFLiteConverter.from_saved_model(model, ["serving_default"])
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    converter.target_spec.experimental_select_user_tf_ops = ["Erfc"]  # of GELU
    converter.allow_custom_ops = True  # those of tensorflow_text
    return converter.convert()


def difference(lite: bytes, model: str) -> float:
    """How far the answers are from those of the SavedModel.

    Raises:
        RuntimeError: the interpreter has no Flex delegate.
    """
    runner = interpreter.InterpreterWithCustomOps(
        model_content=lite, custom_op_registerers=tflite_registrar.SELECT_TFTEXT_OPS
    ).get_signature_runner()
    found = runner(text=TEXTS.numpy())
    wanted = tf.saved_model.load(model).signatures["serving_default"](text=TEXTS)
    return max(float(np.abs(found[name] - each).max()) for name, each in wanted.items())


def main(arguments: Sequence[str] | None = None) -> float | None:
    """Converts, tries; returns the difference, None where the delegate is missing."""
    args = PARSER.parse_args(arguments)
    lite = convert(args.model)
    args.output.write_bytes(lite)
    try:
        apart = difference(lite, args.model)
    except RuntimeError as error:
        if "Flex delegate" not in str(error):
            raise
        print(f"{args.output}: not tried, this TensorFlow's interpreter has no Flex delegate")
        return None
    print(f"{args.output}: differs by {apart:.1e}")
    return apart


if __name__ == "__main__":
    main()
