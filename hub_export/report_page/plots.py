"""Figures, as wide as a phone shows, drawn by Matplotlib."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from hub_export.report_page import svg
from hub_export.report_page.svg import COLOURS, GRID, INK, LIMIT, MUTED, SERIES
from hub_export.verify.closeness import Floats

_MARKERS, _DASHES = "osD^vXP", ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
_WIDTH, _FONT, _POINTS = 330, 11, 72
"""As wide as a phone shows, so that letters are legible there; in CSS pixels."""
_ROW, _AROUND, _TALL = 17, 58, 240
_ROOM = 2.5
"""How much a logarithmic scale goes on at either end: so that the smallest bar is seen, too."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": _FONT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOURS[MUTED],
    "axes.labelcolor": COLOURS[INK],
    "axes.labelsize": _FONT,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": COLOURS[GRID],
    "text.color": COLOURS[INK],
    "xtick.color": COLOURS[MUTED],
    "ytick.color": COLOURS[MUTED],
    "xtick.labelcolor": COLOURS[INK],
    "ytick.labelcolor": COLOURS[INK],
    "legend.frameon": False,
    "legend.fontsize": _FONT,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
}


class Line(NamedTuple):
    """Values over others.

    Attributes:
        name: what the legend says.
        x: where.
        y: how much.
        limit: where what is allowed ends, if it does.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    limit: float | None = None


def bars(
    key: str,
    alt: str,
    labels: Sequence[str],
    values: Mapping[str, Sequence[float]],
    unit: str,
    *,
    log: bool = False,
    limit: tuple[str, float] | None = None,
) -> str:
    """Bars that lie, one below the other.

    Args:
        key: what no other figure of the page is called.
        alt: what it shows, for those who do not see it.
        labels: what each bar is.
        values: what a bar is made of -> how much of it each bar has; on a log scale, of one only.
        unit: what the numbers are.
        log: whether the scale is logarithmic; zeros have no bar there.
        limit: what ends where.
    """
    with _drawing(key, alt, _AROUND + _ROW * len(labels) + _ROW * (len(values) > 1)) as drawing:
        axes, places, left = drawing.axes, np.arange(len(labels)), np.zeros(len(labels))
        for (name, each), colour in zip(values.items(), SERIES, strict=False):
            axes.barh(places, each, 0.68, left=left, color=COLOURS[colour], label=name)
            left = left + np.asarray(each)
        axes.set(yticks=places, ylim=(len(labels) - 0.4, -0.6), xlabel=unit)
        axes.set_yticklabels([*map(svg.allowed, labels)])
        axes.tick_params("y", length=0)
        axes.grid(visible=False, axis="y")
        if limit is not None:
            axes.axvline(limit[1], color=COLOURS[LIMIT], linestyle="--", label=limit[0])
        if log:
            _logarithmic(axes, "x", [*left, *([limit[1]] if limit else [])])
        if limit is not None or len(values) > 1:
            _legend(axes, len(values) + (limit is not None))
    return drawing.svg


def lines(
    key: str, alt: str, found: Sequence[Line], x: str, y: str, *, ticks: Sequence[int] = ()
) -> str:
    """Lines over a logarithmic scale, on a logarithmic one; what they are stands above them."""
    with _drawing(key, alt, _TALL + _ROW * ((len(found) + 1) // 2)) as drawing:
        axes = drawing.axes
        for at, each in enumerate(found):
            colour, dashes = _colour(at), _DASHES[at % len(_DASHES)]
            axes.plot(
                each.x,
                each.y,
                color=colour,
                marker=_MARKERS[at % len(_MARKERS)],
                ls=dashes,
                label=svg.allowed(each.name),
            )
        axes.set(xlabel=x, ylabel=y)
        _logarithmic(axes, "x", [value for each in found for value in each.x])
        _logarithmic(axes, "y", [value for each in found for value in each.y])
        axes.set_xticks(ticks, [str(each) for each in ticks])
        _legend(axes, len(found))
    return drawing.svg


def stairs(key: str, alt: str, found: Sequence[Line], x: str, y: str) -> str:
    """Shares by powers of two, each with the limit of what is allowed.

    `x` of a line are the upper ends of the stairs.
    """
    with _drawing(key, alt, _TALL + _ROW * len(found)) as drawing:
        axes = drawing.axes
        for at, each in enumerate(found):
            colour, dashes = _colour(at), _DASHES[at % len(_DASHES)]
            edges = [each.x[0] / 2, *each.x]
            name = svg.allowed(each.name)
            axes.stairs(each.y, edges, color=colour, ls=dashes, lw=1.8, label=name)
            if each.limit is not None:
                axes.axvline(each.limit, color=colour, lw=1.2, ls=":")
        axes.set(xlabel=x, ylabel=y, ylim=(0, None))
        ends = [value for each in found for value in (each.x[0] / 2, *each.x, each.limit)]
        _logarithmic(axes, "x", [value for value in ends if value is not None])
        _legend(axes, len(found), 1)
    return drawing.svg


def map_of(key: str, alt: str, values: Floats, colour: str, least: float, most: float) -> str:
    """A square of squares, the more of the colour the larger the value, [n, n] between two."""
    count = len(values)
    with _drawing(key, alt, _WIDTH) as drawing:
        axes = drawing.axes
        for row, column in np.ndindex(*values.shape):
            share = np.clip((values[row, column] - least) / max(most - least, 1e-30), 0, 1)
            corner = (column + 0.54, row + 0.54)
            axes.add_patch(
                Rectangle(corner, 0.92, 0.92, color=COLOURS[colour], alpha=float(share), lw=0)
            )
        places = np.arange(1, count + 1)
        axes.set(xlim=(0.5, count + 0.5), ylim=(count + 0.5, 0.5), xticks=places, yticks=places)
        axes.set_aspect("equal")
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return drawing.svg


def _colour(at: int) -> str:
    return COLOURS[SERIES[at % len(SERIES)]]


class _Drawing:
    """A figure, and what became of it when it is done."""

    svg: str

    def __init__(self, height: float) -> None:
        size = (_WIDTH / _POINTS, height / _POINTS)
        self.figure = Figure(size, dpi=_POINTS, layout="constrained")
        self.axes: Axes = self.figure.add_subplot()


@contextmanager
def _drawing(key: str, alt: str, height: float) -> Iterator[_Drawing]:
    with mpl.rc_context({**_STYLE, "svg.hashsalt": key}):
        drawing, file = _Drawing(height), io.StringIO()
        yield drawing
        drawing.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    drawing.svg = svg.inline(file.getvalue(), key, alt)


def _legend(axes: Axes, count: int, columns: int = 2) -> None:
    axes.figure.legend(
        loc="outside upper left", ncols=min(columns, count), handlelength=2.2, columnspacing=1.2
    )


def _logarithmic(axes: Axes, which: str, values: Sequence[float]) -> None:
    """Makes an axis logarithmic, with room around what is larger than zero."""
    axis: Axis = axes.xaxis if which == "x" else axes.yaxis
    real = [value for value in values if value > 0] or [1.0]
    low, high = min(real) / _ROOM, max(real) * _ROOM
    axes.set(**{f"{which}lim": (low, high)})
    axes.set(**{f"{which}scale": "log"})
    decades = int(np.log10(high / low)) + 1
    axis.set_major_locator(
        LogLocator(10 ** max(1, -(-decades // 5)), (1, 2, 5) if decades < 2 else (1,))
    )
    axis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
    axis.set_minor_locator(NullLocator())


def power(value: float) -> str:
    """A power of ten, or a number near one, as it is written.

    >>> power(100), power(0.2), power(1e-6), power(1e7)
    ('100', '0.2', '10⁻⁶', '10⁷')
    """
    exponent = round(np.log10(value))
    if -2 <= exponent <= 4:
        return f"{value:g}"
    return "10" + str(exponent).translate(_SUPERSCRIPTS)
