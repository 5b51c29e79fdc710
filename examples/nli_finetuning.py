"""Fine-tunes an exported encoder on pairs of texts, saves it, and exports it for serving.

    python examples/nli_finetuning.py \\
        --encoder=exported/NAME_L-6_H-384_A-12/1 --preprocessor=exported/NAME_preprocess/1 \\
        --train=xnli.test.ko.tsv --output_dir=finetuned

The data is a TSV file with a header. SNLI, MNLI and XNLI have the default columns; for SICK say
--premise=sentence_A --hypothesis=sentence_B --label=entailment_label. Keras 2 (`tf_keras`).
"""

import argparse
import csv
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401 (the preprocessor's operations)
import tf_keras
from absl import logging

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("--encoder", required=True, help="SavedModel of the encoder")
PARSER.add_argument("--preprocessor", required=True, help="SavedModel of the preprocessor")
PARSER.add_argument("--train", required=True, type=Path, help="TSV file to learn from")
PARSER.add_argument("--eval", type=Path, help="TSV file to evaluate on (a tenth of the premises)")
PARSER.add_argument("--premise", default="sentence1", help="column of the first text (%(default)s)")
PARSER.add_argument("--hypothesis", default="sentence2", help="of the second (%(default)s)")
PARSER.add_argument("--label", default="gold_label", help="of the label (%(default)s)")
PARSER.add_argument("--labels", nargs="+", help="in the order of the logits (all, sorted)")
PARSER.add_argument("--output_dir", type=Path, default="finetuned", help="(%(default)s)")
PARSER.add_argument("--seq_length", type=int, default=128, help="tokens of a pair (%(default)s)")
PARSER.add_argument("--batch_size", type=int, default=32, help="pairs in a batch (%(default)s)")
PARSER.add_argument("--epochs", type=int, default=3, help="times through the data (%(default)s)")
PARSER.add_argument("--learning_rate", type=float, default=5e-5, help="highest one (%(default)s)")
PARSER.add_argument("--warmup", type=float, default=0.1, help="share of rising steps (%(default)s)")
PARSER.add_argument("--dropout", type=float, default=0.1, help="before the logits (%(default)s)")
PARSER.add_argument("--seed", type=int, default=1, help="of order and new weights (%(default)s)")

Pair = tuple[str, str, str]


def read(path: Path, columns: Sequence[str]) -> list[Pair]:
    """Premise, hypothesis and label of every line; those without a label (`-`) are left out."""
    with path.open(encoding="utf-8", newline="") as file:
        # Quotation marks are text in all of these files.
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if missing := set(columns) - set(rows.fieldnames or ()):
            PARSER.error(f"{path}: has the columns {rows.fieldnames}, not {sorted(missing)}")
        pairs = [(row[columns[0]], row[columns[1]], row[columns[2]]) for row in rows]
    return [pair for pair in pairs if pair[2] not in ("", "-", None)]


def split(pairs: Sequence[Pair], seed: int) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from, and a tenth to evaluate on; no premise is in both."""
    premises = sorted({premise for premise, _, _ in pairs})
    random.Random(seed).shuffle(premises)
    held = set(premises[::10])
    return [p for p in pairs if p[0] not in held], [p for p in pairs if p[0] in held]


def preprocessing(path: str, seq_length: int) -> tf_keras.Model:
    """Two string [B], premises and hypotheses -> the encoder's inputs, int32 [B, seq_length]."""
    preprocessor = hub.load(path)
    texts = [tf_keras.Input((), dtype=tf.string, name=name) for name in ("premise", "hypothesis")]
    tokenize = hub.KerasLayer(preprocessor.tokenize)
    pack = hub.KerasLayer(preprocessor.bert_pack_inputs, arguments={"seq_length": seq_length})
    return tf_keras.Model(texts, pack([tokenize(text) for text in texts]))


def classifier(encoder: str, seq_length: int, classes: int, dropout: float) -> tf_keras.Model:
    """The encoder's inputs -> logits [B, classes]; all of it learns, with dropout."""
    names = ("input_word_ids", "input_mask", "input_type_ids")
    inputs = {n: tf_keras.Input((seq_length,), dtype=tf.int32, name=n) for n in names}
    pooled = hub.KerasLayer(encoder, trainable=True)(inputs)["pooled_output"]
    dropped = tf_keras.layers.Dropout(dropout)(pooled)
    return tf_keras.Model(inputs, tf_keras.layers.Dense(classes)(dropped))


def dataset(
    pairs: Sequence[Pair], labels: Sequence[str], prepare: tf_keras.Model, batch_size: int
) -> tf.data.Dataset:
    """Batches of encoder inputs and label ids, tokenized while the model computes."""
    premises, hypotheses, named = map(list, zip(*pairs, strict=True))
    texts = tf.constant(premises), tf.constant(hypotheses)
    data = tf.data.Dataset.from_tensor_slices((texts, list(map(labels.index, named))))
    data = data.shuffle(len(pairs)).batch(batch_size)
    return data.map(lambda texts, ids: (prepare(texts), ids), tf.data.AUTOTUNE).prefetch(2)


def compile_for(model: tf_keras.Model, steps: int, highest: float, warmup: float) -> None:
    """AdamW, whose learning rate rises, then falls back; norms and biases do not decay."""
    rising = int(warmup * steps)
    rate = tf_keras.optimizers.schedules.CosineDecay(
        0.0, steps - rising, warmup_target=highest, warmup_steps=rising
    )
    optimizer = tf_keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["layer_norm", "bias"])
    model.compile(
        optimizer,
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def export(prepare: tf_keras.Model, model: tf_keras.Model, labels: list[str], path: Path) -> None:
    """Writes pairs of strings -> probabilities [B, classes] as one SavedModel for TF Serving."""
    whole = tf_keras.Model(prepare.inputs, tf.nn.softmax(model(prepare(prepare.inputs))))
    text = tf.TensorSpec([None], tf.string)

    @tf.function(input_signature=[text, text])
    def serve(premise: tf.Tensor, hypothesis: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": whole([premise, hypothesis], training=False)}

    tf.saved_model.save(whole, str(path), signatures=serve)
    (path / "assets.extra").mkdir(exist_ok=True)
    (path / "assets.extra" / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> float:
    """Learns, saves, reloads, exports; returns the accuracy of what was reloaded."""
    args = PARSER.parse_args(arguments)
    logging.set_verbosity(logging.WARNING)
    tf_keras.utils.set_random_seed(args.seed)
    columns = args.premise, args.hypothesis, args.label
    learn, held = read(args.train, columns), args.eval and read(args.eval, columns)
    if held is None:
        learn, held = split(learn, args.seed)
    labels = args.labels or sorted({label for _, _, label in learn})
    if unknown := sorted({label for _, _, label in (*learn, *held)} - set(labels)):
        PARSER.error(f"{args.eval or args.train}: unexpected labels {unknown}, not in {labels}")
    if not (learn and held):
        PARSER.error(f"{args.eval or args.train}: no pairs to learn from, or none to evaluate on")
    majority = max(Counter(label for _, _, label in held).values()) / len(held)
    print(f"{len(learn)} pairs to learn from, {len(held)} to evaluate on; labels: {labels}")

    prepare = preprocessing(args.preprocessor, args.seq_length)
    model = classifier(args.encoder, args.seq_length, len(labels), args.dropout)
    train, evaluation = (dataset(p, labels, prepare, args.batch_size) for p in (learn, held))
    compile_for(model, args.epochs * len(train), args.learning_rate, args.warmup)
    model.fit(train, epochs=args.epochs, validation_data=evaluation)

    model.save(args.output_dir / "keras")
    model = tf_keras.models.load_model(args.output_dir / "keras")
    loss, accuracy = model.evaluate(evaluation)
    print(f"reloaded: loss {loss:.3f}, accuracy {accuracy:.3f}; majority class {majority:.3f}")
    export(prepare, model, labels, args.output_dir / "serving" / "1")
    print(f"for TF Serving: {args.output_dir / 'serving' / '1'}")
    return float(accuracy)


if __name__ == "__main__":
    main()
