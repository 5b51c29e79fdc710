"""Text stays on the host: strings do so anyway, and the integers made of them are packed there.

On a GPU each small operation of a tokenizer would cost a launch, and many of them copies to and
fro; so what is copied are finished rows.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import tensorflow as tf

P = ParamSpec("P")
T = TypeVar("T")
HOST = "/device:CPU:0"


def on_host(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, whose operations are the host's on every machine."""

    @functools.wraps(function)
    def placed(*arguments: P.args, **named: P.kwargs) -> T:
        with tf.device(HOST):
            return function(*arguments, **named)

    return placed
