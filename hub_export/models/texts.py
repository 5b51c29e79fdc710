"""Texts in the graph of a model: from strings to rows as long as the longest needs."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from encoders import HeadedEncoder, RealTokens, by_length
from hub_export import contract
from hub_export.errors import SourceError
from hub_export.models.session import Session
from preprocess import Packed, Preprocessor, Segment, flat_segment, owners, stretches


def traced(function: Callable[..., Any], texts: int = 1) -> tf.types.experimental.ConcreteFunction:
    """A function of so many batches of strings, traced once."""
    specs = [tf.TensorSpec([None], tf.string)] * texts
    return tf.function(function, autograph=False).get_concrete_function(*specs)


def called(call: Callable[..., Any]) -> tf.types.experimental.PolymorphicFunction:
    """A function of (sentences, training), traced for training and not."""
    function = tf.function(call, autograph=False)
    for training in (False, True):
        function.get_concrete_function(contract.text_spec("sentences"), training=training)
    return function


def packing(preprocessor: Preprocessor, prompt: str = "") -> Callable[..., Packed]:
    """What packs texts, string [B] each, in rows as long as the longest needs.

    That is up to the preprocessor's length. It is traced once for one text a row, and once for two.

    Args:
        preprocessor: tokenizes and packs.
        prompt: put before the first text of a row.
    """
    tokenizer = preprocessor.tokenizer

    def pack(text: tf.Tensor, *others: tf.Tensor) -> Packed:
        whole = (tf.strings.join([prompt, text]), *others)
        tokens = map(tokenizer.traced(tokenizer.tokenize), whole)
        return packed(preprocessor, [flat_segment(each) for each in tokens])

    @functools.cache
    def function(texts: int) -> tf.types.experimental.ConcreteFunction:
        return traced(pack, texts)

    return lambda *texts: function(len(texts))(*texts)


def packed(preprocessor: Preprocessor, segments: Sequence[Segment], least: int = 1) -> Packed:
    """The same of tokens, in rows that are at least of a length."""
    lengths = sum(each.row_splits[1:] - each.row_splits[:-1] for each in segments)
    longest = tf.reduce_max(tf.concat([[0], tf.cast(lengths, tf.int32)], axis=0))
    needed = longest + preprocessor.packer.special_tokens(len(segments))
    return preprocessor.packer(segments, tf.clip_by_value(needed, least, preprocessor.seq_length))


class Located(NamedTuple):
    """Rows of tokens, and which bytes of the texts they are.

    Attributes:
        rows: the rows.
        is_text: bool [B, S], whether a token is the text's: no padding, nothing that packing adds.
        start: its first byte, int64 [B, S]; 0 where it is not the text's.
        limit: the byte behind it, likewise.
    """

    rows: Packed
    is_text: tf.Tensor
    start: tf.Tensor
    limit: tf.Tensor


def locate(preprocessor: Preprocessor, text: tf.Tensor) -> Located:
    """Packs texts, string [B], as `packing` does."""
    tokenizer = preprocessor.tokenizer
    ids, *places = tokenizer.traced(tokenizer.tokenize_with_offsets)(text)
    values, splits = flat_segment(ids)
    # What is packed are the numbers of the tokens, below zero, where no id is.
    rows = packed(preprocessor, [Segment(-1 - tf.range(tf.size(values)), splits)])
    is_text = rows.word_ids < 0
    numbers = tf.where(is_text, -1 - rows.word_ids, tf.size(values))

    def placed(x: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.concat([x, tf.zeros([1], x.dtype)], axis=0), numbers)

    word_ids = tf.where(is_text, placed(values), rows.word_ids)
    return Located(
        rows._replace(word_ids=word_ids), is_text, *(placed(each.flat_values) for each in places)
    )


def computing(
    rows: Callable[..., Packed], headed: HeadedEncoder, output: str
) -> Callable[..., tf.Tensor]:
    """From texts to an output of an encoder with a head: a function of (training, text, ...).

    Except in training it computes nothing for padding, and rows of similar length together.

    Args:
        rows: what packs the texts.
        headed: the encoder with its head.
        output: which of its outputs.
    """

    @functools.cache
    def function(training: bool) -> tf.types.experimental.ConcreteFunction:
        def compute(*row: tf.Tensor) -> tf.Tensor:
            return of_rows(headed, output, training, Packed(*row))

        specs = contract.input_specs().values()
        return tf.function(compute, autograph=False).get_concrete_function(*specs)

    return lambda training, *texts: function(training)(*rows(*texts))


def of_rows(headed: HeadedEncoder, output: str, training: bool, rows: Packed) -> tf.Tensor:
    """An output of an encoder with a head for packed rows, likewise."""
    if training:
        return headed(*rows, training=True)[output]
    inside = functools.partial(headed, arrange=RealTokens)
    [found] = by_length(lambda *some: [inside(*some)[output]], *rows)
    return found


def rows_of_texts(session: Session) -> Preprocessor:
    """What packs texts as the plan of the session says.

    Raises:
        SourceError: the longest row has no room for the special tokens.
    """
    plan = session.plan
    with plan.applied(session.tokenizer) as lowers:
        preprocessor = session.tokenization.preprocessor(plan.max_length, lowers)
    shortest = preprocessor.packer.special_tokens(1 + plan.pairs)
    if plan.max_length < shortest:
        raise SourceError(
            f"{session.checkpoint.config_file}: rows of {plan.max_length} tokens have no room for "
            f"{shortest} special tokens"
        )
    return preprocessor


def cut(texts: tf.Tensor, rows: tf.Tensor, starts: tf.Tensor, limits: tf.Tensor) -> tf.Tensor:
    """Stretches of texts, byte by byte, so that a long text is not copied for each of them.

    Args:
        texts: string [B].
        rows: the text of each stretch, int64 [n].
        starts: its first byte, int64 [n].
        limits: the byte behind it, int64 [n]; nothing is cut where that is not behind.

    Returns:
        string [n].
    """
    split = tf.strings.bytes_split(texts)
    begins = tf.gather(split.row_starts(), rows) + starts
    places, splits = stretches(begins, tf.maximum(limits - starts, 0))
    return tf.strings.unsorted_segment_join(
        tf.gather(split.values, places), owners(splits), tf.size(rows)
    )
