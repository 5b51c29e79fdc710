"""Fine-tunes an exported encoder to find answers in contexts, and exports it for serving.

    python examples/question_answering.py \\
        --encoder=exported/NAME_L-6_H-384_A-12/1 --preprocessor=exported/NAME_preprocess/1 \\
        --train=train-v1.1.json --eval=dev-v1.1.json --output_dir=finetuned

The data is JSON as SQuAD has it (1.1, or 2.0 with questions that have no answer). A question and as
much of its context as fits make one row; where the answer does not fit, the row has none, which the
first position stands for. Keras 2 (`tf_keras`).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401 (the preprocessor's operations)
import tf_keras

PARSER = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
PARSER.add_argument("--encoder", required=True, help="SavedModel of the encoder")
PARSER.add_argument("--preprocessor", required=True, help="SavedModel of the preprocessor")
PARSER.add_argument("--train", required=True, type=Path, help="JSON file to learn from")
PARSER.add_argument("--eval", required=True, type=Path, help="JSON file to evaluate on")
PARSER.add_argument("--output_dir", type=Path, default="finetuned", help="(%(default)s)")
PARSER.add_argument("--seq_length", type=int, default=384, help="tokens of a row (%(default)s)")
PARSER.add_argument("--batch_size", type=int, default=16, help="rows in a batch (%(default)s)")
PARSER.add_argument("--epochs", type=int, default=2, help="times through the data (%(default)s)")
PARSER.add_argument("--learning_rate", type=float, default=3e-5, help="of Adam (%(default)s)")
PARSER.add_argument("--seed", type=int, default=1, help="of order and new weights (%(default)s)")

LONGEST = 15
"""Tokens of an answer."""


class Question(NamedTuple):
    """A question, its context, and the bytes of the first answer; 0 and 0 where there is none."""

    question: str
    context: str
    start: int
    limit: int


def read(path: Path) -> list[Question]:
    """The questions of a file of SQuAD."""
    found = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            context = paragraph["context"]
            for asked in paragraph["qas"]:
                start = limit = 0
                for answer in asked["answers"][:1]:  # places there are characters
                    start = len(context[: answer["answer_start"]].encode())
                    limit = start + len(answer["text"].encode())
                found.append(Question(asked["question"], context, start, limit))
    if not found:
        PARSER.error(f"{path}: no questions")
    return found


class Rows(tf.Module):
    """Makes the encoder's inputs of questions and contexts, and knows where each token is from."""

    def __init__(self, path: str, seq_length: int) -> None:
        super().__init__()
        self._preprocessor, self._seq_length = tf.saved_model.load(path), seq_length
        special = self._preprocessor.tokenize.get_special_tokens_dict()
        self._vocabulary = int(special["vocab_size"])

    def __call__(
        self, question: tf.Tensor, context: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        """String [B] -> the inputs, and starts and limits of places, int64 [B, S]; -1 outside."""
        asked = self._preprocessor.tokenize(question)
        ids, starts, limits = self._preprocessor.tokenize_with_offsets(context)
        inputs = self._pack([asked, ids])
        # Numbers beyond the vocabulary, packed like the tokens, say which token went where.
        numbers = ids.with_flat_values(tf.range(tf.size(ids.flat_values)) + self._vocabulary)
        places = self._pack([asked, numbers])["input_word_ids"] - self._vocabulary
        extents = (
            tf.gather(tf.concat([[-1], each.flat_values], axis=0), tf.maximum(places, -1) + 1)
            for each in (starts, limits)
        )
        return inputs, *extents

    def _pack(self, segments: list[tf.RaggedTensor]) -> dict[str, tf.Tensor]:
        packed: dict[str, tf.Tensor] = self._preprocessor.bert_pack_inputs(
            segments, self._seq_length
        )
        return packed


def dataset(rows: Rows, questions: Sequence[Question], batch_size: int) -> tf.data.Dataset:
    """Batches of inputs, and of the places of an answer's first and last token."""

    def prepared(
        question: tf.Tensor, context: tf.Tensor, start: tf.Tensor, limit: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
        inputs, starts, limits = rows(question, context)
        ends = []
        for each in (start, limit - 1):
            byte = tf.cast(each, tf.int64)[:, tf.newaxis]
            holds = (starts <= byte) & (byte < limits)
            ends.append(tf.argmax(holds, axis=1))  # the first position, if none does
        fits = tf.reduce_all(tf.stack(ends) > 0, axis=0)
        first, last = (tf.where(fits, end, 0) for end in ends)
        return inputs, (first, last)

    columns = tuple(map(list, zip(*questions, strict=True)))
    data = tf.data.Dataset.from_tensor_slices(columns)
    data = data.shuffle(len(questions)).batch(batch_size)
    return data.map(prepared, tf.data.AUTOTUNE).prefetch(2)


def finder(encoder: str, seq_length: int) -> tf_keras.Model:
    """The encoder's inputs -> logits of the first and of the last token, [B, S] each."""
    names = ("input_word_ids", "input_mask", "input_type_ids")
    inputs = {n: tf_keras.Input((seq_length,), dtype=tf.int32, name=n) for n in names}
    sequence = hub.KerasLayer(encoder, trainable=True)(inputs)["sequence_output"]
    start, end = tf.unstack(tf_keras.layers.Dense(2)(sequence), axis=2)
    return tf_keras.Model(inputs, (start, end))


class Answering(tf.Module):
    """From strings to the most probable answer."""

    def __init__(self, rows: Rows, model: tf_keras.Model) -> None:
        super().__init__()
        self.rows, self.model = rows, model

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)] * 2)
    def __call__(self, question: tf.Tensor, context: tf.Tensor) -> dict[str, tf.Tensor]:
        """String [B] each -> `answer`, string [B], empty where none is more probable than any."""
        inputs, starts, limits = self.rows(question, context)
        logits = self.model(inputs, training=False)
        none = logits[0][:, 0] + logits[1][:, 0]
        start, end = (tf.where(limits > 0, each, each.dtype.min / 4) for each in logits)
        sums = tf.linalg.band_part(start[:, :, tf.newaxis] + end[:, tf.newaxis], 0, LONGEST - 1)
        spans = tf.linalg.band_part(tf.ones_like(sums), 0, LONGEST - 1) > 0
        sums = tf.reshape(tf.where(spans, sums, sums.dtype.min), [tf.shape(sums)[0], -1])
        best, length = tf.argmax(sums, axis=1), tf.shape(starts, tf.int64)[1]
        begin = tf.gather(starts, best // length, batch_dims=1)
        limit = tf.gather(limits, best % length, batch_dims=1)
        found = tf.reduce_max(sums, axis=1) > none
        begin, limit = (tf.where(found, each, 0) for each in (begin, limit))
        return {"answer": tf.strings.substr(context, begin, tf.maximum(limit - begin, 0))}


def accuracy(answering: Answering, questions: Sequence[Question], batch_size: int) -> float:
    """The share of answers that are the first one of the file, byte by byte."""
    right = 0
    for begin in range(0, len(questions), batch_size):
        some = questions[begin : begin + batch_size]
        asked, contexts, _, _ = map(list, zip(*some, strict=True))
        found = answering(tf.constant(asked), tf.constant(contexts))["answer"].numpy()
        wanted = [each.context.encode()[each.start : each.limit] for each in some]
        right += sum(map(bytes.__eq__, found, wanted))
    return right / len(questions)


def main(arguments: Sequence[str] | None = None) -> float:
    """Learns, exports, and returns the share of exact answers of what was exported."""
    args = PARSER.parse_args(arguments)
    tf_keras.utils.set_random_seed(args.seed)
    learn, held = read(args.train), read(args.eval)
    print(f"{len(learn)} questions to learn from, {len(held)} to evaluate on")
    rows = Rows(args.preprocessor, args.seq_length)
    model = finder(args.encoder, args.seq_length)
    model.compile(
        tf_keras.optimizers.Adam(args.learning_rate),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(dataset(rows, learn, args.batch_size), epochs=args.epochs)
    path = args.output_dir / "serving" / "1"
    answering = Answering(rows, model)
    tf.saved_model.save(answering, str(path), signatures=answering.__call__)
    found = accuracy(tf.saved_model.load(str(path)), held, args.batch_size)
    print(f"for TF Serving: {path}; exact answers: {found:.3f}")
    return found


if __name__ == "__main__":
    main()
