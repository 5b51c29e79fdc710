"""Fine-tunes on the sentiment of texts, in Keras 2, Keras 3 or TensorFlow alone, and evaluates.

    python examples/sentiment_finetuning.py --framework=keras3 \\
        --encoder=exported/NAME_L-6_H-384_A-12/1 --preprocessor=exported/NAME_preprocess/1 \\
        --train=train.tsv --eval=dev.tsv --output=finetuned.keras

puts a new classifier on an encoder;

    python examples/sentiment_finetuning.py --classifier=exported/NAME_text_classification/1 \\
        --train=train.tsv --eval=dev.tsv --output=finetuned

goes on with the one that a checkpoint has. The data is TSV as SST-2 of GLUE has it: a line with the
names of the columns, then a sentence and the number of its label on each line.
"""

import argparse
import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401 (the preprocessor's operations)
import tf_keras

from hub_export import HubLayer

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("--framework", choices=["keras2", "keras3", "tensorflow"], default="keras2")
PARSER.add_argument("--classifier", help="SavedModel that classifies texts; or else the next two")
PARSER.add_argument("--encoder", help="SavedModel of the encoder")
PARSER.add_argument("--preprocessor", help="SavedModel of the preprocessor")
PARSER.add_argument("--train", required=True, type=Path, help="TSV file to learn from")
PARSER.add_argument("--eval", required=True, type=Path, help="TSV file to evaluate on")
PARSER.add_argument("--text", default="sentence", help="column of the text (%(default)s)")
PARSER.add_argument("--label", default="label", help="of the label's number (%(default)s)")
PARSER.add_argument("--output", default="finetuned", help="where to save; of Keras 3 a .keras file")
PARSER.add_argument("--batch_size", type=int, default=32, help="texts in a batch (%(default)s)")
PARSER.add_argument("--epochs", type=int, default=3, help="times through the data (%(default)s)")
PARSER.add_argument("--learning_rate", type=float, default=5e-5, help="of Adam (%(default)s)")
PARSER.add_argument("--dropout", type=float, default=0.1, help="before new logits (%(default)s)")
PARSER.add_argument("--seed", type=int, default=1, help="of order and new weights (%(default)s)")

Predict = Callable[[tf.Tensor], Any]
"""Texts, string [B] -> logits [B, C]."""


def read(path: Path, text: str, label: str) -> tuple[list[str], list[int]]:
    """The texts of a file, and the number of each one's label."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if missing := {text, label} - {*(rows.fieldnames or ())}:
            PARSER.error(f"{path}: has the columns {rows.fieldnames}, not {sorted(missing)}")
        found = [(row[text], int(row[label])) for row in rows]
    if not found:
        PARSER.error(f"{path}: no texts to learn from or to evaluate on")
    texts, labels = map(list, zip(*found, strict=True))
    return texts, labels


def with_keras(args: argparse.Namespace, data: tf.data.Dataset, classes: int) -> Predict:
    """Learns in either Keras, whose models are written alike; what answers is what was saved."""
    kit, layer = (tf_keras, hub.KerasLayer) if args.framework == "keras2" else (keras, HubLayer)
    kit.utils.set_random_seed(args.seed)
    text = kit.Input((), dtype="string")
    if args.classifier:
        logits = layer(args.classifier, trainable=True)(text)["logits"]
    else:
        inputs = layer(args.preprocessor)(text)
        pooled = layer(args.encoder, trainable=True)(inputs)["pooled_output"]
        logits = kit.layers.Dense(classes)(kit.layers.Dropout(args.dropout)(pooled))
    model = kit.Model(text, logits)
    model.compile(
        kit.optimizers.Adam(args.learning_rate),
        kit.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(data, epochs=args.epochs)
    model.save(args.output)
    loaded = kit.models.load_model(args.output)
    return lambda texts: loaded(texts, training=False)


class Classifier(tf.Module):
    """From texts to logits, by TensorFlow alone."""

    def __init__(self, args: argparse.Namespace, classes: int) -> None:
        super().__init__()
        self._dropout = args.dropout
        if args.classifier:
            self._headed = tf.saved_model.load(args.classifier)
            self.learning = [*self._headed.trainable_variables]
            return
        self._headed, self._preprocessor = None, tf.saved_model.load(args.preprocessor)
        self._encoder = tf.saved_model.load(args.encoder)
        outputs = self._encoder.signatures["serving_default"].structured_outputs
        shape = [outputs["pooled_output"].shape[1], classes]
        self._kernel = tf.Variable(tf.random.stateless_normal(shape, [0, args.seed], stddev=0.02))
        self._bias = tf.Variable(tf.zeros([classes]))
        self.learning = [*self._encoder.trainable_variables, self._kernel, self._bias]

    def __call__(self, texts: tf.Tensor, training: bool = False) -> tf.Tensor:
        """string [B] -> float32 [B, C]."""
        if self._headed:
            return self._headed(texts, training=training)["logits"]
        pooled = self._encoder(self._preprocessor(texts), training=training)["pooled_output"]
        pooled = tf.nn.dropout(pooled, self._dropout) if training else pooled
        return pooled @ self._kernel + self._bias

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """The signature."""
        return {"logits": self(text)}


class Adam(tf.Module):
    """The optimizer of https://arxiv.org/abs/1412.6980, with its own constants."""

    def __init__(self, variables: Sequence[tf.Variable], learning_rate: float) -> None:
        super().__init__()
        self._variables, self._rate = variables, learning_rate
        self._step = tf.Variable(0.0)
        self._first, self._second = (
            [tf.Variable(tf.zeros_like(each)) for each in variables] for _ in range(2)
        )

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Changes the variables."""
        step = self._step.assign_add(1.0)
        rate = self._rate * tf.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        all_ = zip(self._variables, self._first, self._second, gradients, strict=True)
        for variable, first, second, sparse in all_:
            gradient = tf.convert_to_tensor(sparse)
            first.assign_add(0.1 * (gradient - first))
            second.assign_add(0.001 * (gradient**2 - second))
            variable.assign_sub(rate * first / (tf.sqrt(second) + 1e-8))


def with_tensorflow(args: argparse.Namespace, data: tf.data.Dataset, classes: int) -> Predict:
    """Learns by TensorFlow alone; what answers is what was saved."""
    tf.random.set_seed(args.seed)
    model = Classifier(args, classes)
    optimizer = Adam(model.learning, args.learning_rate)

    @tf.function
    def step(texts: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(texts, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, model.learning))
        return loss

    for epoch in range(args.epochs):
        losses = [float(step(*batch)) for batch in data]
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")
    tf.saved_model.save(model, args.output, signatures=model.serve)
    served = tf.saved_model.load(args.output).signatures["serving_default"]
    return lambda texts: served(text=texts)["logits"]


def main(arguments: Sequence[str] | None = None) -> float:
    """Learns, saves, reloads; returns the accuracy of what was reloaded."""
    args = PARSER.parse_args(arguments)
    if not args.classifier and not (args.encoder and args.preprocessor):
        PARSER.error("a --classifier is needed, or --encoder and --preprocessor")
    if args.framework == "keras3" and not args.output.endswith(".keras"):
        PARSER.error(f"--output: Keras 3 saves as NAME.keras, not as {args.output}")
    learn, held = (read(path, args.text, args.label) for path in (args.train, args.eval))
    majority = np.bincount(held[1]).max() / len(held[1])
    print(f"{len(learn[0])} texts to learn from, {len(held[0])} to evaluate on")

    data = tf.data.Dataset.from_tensor_slices(learn).shuffle(len(learn[0]), args.seed)
    run = with_tensorflow if args.framework == "tensorflow" else with_keras
    predict = run(args, data.batch(args.batch_size), max(*learn[1], *held[1]) + 1)

    batches = tf.data.Dataset.from_tensor_slices(held).batch(args.batch_size)
    right = [np.argmax(predict(texts), axis=-1) == labels for texts, labels in batches]
    accuracy = float(np.mean(np.concatenate(right)))
    print(f"reloaded: accuracy {accuracy:.3f}; majority class {majority:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
