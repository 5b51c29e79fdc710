"""Functions traced as saving looks for them."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def for_saving() -> Iterator[None]:
    """Traces functions for `tf.saved_model.save`, which else traces every one of them once more.

    TensorFlow keeps what it has traced by, among others, how variables are saved, and has no public
    name for that. Where a later version has none at all, functions are traced twice.
    """
    try:
        from tensorflow.python.saved_model import save_context  # noqa: PLC0415
    except ImportError:
        yield
        return
    with save_context.save_context(tf.saved_model.SaveOptions()):
        yield
