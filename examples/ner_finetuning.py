"""Fine-tunes an exported encoder on named entities, saves it, and evaluates what it saved.

    python examples/ner_finetuning.py \\
        --encoder=exported/NAME_L-6_H-384_A-12/1 --preprocessor=exported/NAME_preprocess/1 \\
        --train=train.conll --eval=dev.conll --output_dir=finetuned

The data is in CoNLL form: a word a line, a tab or space, its label (`O`, `B-person`, `I-person`);
an empty line behind each sentence. The first token of each word has its label; the others do not
count. Keras 2 (`tf_keras`).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
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
PARSER.add_argument("--train", required=True, type=Path, help="CoNLL file to learn from")
PARSER.add_argument("--eval", required=True, type=Path, help="CoNLL file to evaluate on")
PARSER.add_argument("--output_dir", type=Path, default="finetuned", help="(%(default)s)")
PARSER.add_argument("--seq_length", type=int, default=128, help="tokens of a text (%(default)s)")
PARSER.add_argument("--batch_size", type=int, default=32, help="texts in a batch (%(default)s)")
PARSER.add_argument("--epochs", type=int, default=3, help="times through the data (%(default)s)")
PARSER.add_argument("--learning_rate", type=float, default=5e-5, help="(%(default)s)")
PARSER.add_argument("--dropout", type=float, default=0.1, help="before the logits (%(default)s)")
PARSER.add_argument("--seed", type=int, default=1, help="of order and new weights (%(default)s)")

OUTSIDE = "O"
Sentence = tuple[list[str], list[str]]
"""Words, and the label of each."""


def read(path: Path) -> list[Sentence]:
    """The sentences of a CoNLL file: the first column has the words, the last one the labels."""
    found = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [line.split() for line in block.splitlines()]
        rows = [row for row in rows if len(row) > 1]
        if rows:
            found.append(([row[0] for row in rows], [row[-1] for row in rows]))
    return found


class Align:
    """Makes encoder inputs and the labels of their tokens, batch by batch."""

    def __init__(self, preprocessor: str, seq_length: int) -> None:
        """Loads the preprocessor."""
        self._preprocessor = hub.load(preprocessor)
        self._length = seq_length

    def __call__(
        self, words: tf.RaggedTensor, labels: tf.RaggedTensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        """Words, string [B, (n)], and the numbers of their labels, int32 [B, (n)].

        Returns:
            The encoder's inputs, int32 [B, S] each; the label of each token, int32 [B, S]; and
            float32 [B, S], 1 where a token is the first one of a word.
        """
        texts = tf.strings.reduce_join(words, axis=-1, separator=" ")
        ids, _, limits = map(_flat, self._preprocessor.tokenize_with_offsets(texts))
        # A token is of the word that its last byte is in.
        begins, last = _begins(words), limits.to_tensor() - 1
        word = tf.searchsorted(begins, last, side="right") - 1
        is_first = (word > tf.pad(word, [[0, 0], [1, 0]], constant_values=-1)[:, :-1]) & (last >= 0)
        label = tf.gather(labels.to_tensor(), tf.maximum(word, 0), batch_dims=1)
        # Labels are packed as ids are: below zero, where no id is.
        marked = tf.where(is_first, -1 - label, 0)
        marks = tf.RaggedTensor.from_tensor(marked, ids.row_lengths())
        found = self._packed(marks)["input_word_ids"]
        return self._packed(ids), tf.maximum(-1 - found, 0), tf.cast(found < 0, tf.float32)

    def _packed(self, ids: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        return self._preprocessor.bert_pack_inputs([ids], seq_length=self._length)


def _flat(x: tf.RaggedTensor) -> tf.RaggedTensor:
    """[B, (words), (pieces)] or [B, (pieces)] -> [B, (pieces)]."""
    return x.merge_dims(1, 2) if x.ragged_rank == 2 else x


def _begins(words: tf.RaggedTensor) -> tf.Tensor:
    """The byte that each word begins at, int64 [B, n], where spaces stand between them."""
    lengths = tf.cast(tf.strings.length(words.flat_values), tf.int64) + 1
    return tf.cumsum(words.with_flat_values(lengths).to_tensor(1), axis=1, exclusive=True)


def classifier(encoder: str, seq_length: int, classes: int, dropout: float) -> tf_keras.Model:
    """The encoder's inputs -> logits [B, S, classes]; all of it learns, with dropout."""
    names = ("input_word_ids", "input_mask", "input_type_ids")
    inputs = {n: tf_keras.Input((seq_length,), dtype=tf.int32, name=n) for n in names}
    sequence = hub.KerasLayer(encoder, trainable=True)(inputs)["sequence_output"]
    dropped = tf_keras.layers.Dropout(dropout)(sequence)
    return tf_keras.Model(inputs, tf_keras.layers.Dense(classes)(dropped))


def dataset(
    sentences: Sequence[Sentence], labels: Sequence[str], align: Align, batch_size: int
) -> tf.data.Dataset:
    """Batches of encoder inputs, labels and their weights, made while the model computes."""
    words = tf.ragged.constant([words for words, _ in sentences])
    ids = [[labels.index(each) for each in named] for _, named in sentences]
    numbers = tf.ragged.constant(ids, tf.int32)
    data = tf.data.Dataset.from_tensor_slices((words, numbers))
    return data.ragged_batch(batch_size).map(align, tf.data.AUTOTUNE).prefetch(2)


def spans(labels: Sequence[str]) -> set[tuple[str, int, int]]:
    """The entities of a sentence: kind, first word, the word behind the last one.

    >>> sorted(spans(["B-a", "I-a", "O", "B-b", "B-b"]))
    [('a', 0, 2), ('b', 3, 4), ('b', 4, 5)]
    """
    found, begin = set(), 0
    for at, label in enumerate([*labels, OUTSIDE]):
        before = labels[at - 1] if at else OUTSIDE
        if label.startswith("I-") and before[2:] == label[2:]:
            continue
        if before != OUTSIDE:
            found.add((before[2:], begin, at))
        begin = at
    return found


def f1(model: tf_keras.Model, data: tf.data.Dataset, labels: Sequence[str]) -> float:
    """F1 of whole entities, of the words that are within the rows."""
    right = named = 0
    for inputs, numbers, weights in data:
        best = np.argmax(model.predict_on_batch(inputs), axis=-1)
        for row, (own, expected) in enumerate(zip(best, numbers.numpy(), strict=True)):
            kept = weights[row].numpy() > 0
            ours, theirs = (
                spans([labels[each] for each in column[kept]]) for column in (own, expected)
            )
            right += len(ours & theirs)
            named += len(ours) + len(theirs)
    return 2 * right / max(named, 1)


def main(arguments: Sequence[str] | None = None) -> float:
    """Learns, saves, reloads; returns the F1 of what was reloaded."""
    args = PARSER.parse_args(arguments)
    logging.set_verbosity(logging.WARNING)
    tf_keras.utils.set_random_seed(args.seed)
    learn, held = read(args.train), read(args.eval)
    labels = sorted({label for _, named in (*learn, *held) for label in named})
    if not (learn and held):
        PARSER.error(f"{args.train}, {args.eval}: no sentences to learn from or to evaluate on")
    print(f"{len(learn)} sentences to learn from, {len(held)} to evaluate on; labels: {labels}")

    align = Align(args.preprocessor, args.seq_length)
    model = classifier(args.encoder, args.seq_length, len(labels), args.dropout)
    train, evaluation = (dataset(each, labels, align, args.batch_size) for each in (learn, held))
    model.compile(
        tf_keras.optimizers.Adam(args.learning_rate, clipnorm=1.0),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(train.shuffle(len(train)), epochs=args.epochs)

    model.save(args.output_dir / "keras")
    (args.output_dir / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    found = f1(tf_keras.models.load_model(args.output_dir / "keras"), evaluation, labels)
    print(f"reloaded: F1 of entities {found:.3f}")
    return found


if __name__ == "__main__":
    main()
