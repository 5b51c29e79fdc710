"""How long something takes."""

import statistics
import time
from collections.abc import Callable, Iterator

SECONDS, _MOST = 0.25, 20
"""What is spent on one measurement, and how often it is made at most; once at least."""


def seconds(ask: Callable[[], object]) -> float:
    """The median time of a call, after one that is not counted: the first one also plans."""
    ask()
    return statistics.median(_times(ask))


def _times(ask: Callable[[], object]) -> Iterator[float]:
    spent, count = 0.0, 0
    while not count or (spent < SECONDS and count < _MOST):
        begin = time.perf_counter()
        ask()
        took = time.perf_counter() - begin
        yield took
        spent, count = spent + took, count + 1
