"""TensorFlow without Keras: a training loop, compiled by XLA, its head computing in bfloat16.

    python examples/plain_tensorflow.py --encoder=exported/NAME_L-6_H-384_A-12/1 \\
        --preprocessor=exported/NAME_preprocess/1 --jit_compile

What an encoder computes in is part of its SavedModel (float32, if it is to learn); what stands
around it may compute in bfloat16.
"""

import argparse
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text  # noqa: F401 (the preprocessor's operations)

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("--encoder", required=True, help="SavedModel of the encoder")
PARSER.add_argument("--preprocessor", required=True, help="SavedModel of the preprocessor")
PARSER.add_argument("--jit_compile", action="store_true", help="compile the step by XLA")
PARSER.add_argument("--steps", type=int, default=10, help="(%(default)s)")
PARSER.add_argument("--learning_rate", type=float, default=0.01, help="of SGD (%(default)s)")

TEXTS = ["what a fine day", "this is awful", "", "fine, fine"]
LABELS = [1.0, 0.0, 0.0, 1.0]


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Trains encoder and head; returns the loss of each step."""
    args = PARSER.parse_args(arguments)
    preprocessor = tf.saved_model.load(args.preprocessor)
    encoder = tf.saved_model.load(args.encoder)
    # Strings stay outside of what XLA compiles: they belong to the input pipeline.
    data = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).repeat().batch(4)
    data = data.map(lambda texts, labels: (preprocessor(texts), labels)).prefetch(2)
    width = encoder.signatures["serving_default"].structured_outputs["pooled_output"].shape[1]
    head = tf.Variable(tf.random.stateless_normal([width, 1], [0, 1], stddev=0.02))
    variables = [*encoder.trainable_variables, head]

    @tf.function(jit_compile=args.jit_compile)
    def step(inputs: dict[str, tf.Tensor], labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            pooled = encoder(inputs, training=True)["pooled_output"]
            logits = tf.cast(pooled, tf.bfloat16) @ tf.cast(head, tf.bfloat16)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(
                labels, tf.cast(logits[:, 0], tf.float32)
            )
            loss = tf.reduce_mean(losses)
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(args.learning_rate * tf.convert_to_tensor(gradient))
        return loss

    return [float(step(*batch)) for batch in data.take(args.steps)]


if __name__ == "__main__":
    print("losses:", *main())
