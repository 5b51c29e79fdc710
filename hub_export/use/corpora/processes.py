"""A text embedding in this process, or in several others.

A process that is spawned imports this file before anything can be held back of what is said: so it
imports nothing of TensorFlow.
"""

import functools
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from hub_export.errors import ExportError
from hub_export.litert.model import cores
from hub_export.terminal import discard
from hub_export.use.corpora.vectors import Floats

if TYPE_CHECKING:
    from hub_export.use.corpora.text_embedder import TextEmbedder

_BATCHES = 8  # that a process is given at once, at the most

Arguments = tuple[Path, int, int | None]
"""Those of TextEmbedder."""


class AnyEmbedder(Protocol):
    """Embeds lines.

    Attributes:
        width: D.
        fingerprint: differs between any two models.
    """

    width: int
    fingerprint: str

    def __call__(self, lines: Sequence[bytes], advance: Callable[[int], object]) -> Floats:
        """Embeds lines; see `TextEmbedder`."""

    def tokens(self, lines: Sequence[bytes]) -> int:
        """Counts them; see `TextEmbedder`."""


@contextmanager
def embedder(
    folder: Path, batch_size: int, threads: int | None, workers: int
) -> Iterator[AnyEmbedder]:
    """Loads a text embedding.

    Args:
        folder: as TextEmbedder has it.
        batch_size: as TextEmbedder has it.
        threads: cores of a process; by default all, shared among the processes.
        workers: processes; 1 is this one alone.
    """
    if workers == 1:
        from hub_export.use.corpora.text_embedder import TextEmbedder  # noqa: PLC0415

        yield TextEmbedder(folder, batch_size, threads)
        return
    arguments = folder, batch_size, threads or max(1, cores() // workers)
    context = multiprocessing.get_context("spawn")  # TensorFlow does not outlive a fork
    executor = ProcessPoolExecutor(workers, context, _begin)
    try:
        yield ProcessEmbedder(arguments, executor, workers)
    finally:
        executor.shutdown(cancel_futures=True)


class ProcessEmbedder:
    """An exported text embedding in several processes, each of which loads it once."""

    def __init__(self, arguments: Arguments, executor: ProcessPoolExecutor, workers: int) -> None:
        """Loads it in one of them.

        Args:
            arguments: those of TextEmbedder.
            executor: of the processes.
            workers: how many they are.

        Raises:
            SourceError: there is none.
            ExportError: a process ended.
        """
        self._arguments, self._executor, self._workers = arguments, executor, workers
        with _alive():
            self.width, self.fingerprint = executor.submit(_facts, arguments).result()

    def __call__(self, lines: Sequence[bytes], advance: Callable[[int], object]) -> Floats:
        """Embeds lines, those of similar length together, the longest first; see `TextEmbedder`.

        Raises:
            ExportError: a process ended.
        """
        vectors = np.empty((len(lines), self.width), np.float32)
        with _alive():
            given = {self._give(lines, rows): rows for rows in self._shares(lines)}
            for done in as_completed(given):
                vectors[given[done]] = done.result()
                advance(len(given[done]))
        return vectors

    def tokens(self, lines: Sequence[bytes]) -> int:
        """Counts them; see `TextEmbedder`."""
        with _alive():
            return self._executor.submit(_tokens, self._arguments, lines).result()

    def _shares(self, lines: Sequence[bytes]) -> Iterator[npt.NDArray[np.intp]]:
        """Which lines a process is given at once."""
        order = np.argsort([-len(line) for line in lines], kind="stable")
        batch = self._arguments[1]
        most = max(batch, math.ceil(len(lines) / self._workers))  # a share for each of them
        size = min(_BATCHES * batch, most)
        return (order[at : at + size] for at in range(0, len(order), size))

    def _give(self, lines: Sequence[bytes], rows: npt.NDArray[np.intp]) -> "Future[Floats]":
        return self._executor.submit(_embed, self._arguments, [lines[row] for row in rows])


@contextmanager
def _alive() -> Iterator[None]:
    """Says where a process ended."""
    try:
        yield
    except BrokenProcessPool as error:
        raise ExportError(
            "a worker process ended, killed or out of memory; take fewer --workers, and run it "
            "again to go on"
        ) from error


# What runs in a worker process.


def _begin() -> None:
    """Leaves the terminal to the process that began this one, and ends with it."""
    discard(2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@functools.cache
def _loaded(arguments: Arguments) -> "TextEmbedder":
    from hub_export.use.corpora.text_embedder import TextEmbedder  # noqa: PLC0415

    return TextEmbedder(*arguments)


def _facts(arguments: Arguments) -> tuple[int, str]:
    found = _loaded(arguments)
    return found.width, found.fingerprint


def _embed(arguments: Arguments, lines: Sequence[bytes]) -> Floats:
    return _loaded(arguments)(lines, lambda _: None)


def _tokens(arguments: Arguments, lines: Sequence[bytes]) -> int:
    return _loaded(arguments).tokens(lines)
