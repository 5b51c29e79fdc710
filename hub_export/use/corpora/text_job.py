"""Answering lines or rows, window by window, so that it can be stopped and taken up again.

Beside the output stands a file of state, replaced after each window: which model, how much of the
input has been answered, its sha256, and how long each output is. Whatever was written after that
is cut off when the work is taken up.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic

from hub_export.errors import TargetError
from hub_export.use.corpora.growing_file import Answers, GrowingFile, Row, state_file
from hub_export.use.corpora.records import Records

_ANEW = "begin anew with --restart"


@dataclasses.dataclass(frozen=True)
class State:
    """How far the work is.

    Attributes:
        model: the fingerprint of the model.
        offset: how much of the input has been answered, as `Records` counts it.
        digest: its sha256.
        rows: how many there are in it.
        sizes: bytes of each output.
        complete: whether the outputs only lack their names.
        options: what else makes the outputs what they are.
    """

    model: str
    offset: int
    digest: str
    rows: int
    sizes: Sequence[int]
    complete: bool = False
    options: str = ""

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


@dataclasses.dataclass(frozen=True)
class Work(Generic[Row, Answers]):
    """What is done with records.

    Attributes:
        model: the fingerprint of the model.
        read: makes a row of a record; raises SourceError.
        answer: what the model says to rows; tells its second argument of those that are done.
        options: as State has them.
        window_lines: how many rows are held at once, where that is less than usual.
    """

    model: str
    read: Callable[[Any], Row]
    answer: Callable[[Sequence[Row], Callable[[int], object]], Answers]
    options: str = ""
    window_lines: int | None = None


class TextJob(Generic[Row, Answers]):
    """From the records of an input to files of answers."""

    def __init__(
        self, work: Work[Row, Answers], files: Sequence[GrowingFile[Row, Answers]]
    ) -> None:
        """Opens nothing yet.

        Args:
            work: makes the answers.
            files: the outputs; the first one names the file of state.
        """
        self._work = work
        self._files = files
        self._state_file = state_file(files[0].path)

    def begun(self) -> State | None:
        """How far an earlier run came, if it left anything.

        Raises:
            TargetError: it was run with another model or other options, or for other outputs, or
                one is gone.
        """
        if not self._state_file.exists():
            return None
        state = State.read(self._state_file)
        # The first output is the last one that gets its name.
        if not (self._files[0].part.exists() or (state.complete and self._files[0].path.exists())):
            return None
        if state.model != self._work.model:
            raise TargetError(f"{self._state_file}: begun with another model; {_ANEW}")
        if len(state.sizes) != len(self._files):
            raise TargetError(f"{self._state_file}: begun with other outputs; {_ANEW}")
        if state.options != self._work.options:
            raise TargetError(
                f"{self._state_file}: begun with other options ({state.options}); {_ANEW}"
            )
        for file in self._files:
            if not (file.part.exists() or (state.complete and file.path.exists())):
                raise TargetError(f"{file.part}: is gone; {_ANEW}")
        return state

    def run(
        self, lines: Records[Any], state: State | None, advance: Callable[[int], object]
    ) -> int:
        """Answers what is left, and gives the outputs their names.

        Args:
            lines: the input, from its beginning.
            state: how far it has been answered.
            advance: told of every line.

        Returns:
            How many lines the outputs hold.

        Raises:
            SourceError: the input is not the one that was begun with.
            TargetError: an output cannot be written.
        """
        with contextlib.ExitStack() as opened:  # and locked, until they have their names
            for at, file in enumerate(self._files):
                if state is None or not state.complete or file.part.exists():
                    file.open(None if state is None else state.sizes[at])
                    opened.callback(file.file.close)
            if state is None or not state.complete:
                state = self._completed(lines, state, advance)
            return self._named(state)

    def _completed(
        self, lines: Records[Any], state: State | None, advance: Callable[[int], object]
    ) -> State:
        rows = 0
        if state is None:
            self._state_file.unlink(missing_ok=True)  # of what the files held before
        else:
            lines.skip(state.offset, state.digest)
            rows = state.rows
            advance(rows)
        for window in lines.windows(self._work.read, self._work.window_lines):
            self._append(window, advance)
            rows += len(window)
            self._state(lines, rows).write(self._state_file)
        done = self._state(lines, rows, complete=True)
        for file in self._files:
            file.complete(rows)
        done.write(self._state_file)
        return done

    def _append(self, window: Sequence[Row], advance: Callable[[int], object]) -> None:
        answers = self._work.answer(window, advance)
        for file in self._files:
            file.append(window, answers)

    def _state(self, lines: Records[Any], rows: int, complete: bool = False) -> State:
        sizes, work = [file.sync() for file in self._files], self._work
        return State(work.model, lines.offset, lines.digest, rows, sizes, complete, work.options)

    def _named(self, state: State) -> int:
        """Gives the outputs their names, those that have none yet; returns the rows they hold."""
        for file in reversed(self._files):
            if file.part.exists():
                file.name()
        self._state_file.unlink(missing_ok=True)
        return state.rows
