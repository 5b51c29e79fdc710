"""Embedding a stream of lines, window by window, so that it can be stopped and taken up again.

Beside the output stands a file of state, replaced after each window: which model, how much of the
input has been embedded, its sha256, and how long each output is. Whatever was written after that
is cut off when the work is taken up.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hub_export.errors import TargetError
from hub_export.use.text_embedder import TextEmbedder
from hub_export.use.text_lines import TextLines
from hub_export.use.vector_files import Floats, GrowingFile, state_file

_ANEW = "begin anew with --restart"


@dataclasses.dataclass(frozen=True)
class State:
    """How far the work is.

    Attributes:
        model: the fingerprint of the model.
        offset: bytes of the input that have been embedded.
        digest: their sha256.
        rows: lines of them.
        sizes: bytes of each output.
        complete: whether the outputs only lack their names.
    """

    model: str
    offset: int
    digest: str
    rows: int
    sizes: Sequence[int]
    complete: bool = False

    def write(self, path: Path) -> None:
        """Puts it in the place of the one before, in one step."""
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")
        new.replace(path)

    @classmethod
    def read(cls, path: Path) -> "State":
        """Reads it.

        Raises:
            TargetError: it is damaged.
        """
        try:
            state = cls(**json.loads(path.read_text(encoding="utf-8")))
            numbers = [state.offset, state.rows, *state.sizes]
        except (OSError, ValueError, TypeError) as error:
            raise TargetError(f"{path}: damaged ({error}); {_ANEW}") from error
        if not all(isinstance(each, int) for each in numbers):
            raise TargetError(f"{path}: damaged (expected numbers, found {numbers}); {_ANEW}")
        return state


class EmbeddingJob:
    """From the lines of a stream to files of vectors."""

    def __init__(
        self, embedder: TextEmbedder, files: Sequence[GrowingFile], batch_size: int
    ) -> None:
        """Opens nothing yet.

        Args:
            embedder: the model.
            files: the outputs; the first one names the file of state.
            batch_size: how many lines are embedded together.
        """
        self._embedder = embedder
        self._files = files
        self._batch_size = batch_size
        self._state_file = state_file(files[0].path)

    def begun(self) -> State | None:
        """How far an earlier run came, if it left anything.

        Raises:
            TargetError: it was run with another model, or for other outputs, or one is gone.
        """
        if not self._state_file.exists():
            return None
        state = State.read(self._state_file)
        # The first output is the last one that gets its name.
        if not (self._files[0].part.exists() or (state.complete and self._files[0].path.exists())):
            return None
        if state.model != self._embedder.fingerprint:
            raise TargetError(f"{self._state_file}: begun with another model; {_ANEW}")
        if len(state.sizes) != len(self._files):
            raise TargetError(f"{self._state_file}: begun with other outputs; {_ANEW}")
        for file in self._files:
            if not (file.part.exists() or (state.complete and file.path.exists())):
                raise TargetError(f"{file.part}: is gone; {_ANEW}")
        return state

    def run(self, lines: TextLines, state: State | None, advance: Callable[[int], object]) -> int:
        """Embeds what is left, and gives the outputs their names.

        Args:
            lines: the input, from its beginning.
            state: how far it has been embedded.
            advance: told of every line.

        Returns:
            How many lines the outputs hold.

        Raises:
            SourceError: the input is not the one that was begun with.
            TargetError: an output cannot be written.
        """
        rows = 0
        if state is not None and state.complete:
            return self._named(state)
        for at, file in enumerate(self._files):
            file.open(None if state is None else state.sizes[at])
        if state is None:
            self._state_file.unlink(missing_ok=True)  # of what the files held before
        else:
            lines.skip(state.offset, state.digest)
            rows = state.rows
            advance(rows)
        for window in lines.windows():
            vectors = self._embedded(window, advance)
            for file in self._files:
                file.append(window, vectors)
            rows += len(window)
            self._state(lines, rows).write(self._state_file)
        done = self._state(lines, rows, complete=True)
        for file in self._files:
            file.close(rows)
        done.write(self._state_file)
        return self._named(done)

    def _state(self, lines: TextLines, rows: int, complete: bool = False) -> State:
        sizes = [file.sync() for file in self._files]
        model = self._embedder.fingerprint
        return State(model, lines.offset, lines.digest, rows, sizes, complete)

    def _named(self, state: State) -> int:
        """Gives the outputs their names, those that have none yet; returns the rows they hold."""
        for file in reversed(self._files):
            if file.part.exists():
                file.part.replace(file.path)
        self._state_file.unlink(missing_ok=True)
        return state.rows

    def _embedded(self, window: Sequence[bytes], advance: Callable[[int], object]) -> Floats:
        vectors = np.empty((len(window), self._embedder.width), np.float32)
        for rows, found in self._embedder(window, self._batch_size):
            vectors[rows] = found
            advance(len(rows))
        return vectors
