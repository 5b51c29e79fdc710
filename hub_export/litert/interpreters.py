"""Interpreters of one file, each lent to one thread at a time."""

import functools
import queue
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hub_export.errors import ExportError, SourceError

Arrays = Mapping[str, npt.NDArray[Any]]
Run = Callable[[str, Arrays], Arrays]


class Interpreters:
    """As many as are in use at once; an interpreter serves one thread only."""

    def __init__(self, file: Path, threads: int) -> None:
        """Makes none yet.

        Args:
            file: the model.
            threads: that each of them computes on.

        Raises:
            ExportError: LiteRT is not installed.
        """
        self._make = functools.partial(interpreter(), str(file), num_threads=threads)
        self._file = file
        self._idle: queue.LifoQueue[Run] = queue.LifoQueue()

    @contextmanager
    def lent(self) -> Iterator[Run]:
        """A function that runs a signature by its name; ExportError where that fails.

        Raises:
            SourceError: the file is damaged.
        """
        try:
            run = self._idle.get_nowait()
        except queue.Empty:
            run = self._made()
        try:
            yield run
        finally:
            self._idle.put(run)

    def _made(self) -> Run:
        try:
            made = self._make()
        except (ValueError, RuntimeError) as error:
            raise SourceError(
                f"{self._file}: cannot be read as a LiteRT model ({error}); export it again"
            ) from error
        runner = functools.cache(made.get_signature_runner)

        def run(signature: str, inputs: Arrays) -> Arrays:
            try:
                outputs = runner(signature)(**inputs)
            except RuntimeError as error:
                raise ExportError(
                    f"{self._file}: cannot be computed ({error}); are all ids, and type ids, among "
                    "those that the model has?"
                ) from error
            return {name: np.asarray(each) for name, each in outputs.items()}

        return run


def interpreter() -> Any:
    """LiteRT's own class.

    Raises:
        ExportError: it is not installed.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415
    except ImportError as error:
        raise ExportError(
            "LiteRT copies need ai-edge-litert (pip install '.[litert]' in the folder of "
            "hub_export)"
        ) from error
    return Interpreter
