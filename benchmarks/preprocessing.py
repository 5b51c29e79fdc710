"""Strings a second: exported preprocessors beside their peers, on one batch after the other.

    python -m benchmarks.preprocessing [--rounds 5] [--tokenizers wordpiece bpe] [--batches 32 1]
    python -m benchmarks.preprocessing --exact

The second one takes a few minutes: a tokenizer of each kind, the engines that are exact, batches of
20,000, 32 and 1, three rounds.

Two tasks. *Inputs*: strings to padded encoder inputs of 128. *Tokens*: strings to ids, ragged; by
tokenizers of each kind, where `HUB_EXPORT_TEST_ASSETS` names a folder that has them.

Three peers. *ours*: the exported SavedModel, loaded. *BertTokenizer*, for the demo's checkpoint:
the pipeline of TF-Text's guide, in a tf.function; its ids differ from the checkpoint's on some
texts. *tokenizers*: the checkpoint's own tokenizer, `encode_batch` on all cores, without the
conversion to arrays.

The last column tells how many cores other processes took meanwhile: where it is not near 0, the
peer that uses all cores looks slower than it is.
"""

import argparse
import functools
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text
from tokenizers import Tokenizer

import hub_export
from benchmarks import measure, texts
from hub_export.sources.tokenizer import files as tokenizer_files

SEQ_LENGTH = 128
TEXTS_A_TURN = {20_000: 20_000, 1_024: 8_192, 32: 2_048, 1: 256}
"""Batch size -> how many texts, in batches of that size, a peer takes in one turn."""
LONG_WORD = 20_000
OURS, TF_TEXT, SOURCE = "ours", "BertTokenizer", "tokenizers"

Peers = dict[str, Callable[[Any], object]]
"""Name -> function of a batch: a string tensor, or for `tokenizers` a list."""


class Published(NamedTuple):
    """A published tokenizer among the test assets."""

    folder: str
    tokenizer_class: str
    engine: str = "exact"


DEMO = "demo"
TOKENIZERS = {
    "wordpiece": Published("bert-base-uncased", "BertTokenizer"),
    "unigram-xlmr": Published("xlm-roberta", "XLMRobertaTokenizer"),
    "unigram-xlmr-fast": Published("xlm-roberta", "XLMRobertaTokenizer", "fast"),
    "unigram-albert": Published("albert-privately", "AlbertTokenizer"),
    "unigram-albert-fast": Published("albert-privately", "AlbertTokenizer", "fast"),
    "bpe": Published("roberta", "RobertaTokenizer"),
}
KINDS = ["wordpiece", "unigram-xlmr", "bpe"]


def main() -> None:
    """Prints the table, line by line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokenizers", nargs="*", default=[DEMO, *TOKENIZERS])
    parser.add_argument("--batches", nargs="*", type=int, default=[*TEXTS_A_TURN])
    parser.add_argument("--exact", action="store_true", help="one tokenizer a kind, three rounds")
    asked = parser.parse_args()
    if asked.exact:
        asked.tokenizers, asked.batches, asked.rounds = KINDS, [20_000, 32, 1], 3
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    header = ["task", "tokenizer", "batch", "corpus", *(f"{name}/s" for name in PEERS)]
    header += [f"x {TF_TEXT}", f"x {SOURCE}", "ours, ms a batch", "cores of others"]
    rows = []
    for row in _rows(asked.tokenizers, asked.batches, asked.rounds):
        print(" | ".join(row), flush=True)
        rows.append(row)
    print(measure.table(header, rows))


PEERS = (OURS, TF_TEXT, SOURCE)


def tasks(name: str) -> Iterator[tuple[str, Peers]]:
    """Task -> peers, for the demo's checkpoint or one of TOKENIZERS."""
    if name == DEMO:
        checkpoint = measure.demo_checkpoint()
        model = exported(checkpoint)
        yield "inputs", inputs_peers(checkpoint, model)
        _, tokenizer = _bert_tokenizer(checkpoint)
        stock = tf.function(tokenizer.tokenize, input_signature=[tf.TensorSpec([None], tf.string)])
        yield "tokens", {**tokens_peers(checkpoint, model), TF_TEXT: stock}
        return
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = published(TOKENIZERS[name], Path(folder))
        yield "tokens", tokens_peers(checkpoint, exported(checkpoint, TOKENIZERS[name].engine))


def published(tokenizer: Published, folder: Path) -> Path:
    """A checkpoint around a published tokenizer; of its encoder there is only the size."""
    source = Path(os.environ[texts.ASSETS], "tokenizers", tokenizer.folder)
    shutil.copytree(source, folder, dirs_exist_ok=True)
    options = {"tokenizer_class": tokenizer.tokenizer_class}
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    size = len(tokenizer_files.read(tokenizer_files.find(folder)).get_vocab())
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": size}))
    return folder


def exported(checkpoint: Path, engine: str = "exact") -> Any:
    """The preprocessor, loaded."""
    options: dict[str, Any] = {"parts": ["preprocessor"], "verify": "none"}
    options |= {"padded_embedding": True, "tokenizer_engine": engine}
    with tempfile.TemporaryDirectory() as folder:
        done = hub_export.export(checkpoint, folder, name="x", **options)
        return tf.saved_model.load(str(done.paths["preprocessor"]))


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
    encode = functools.partial(_source(checkpoint).encode_batch, add_special_tokens=False)
    return {OURS: model.tokenize, SOURCE: encode}


def _bert_tokenizer(checkpoint: Path) -> tuple[list[str], tf_text.BertTokenizer]:
    vocabulary = (checkpoint / "vocab.txt").read_text(encoding="utf-8").splitlines()
    ids = tf.range(len(vocabulary), dtype=tf.int64)
    rows = tf.lookup.KeyValueTensorInitializer(tf.constant(vocabulary), ids)
    table = tf.lookup.StaticVocabularyTable(rows, num_oov_buckets=1)
    return vocabulary, tf_text.BertTokenizer(table, lower_case=True)


def _source(checkpoint: Path) -> Tokenizer:
    source = tokenizer_files.read(tokenizer_files.find(checkpoint))
    source.no_truncation()
    source.no_padding()
    return source


def _rows(tokenizers: list[str], batches: list[int], rounds: int) -> Iterator[list[str]]:
    corpora = texts.corpora()
    long_words = {
        "one long word": [texts.long_word(next(iter(corpora.values())), LONG_WORD)],
        "one letter again and again": ["a" * LONG_WORD],
    }
    for tokenizer in tokenizers:
        if tokenizer != DEMO and texts.ASSETS not in os.environ:
            print(f"{texts.ASSETS} is not set: {tokenizer} is left out")
            continue
        for task, peers in tasks(tokenizer):
            for batch in batches:
                chosen = {**corpora, **long_words} if batch == 1 else corpora
                for name, corpus in chosen.items():
                    count = 8 if name in long_words else TEXTS_A_TURN[batch]
                    figures = _figures(peers, texts.take(corpus, count), batch, rounds)
                    yield [task, tokenizer, f"{batch:,}", name, *figures]


def _figures(peers: Peers, taken: list[str], batch: int, rounds: int) -> list[str]:
    """Strings a second of each peer; ours as a multiple, in milliseconds; cores of others."""
    lists = [taken[at : at + batch] for at in range(0, len(taken), batch)]
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

    def cell(name: str, figure: Callable[[str], str]) -> str:
        return figure(name) if name in peers else "-"

    return [
        *(cell(name, lambda name: f"{len(taken) / median[name]:,.0f}") for name in PEERS),
        *(
            cell(name, lambda name: f"{measure.ratio(took[name], took[OURS]):.1f}")
            for name in (TF_TEXT, SOURCE)
        ),
        f"{1e3 * median[OURS] / len(lists):.3g}",
        f"{others.cores:.1f}",
    ]


def _run(peer: Callable[[Any], object], batches: list[Any]) -> None:
    for batch in batches:
        peer(batch)


if __name__ == "__main__":
    main()
