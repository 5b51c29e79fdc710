"""Throughput and latency against length and batch, ours and others, as a figure.

    python -m benchmarks.curves [--rounds 5] [--ways ours onnxruntime] [--to benchmarks/curves.svg]

Measures as `benchmarks.embedding` does, over texts of several lengths. A point is the median of the
rounds; in each of them a way computes one batch, or a single text twenty times.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import embedders, embedding, measure
from benchmarks.embedders import Worker

LENGTHS = (8, 16, 32, 64, 128)
"""Tokens of a text, special ones included."""
BATCHES = (1, 4, 16, 64, 256)
BATCH, LENGTH = 32, 16
_LEFT_OUT = ("classic", "padded", "transformers")
_NAMES = {
    "ours": "SavedModel, float32",
    "bfloat16": "SavedModel, bfloat16",
    "litert": "LiteRT, float32",
    "litert_int8": "LiteRT, int8",
    "sentence_transformers": "sentence-transformers",
    "onnxruntime": "ONNX Runtime, float32",
    "onnxruntime_int8": "ONNX Runtime, int8",
    "openvino": "OpenVINO, float32",
}
_SINGLES = 20
_PAUSE = 0.1  # threads of the last one may still spin


class Panel(NamedTuple):
    """A part of the figure.

    Attributes:
        title: what it shows.
        x: what the axis of the points is.
        y: what that of the values is.
        points: texts, and tokens a text, of each point.
        along: which of the two the axis counts, 0 or 1.
        rate: whether values are texts a second; else milliseconds.
    """

    title: str
    x: str
    y: str
    points: Sequence[tuple[int, int]]
    along: int
    rate: bool


_TOKENS, _TEXTS, _RATE = "tokens a text", "texts in a batch", "texts/s"
PANELS = (
    Panel("one text", _TOKENS, "ms", [(1, each) for each in LENGTHS], 1, False),
    Panel(f"batches of {BATCH}", _TOKENS, _RATE, [(BATCH, each) for each in LENGTHS], 1, True),
    Panel(f"{LENGTH} tokens a text", _TEXTS, _RATE, [(each, LENGTH) for each in BATCHES], 0, True),
)
Seconds = Mapping[str, Mapping[tuple[int, int], float]]


def main() -> None:
    """Prints the tables, and draws them."""
    options = _arguments()
    ways = [way for way in embedders.WAYS if way.__name__ not in _LEFT_OUT]
    with tempfile.TemporaryDirectory() as folder:
        paths = embedding.prepare(Path(folder))
        workers = embedders.workers(ways, options.ways, paths)
        with measure.Others() as others:
            seconds = _measured(workers, paths.checkpoint, options.rounds)
            for worker in workers.values():
                worker.stop()
    for panel in PANELS:
        header = [f"{panel.title}: {panel.y}", *(str(point[panel.along]) for point in panel.points)]
        rows = [[name, *map("{:,.1f}".format, _values(panel, seconds[name]))] for name in seconds]
        print(f"\n{measure.table(header, rows)}")
    _draw(seconds, options.to)
    print(f"other processes kept {others.cores:.1f} of {embedders.CORES} cores busy: {options.to}")


def _measured(workers: Mapping[str, Worker], checkpoint: Path, rounds: int) -> Seconds:
    """Way -> point -> seconds of a batch, the median of the rounds."""
    points = sorted({point for panel in PANELS for point in panel.points})
    batches = {point: embedding.of_length(checkpoint, point[1], point[0]) for point in points}
    found: dict[str, dict[tuple[int, int], list[float]]] = {
        name: {point: [] for point in points} for name in workers
    }
    for at, point in itertools.product(range(rounds + 1), points):
        for name, worker in workers.items():
            time.sleep(_PAUSE)
            seconds, _ = worker([batches[point]] * (_SINGLES if point[0] == 1 else 1))
            if at:  # the first round warms up
                found[name][point].append(statistics.median(seconds))
    return {
        name: {point: statistics.median(each) for point, each in of.items()}
        for name, of in found.items()
    }


def _values(panel: Panel, seconds: Mapping[tuple[int, int], float]) -> list[float]:
    if panel.rate:
        return [point[0] / seconds[point] for point in panel.points]
    return [1000 * seconds[point] for point in panel.points]


def _draw(seconds: Seconds, target: Path) -> None:
    style: Any = {"svg.hashsalt": target.stem, "font.size": 9, "axes.spines.top": False}
    with mpl.rc_context({**style, "axes.spines.right": False, "legend.frameon": False}):
        figure = Figure((12, 4.6), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
            _panel(axes, panel, seconds)
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4)
        figure.savefig(target, metadata={"Date": None})


def _panel(axes: Axes, panel: Panel, seconds: Seconds) -> None:
    places = [point[panel.along] for point in panel.points]
    for at, (name, found) in enumerate(seconds.items()):
        ours = name in ("ours", "bfloat16", "litert", "litert_int8")
        axes.plot(
            places,
            _values(panel, found),
            color=f"C{at}",
            marker="osD^vXP*"[at],
            markersize=4,
            linestyle="-" if ours else "--",
            label=_NAMES[name],
        )
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y, xscale="log", yscale="log")
    axes.set_xticks(places, [*map(str, places)])
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is asked")
    names = [*_NAMES]
    parser.add_argument("--ways", nargs="*", choices=names, default=[], help="by default all")
    target = Path(__file__).with_name("curves.svg")
    parser.add_argument("--to", type=Path, default=target, help="the figure")
    return parser.parse_args()


if __name__ == "__main__":
    main()
