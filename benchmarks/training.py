"""One step of fine-tuning against torch, and whether preprocessing keeps up with it.

    python -m benchmarks.training [--rounds 9] [--batch_size 16] [--length 64]

The checkpoint all-MiniLM-L6-v2 with a new layer of three classes: the same batch, lengths (real
pairs or made-up ones, padded to --length), dropout and AdamW in both, in one process, in turn.
"""

import argparse
import functools
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401 (the preprocessor's operations)
import tf_keras
import torch
import transformers

import hub_export
from benchmarks import measure
from benchmarks.texts import corpora

CLASSES = 3


def main() -> None:
    """Exports, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--length", type=int, default=64)
    args = parser.parse_args()
    checkpoint = measure.demo_checkpoint()
    with tempfile.TemporaryDirectory() as folder:
        parts = ["encoder", "preprocessor"]
        done = hub_export.export(checkpoint, folder, name="m", parts=parts, verify="none")
        data = pairs(done.paths["preprocessor"], args.batch_size, args.length)
        batch = next(iter(data))
        labels = np.arange(args.batch_size) % CLASSES
        steps = {
            "ours": tensorflow_step(done.paths["encoder"], batch, labels),
            "torch": torch_step(checkpoint, batch, labels),
        }
        for step in steps.values():
            step()  # traces, and makes the optimizer's slots
        with measure.Others() as others:
            taken = measure.in_turn(
                {name: functools.partial(measure.seconds, step) for name, step in steps.items()},
                args.rounds,
            )
        rate = preprocessing_rate(data)
    for name, each in taken.items():
        print(f"{name:<14} {1000 * statistics.median(each):8.0f} ms a step")
    print(f"torch / ours   {measure.ratio(taken['torch'], taken['ours']):8.2f}")
    needed = 1 / statistics.median(taken["ours"])
    print(
        f"preprocessing  {rate:8.0f} batches/s, the step takes {needed:.1f}: {rate / needed:.0f} x"
    )
    print(f"other processes took {others.cores:.1f} cores")


def pairs(preprocessor: Path, batch_size: int, length: int) -> tf.data.Dataset:
    """Batches of packed pairs, prepared in `map` and prefetched."""
    model = hub.load(str(preprocessor))
    lines = next(iter(corpora().values()))
    even = len(lines) // 2 * 2
    data = tf.data.Dataset.from_tensor_slices((lines[:even:2], lines[1:even:2]))

    def prepare(first: tf.Tensor, second: tf.Tensor) -> dict[str, tf.Tensor]:
        segments = [model.tokenize(each) for each in (first, second)]
        return model.bert_pack_inputs(segments, tf.constant(length))

    batches = data.repeat().batch(batch_size, drop_remainder=True)
    return batches.map(prepare, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def preprocessing_rate(data: tf.data.Dataset, batches: int = 200) -> float:
    """Batches a second."""
    rows = iter(data)
    next(rows)
    return batches / measure.seconds(lambda: [next(rows) for _ in range(batches)])


def tensorflow_step(
    encoder: Path, batch: dict[str, tf.Tensor], labels: np.ndarray
) -> Callable[[], object]:
    """A step of the exported encoder, as `fit` runs it."""
    inputs = {name: tf_keras.Input(each.shape[1:], dtype=tf.int32) for name, each in batch.items()}
    pooled = hub.KerasLayer(str(encoder), trainable=True)(inputs)["pooled_output"]
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(CLASSES)(pooled))
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.AdamW(5e-5), loss)
    return lambda: model.train_on_batch(batch, labels)


def torch_step(
    checkpoint: Path, batch: dict[str, tf.Tensor], labels: np.ndarray
) -> Callable[[], object]:
    """A step of the source model."""
    encoder = transformers.AutoModel.from_pretrained(checkpoint).train()
    dense = torch.nn.Linear(encoder.config.hidden_size, CLASSES)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *dense.parameters()], 5e-5)
    names = {"input_ids": "word_ids", "attention_mask": "mask", "token_type_ids": "type_ids"}
    inputs = {k: torch.tensor(batch[f"input_{v}"].numpy()).long() for k, v in names.items()}
    wanted = torch.tensor(labels)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(dense(encoder(**inputs).pooler_output), wanted)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


if __name__ == "__main__":
    main()
