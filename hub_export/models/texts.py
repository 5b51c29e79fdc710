"""Texts in the graph of a model: from strings to rows as long as the longest needs."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from encoders import HeadedEncoder, RealTokens, by_length
from hub_export.errors import SourceError
from hub_export.models.session import Session
from preprocess import Packed, Preprocessor, flat_segment


def traced(function: Callable[..., Any], texts: int = 1) -> tf.types.experimental.ConcreteFunction:
    """A function of so many batches of strings, traced once."""
    specs = [tf.TensorSpec([None], tf.string)] * texts
    return tf.function(function, autograph=False).get_concrete_function(*specs)


def pack(preprocessor: Preprocessor, prompt: str, text: tf.Tensor, *others: tf.Tensor) -> Packed:
    """Texts, string [B] each, in rows as long as the longest needs, up to the preprocessor's."""
    whole = (tf.strings.join([prompt, text]), *others)
    segments = [flat_segment(preprocessor.tokenizer.tokenize(each)) for each in whole]
    lengths = sum(each.row_splits[1:] - each.row_splits[:-1] for each in segments)
    longest = tf.reduce_max(tf.concat([[0], tf.cast(lengths, tf.int32)], axis=0))
    needed = longest + preprocessor.packer.special_tokens(len(segments))
    return preprocessor.packer(segments, tf.clip_by_value(needed, 1, preprocessor.seq_length))


def computing(
    preprocessor: Preprocessor, headed: HeadedEncoder, output: str, prompt: str = ""
) -> Callable[..., tf.Tensor]:
    """From texts to an output of an encoder with a head: a function of (training, text, ...).

    Except in training it computes nothing for padding, and rows of similar length together.
    """
    inside = functools.partial(headed, arrange=RealTokens)

    def compute(training: bool, *texts: tf.Tensor) -> tf.Tensor:
        rows = pack(preprocessor, prompt, *texts)
        if training:
            return headed(*rows, training=True)[output]
        [found] = by_length(lambda *some: [inside(*some)[output]], *rows)
        return found

    return compute


def rows_of_texts(session: Session) -> tuple[Preprocessor, int]:
    """What packs texts as the plan of the session says, and how many tokens are not pooled.

    Raises:
        SourceError: the longest row has no room for the special tokens.
    """
    plan = session.plan
    with plan.applied(session.tokenizer) as lowers:
        preprocessor = session.preprocessor(plan.max_length, lowers)
        skipped = plan.unpooled(session.tokenizer)
    shortest = preprocessor.packer.special_tokens(1 + plan.pairs)
    if plan.max_length < shortest:
        raise SourceError(
            f"{session.checkpoint.config_file}: rows of {plan.max_length} tokens have no room for "
            f"{shortest} special tokens"
        )
    return preprocessor, skipped
