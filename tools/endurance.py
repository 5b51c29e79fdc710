"""Calls an exported model ten thousand times, and from many threads.

    python -m tools.endurance exported/NAME_text_embedding/1 [--calls=10000] [--threads=16]

Batches of changing sizes of texts of changing lengths, odd ones among them. Prints the resident
memory on the way, then how many answers from threads differed from those of one. Exits with 1 if
one did, or if the memory grew by more than a hundredth over the second half.
"""

import argparse
import itertools
import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tensorflow as tf
import tensorflow_text  # noqa: F401 (its operations)

from hub_export.verify import samples

REPORTS = 20
OF_THREADS = 400


def batch(draw: random.Random, words: Sequence[str]) -> list[str]:
    """One to thirty texts of up to sixty words."""
    return [" ".join(draw.choices(words, k=draw.randrange(60))) for _ in range(draw.randint(1, 30))]


def flat(found: Any) -> list[np.ndarray]:
    """The values of whatever a call gives."""
    return [np.asarray(each) for each in tf.nest.flatten(found, expand_composites=True)]


def alike(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether numbers are close, and all else is the same."""
    if wanted.dtype.kind == "f":
        return np.allclose(found, wanted, rtol=0, atol=1e-5)
    return np.array_equal(found, wanted)


def endure(call: Callable[[list[str]], Any], calls: int, words: Sequence[str]) -> bool:
    """Whether memory stays flat over the second half."""
    draw, process, sizes = random.Random(5), psutil.Process(), list[int]()
    for at in range(calls):
        call(batch(draw, words))
        if (at + 1) % max(calls // REPORTS, 1) == 0:
            sizes.append(process.memory_info().rss >> 20)
            print(f"{at + 1:>7} calls: {sizes[-1]} MB", flush=True)
    half = sizes[len(sizes) // 2 :]
    return half[-1] <= 1.01 * half[0]


def threaded(call: Callable[[list[str]], Any], threads: int, words: Sequence[str]) -> int:
    """How many answers are not those that one thread gives."""
    draw = random.Random(6)
    batches = [batch(draw, words) for _ in range(OF_THREADS)]
    wanted = [flat(call(each)) for each in batches]
    with ThreadPoolExecutor(threads) as pool:
        found = [flat(each) for each in pool.map(call, batches)]
    return sum(
        not all(itertools.starmap(alike, zip(*pair, strict=True)))
        for pair in zip(found, wanted, strict=True)
    )


def main() -> None:
    """Prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--calls", type=int, default=10000)
    parser.add_argument("--threads", type=int, default=16)
    options = parser.parse_args()
    model = tf.saved_model.load(str(options.model))
    words = [*" ".join(samples.AWKWARD).split(), "the", "and", "unaffable", "x" * 300]

    def call(texts: list[str]) -> Any:
        return model(tf.constant(texts))

    is_flat = endure(call, options.calls, words)
    differing = threaded(call, options.threads, words)
    print(f"memory flat over the second half: {'yes' if is_flat else 'no'}")
    print(f"{OF_THREADS} batches from {options.threads} threads: {differing} differ")
    sys.exit(bool(differing) or not is_flat)


if __name__ == "__main__":
    main()
