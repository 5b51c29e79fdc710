"""Strings a second: the exported preprocessor beside its peers, on one batch after the other.

    python -m benchmarks.preprocessing [--rounds 5]

Two tasks. *Inputs*: strings to padded encoder inputs of 128. *Tokens*: strings to ids, ragged.

Three peers. *ours*: the exported SavedModel, loaded. *BertTokenizer*: the pipeline of TF-Text's
guide, in a tf.function; its ids differ from the checkpoint's on some texts. *tokenizers*: the
checkpoint's own tokenizer, `encode_batch` on all cores, without the conversion to arrays.

The last column tells how many cores other processes took meanwhile: where it is not near 0, the
peer that uses all cores looks slower than it is.
"""

import argparse
import functools
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text as tf_text
from tokenizers import Tokenizer

import hub_export
from benchmarks import measure, texts

SEQ_LENGTH = 128
TEXTS_A_TURN = {20_000: 20_000, 1_024: 8_192, 32: 2_048, 1: 256}
"""Batch size -> how many texts, in batches of that size, a peer takes in one turn."""
OURS, TF_TEXT, SOURCE = "ours", "BertTokenizer", "tokenizers"

Peers = dict[str, Callable[[Any], object]]
"""Name -> function of a batch: a string tensor, or for `tokenizers` a list."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    checkpoint = measure.demo_checkpoint()
    with tempfile.TemporaryDirectory() as folder:
        done = hub_export.export(checkpoint, folder, parts=["preprocessor"], verify="none")
        model = tf.saved_model.load(str(done.paths["preprocessor"]))
    tasks = {"inputs": inputs_peers(checkpoint, model), "tokens": tokens_peers(checkpoint, model)}
    header = ["task", "batch", "corpus", *(f"{name}/s" for name in (OURS, TF_TEXT, SOURCE))]
    header += [f"x {TF_TEXT}", f"x {SOURCE}", "ours, ms a batch", "cores of others"]
    print(measure.table(header, list(_rows(tasks, rounds))))


def inputs_peers(checkpoint: Path, model: Any) -> Peers:
    """Strings to padded inputs."""
    vocabulary, tokenizer = _bert_tokenizer(checkpoint)
    start, end = (vocabulary.index(token) for token in ("[CLS]", "[SEP]"))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def guide(sentences: tf.Tensor) -> dict[str, tf.Tensor]:
        trimmed = tokenizer.tokenize(sentences).merge_dims(1, -1)[:, : SEQ_LENGTH - 2]
        ids, types = tf_text.combine_segments([trimmed], start, end)
        word_ids, mask = tf_text.pad_model_inputs(ids, SEQ_LENGTH)
        type_ids, _ = tf_text.pad_model_inputs(types, SEQ_LENGTH)
        return {"input_word_ids": word_ids, "input_mask": mask, "input_type_ids": type_ids}

    source = _source(checkpoint)
    source.enable_truncation(SEQ_LENGTH)
    source.enable_padding(length=SEQ_LENGTH)
    return {OURS: model, TF_TEXT: guide, SOURCE: source.encode_batch}


def tokens_peers(checkpoint: Path, model: Any) -> Peers:
    """Strings to ids."""
    _, tokenizer = _bert_tokenizer(checkpoint)
    stock = tf.function(tokenizer.tokenize, input_signature=[tf.TensorSpec([None], tf.string)])
    encode = functools.partial(_source(checkpoint).encode_batch, add_special_tokens=False)
    return {OURS: model.tokenize, TF_TEXT: stock, SOURCE: encode}


def _bert_tokenizer(checkpoint: Path) -> tuple[list[str], tf_text.BertTokenizer]:
    vocabulary = (checkpoint / "vocab.txt").read_text(encoding="utf-8").splitlines()
    ids = tf.range(len(vocabulary), dtype=tf.int64)
    rows = tf.lookup.KeyValueTensorInitializer(tf.constant(vocabulary), ids)
    table = tf.lookup.StaticVocabularyTable(rows, num_oov_buckets=1)
    return vocabulary, tf_text.BertTokenizer(table, lower_case=True)


def _source(checkpoint: Path) -> Tokenizer:
    source = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    source.no_truncation()
    source.no_padding()
    return source


def _rows(tasks: dict[str, Peers], rounds: int) -> Iterator[list[str]]:
    corpora = texts.corpora()
    for task, peers in tasks.items():
        for batch in TEXTS_A_TURN:
            for name, corpus in corpora.items():
                yield [task, f"{batch:,}", name, *_figures(peers, corpus, batch, rounds)]


def _figures(peers: Peers, corpus: list[str], batch: int, rounds: int) -> list[str]:
    """Strings a second of each peer; ours as a multiple, in milliseconds; cores of others."""
    count = TEXTS_A_TURN[batch]
    taken = texts.take(corpus, count)
    lists = [taken[at : at + batch] for at in range(0, count, batch)]
    tensors = [tf.constant(each) for each in lists]
    turns = {
        name: functools.partial(_run, peer, lists if name == SOURCE else tensors)
        for name, peer in peers.items()
    }
    measure.in_turn(turns, 1)  # warms up
    timed = {name: functools.partial(measure.seconds, turn) for name, turn in turns.items()}
    with measure.Others() as others:
        took = measure.in_turn(timed, rounds)
    median = {name: statistics.median(each) for name, each in took.items()}
    return [
        *(f"{count / median[name]:,.0f}" for name in peers),
        *(f"{measure.ratio(took[name], took[OURS]):.1f}" for name in (TF_TEXT, SOURCE)),
        f"{1e3 * median[OURS] / len(lists):.3g}",
        f"{others.cores:.1f}",
    ]


def _run(peer: Callable[[Any], object], batches: list[Any]) -> None:
    for batch in batches:
        peer(batch)


if __name__ == "__main__":
    main()
