"""Keras 2 (`tf_keras`): a classifier of texts around both models; saved, and loaded again.

    python examples/keras2.py --encoder=exported/NAME_L-6_H-384_A-12/1 \\
        --preprocessor=exported/NAME_preprocess/1 --output=classifier
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401 (the preprocessor's operations)
import tf_keras

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("--encoder", required=True, help="SavedModel of the encoder")
PARSER.add_argument("--preprocessor", required=True, help="SavedModel of the preprocessor")
PARSER.add_argument("--output", default="classifier", help="where to save (%(default)s)")

TEXTS = tf.constant(["what a fine day", "this is awful", "", "fine, fine"])
LABELS = tf.constant([1.0, 0.0, 0.0, 1.0])


def main(arguments: Sequence[str] | None = None) -> float:
    """Trains, saves, reloads; returns how far the two models' answers are apart."""
    args = PARSER.parse_args(arguments)
    text = tf_keras.Input((), dtype=tf.string)
    inputs = hub.KerasLayer(args.preprocessor)(text)
    pooled = hub.KerasLayer(args.encoder, trainable=True)(inputs)["pooled_output"]
    model = tf_keras.Model(text, tf_keras.layers.Dense(1, activation="sigmoid")(pooled))
    model.compile("adam", "binary_crossentropy")
    model.fit(TEXTS, LABELS, batch_size=4, epochs=2)
    model.save(args.output)
    reloaded = tf_keras.models.load_model(args.output)
    return float(np.abs(model.predict(TEXTS) - reloaded.predict(TEXTS)).max())


if __name__ == "__main__":
    print("the reloaded model differs by", main())
