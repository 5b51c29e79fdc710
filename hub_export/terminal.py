"""What a person at a terminal sees: lines, bars, and nothing of TensorFlow's start-up."""

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from tqdm import tqdm

T = TypeVar("T")

_interrupted = threading.Event()


def heed_signals() -> None:
    """Makes SIGINT and SIGTERM raise KeyboardInterrupt.

    What a signal handler raises is lost if a destructor was running: `Progress` then raises it.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _interrupt)


class Step(NamedTuple):
    """A step of a command.

    Attributes:
        name: what was said before it.
        seconds: that it took.
    """

    name: str
    seconds: float


class Progress:
    """Lines and bars on the standard error stream, or nothing at all.

    Raises KeyboardInterrupt where an export has been interrupted.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._said: list[tuple[str, float]] = []

    @property
    def steps(self) -> list[Step]:
        """What was said so far; the last step until now."""
        ends = [*(begin for _, begin in self._said[1:]), time.perf_counter()]
        steps = zip(self._said, ends, strict=False)
        return [Step(line, end - begin) for (line, begin), end in steps]

    def say(self, line: str) -> None:
        """Says what comes next."""
        self._said.append((line, time.perf_counter()))
        _raise_if_interrupted()
        if not self._quiet:
            print(line, file=sys.stderr, flush=True)

    @contextmanager
    def bar(self, description: str, total: int | None, unit: str = "") -> Iterator["Advance"]:
        """A bar up to `total`, if that is known; gives what advances it."""
        with tqdm(
            total=total, desc=description, unit=unit, disable=self._quiet or None, leave=False
        ) as bar:
            yield Advance(bar)

    def over(self, description: str, items: Sequence[T]) -> Iterator[T]:
        """The items, one after the other, with a bar."""
        with self.bar(description, len(items)) as advance:
            for item in items:
                yield item
                advance(1)


class Advance:
    """Advances a bar; raises KeyboardInterrupt where the command has been interrupted."""

    def __init__(self, bar: "tqdm[object]") -> None:
        self._bar = bar

    def __call__(self, count: int) -> None:
        """Tells of so many that are done."""
        _raise_if_interrupted()
        self._bar.update(count)

    def note(self, text: str) -> None:
        """Says something behind the bar."""
        self._bar.set_postfix_str(text)


def show(text: str) -> None:
    """Prints; that the reader, such as `head`, has read enough is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        discard(sys.stdout.fileno())  # or what Python still writes at its end would fail, too


def discard(descriptor: int) -> None:
    """Lets what is written to a file descriptor from now on go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


@contextmanager
def silenced() -> Iterator[None]:
    """Holds back what is written to the error stream, by C++ too; shows it if anything fails."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(terminal, said.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _interrupt(*_: object) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _raise_if_interrupted() -> None:
    if _interrupted.is_set():
        raise KeyboardInterrupt
