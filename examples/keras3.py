"""Keras 3: two texts a row, tokenized and packed in the model, an encoder that learns with Adam.

    python examples/keras3.py --encoder=exported/NAME_L-6_H-384_A-12/1 \\
        --preprocessor=exported/NAME_preprocess/1 --output=same.keras
"""

import argparse
from collections.abc import Sequence

import keras
import tensorflow as tf

from hub_export import HubLayer

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("--encoder", required=True, help="SavedModel of the encoder")
PARSER.add_argument("--preprocessor", required=True, help="SavedModel of the preprocessor")
PARSER.add_argument("--output", default="same.keras", help="where to save (%(default)s)")
PARSER.add_argument("--seq_length", type=int, default=32, help="tokens of a pair (%(default)s)")
PARSER.add_argument("--epochs", type=int, default=5, help="(%(default)s)")
PARSER.add_argument("--learning_rate", type=float, default=1e-4, help="of Adam (%(default)s)")

FIRST = ["a man eats", "the sun is hot", "a man eats", "the sun is hot"]
SECOND = ["someone eats", "it is warm", "it is warm", "someone eats"]
SAME = [1.0, 1.0, 0.0, 0.0]


def build(args: argparse.Namespace) -> keras.Model:
    """Two string [B] -> logits [B, 1]."""
    texts = [keras.Input((), dtype="string", name=name) for name in ("first", "second")]
    tokenize = HubLayer(args.preprocessor, "tokenize")
    pack = HubLayer(args.preprocessor, "bert_pack_inputs", {"seq_length": args.seq_length})
    encoder = HubLayer(args.encoder, trainable=True)
    pooled = encoder(pack([tokenize(text) for text in texts]))["pooled_output"]
    return keras.Model(texts, keras.layers.Dense(1)(keras.layers.Dropout(0.1)(pooled)))


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Learns four pairs by heart, saves and reloads; returns the loss of every epoch."""
    args = PARSER.parse_args(arguments)
    keras.utils.set_random_seed(1)
    model = build(args)
    model.compile(
        keras.optimizers.Adam(args.learning_rate),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    texts = [tf.constant(FIRST), tf.constant(SECOND)]
    history = model.fit(texts, tf.constant(SAME), batch_size=4, epochs=args.epochs)
    model.save(args.output)
    reloaded = keras.models.load_model(args.output)
    print(keras.ops.sigmoid(reloaded.predict(texts)))
    return history.history["loss"]


if __name__ == "__main__":
    main()
