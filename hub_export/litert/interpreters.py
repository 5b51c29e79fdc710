"""Interpreters of one file, each lent to one thread at a time."""

import functools
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hub_export.errors import ExportError, SourceError
from hub_export.litert import one_signature

Arrays = Mapping[str, npt.NDArray[Any]]
Run = Callable[[str, Arrays], Arrays]


_FEW = 3
"""So many signatures have interpreters of their own; with more, an interpreter has them all."""
_ALL = ""


class Interpreters:
    """As many as are in use at once; an interpreter serves one thread only.

    At first one is made for each signature that is asked, which takes less time and memory than one
    that has all. Each has a copy of the file, so that many of them would take more.
    """

    def __init__(self, file: Path, threads: int) -> None:
        """Makes none yet.

        Args:
            file: the model.
            threads: that each of them computes on.

        Raises:
            ExportError: LiteRT is not installed.
        """
        self._make = functools.partial(interpreter(), num_threads=threads)
        self._file = file
        self._lock = threading.Lock()
        self._idle: dict[str, queue.LifoQueue[Run]] = {}

    @contextmanager
    def lent(self, signature: str) -> Iterator[Run]:
        """A function that runs a signature by its name; ExportError where that fails.

        Raises:
            SourceError: the file is damaged.
        """
        which, idle = self._of(signature)
        try:
            run = idle.get_nowait()
        except queue.Empty:
            run = self._made(which)
        try:
            yield run
        finally:
            idle.put(run)

    def _of(self, signature: str) -> tuple[str, queue.LifoQueue[Run]]:
        """Which signatures an interpreter has to have, and those of them that nobody uses."""
        with self._lock:
            if _ALL not in self._idle and len({*self._idle, signature}) > _FEW:
                self._idle = {_ALL: queue.LifoQueue()}
            which = _ALL if _ALL in self._idle else signature
            return which, self._idle.setdefault(which, queue.LifoQueue())

    def _made(self, signature: str) -> Run:
        try:
            alone = one_signature.content(self._file, signature) if signature else None
            source = {"model_content": alone} if alone else {"model_path": str(self._file)}
            made = self._make(**source)
        except (OSError, ValueError, RuntimeError) as error:
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
