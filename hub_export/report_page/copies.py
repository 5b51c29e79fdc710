"""What was written, how fast it is and how it came to be, as sections of a page."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from hub_export.report_page import plots
from hub_export.report_page.facts import Copy, Facts, Speed
from hub_export.report_page.plots import Line
from hub_export.report_page.section import Plot, Section, Table, short
from hub_export.report_page.speed import LENGTHS, TOGETHER

_OPERATIONS = 12
"""How many have a place on a figure."""
_PLUMBING = frozenset(
    """Arg AssignVariableOp Const DisableCopyOnRead Identity MergeV2Checkpoints NoOp PartitionedCall
    Placeholder ReadVariableOp RestoreV2 SaveV2 ShardedFilename StatefulPartitionedCall
    StaticRegexFullMatch StringJoin VarHandleOp _Arg _Retval""".split()
)
"""Operations that compute nothing of what a user asks: they hold, name, store and call."""


def speeds(facts: Facts) -> Section:
    """How long answers take, by the length of texts, of every copy."""
    found, parts = list[Plot](), dict.fromkeys(each.part for each in facts.copies)
    for part in parts:
        copies = [each for each in facts.copies if each.part == part and each.speeds]
        if copies:
            found.append(_speed(part, copies, 1, "latency", "milliseconds", _milliseconds))
            found.append(_speed(part, copies, TOGETHER, "throughput", "texts a second", _rate))
    text = (
        f"Of one text alone (latency), and of {TOGETHER} at once (throughput), by the number of "
        f"tokens of each. Measured once, at the export, on {facts.cores} cores "
        f"({facts.processor}), beside whatever else the machine did then: the median of up to 20 "
        "calls. The encoder takes rows of ids, all else takes texts. Both scales are logarithmic."
    )
    return Section("speed", "Length, latency and throughput", text, found)


def _speed(
    part: str,
    copies: Sequence[Copy],
    texts: int,
    what: str,
    unit: str,
    number: Callable[[Speed], float],
) -> Plot:
    values = {
        copy.form: {each.tokens: number(each) for each in copy.speeds if each.texts == texts}
        for copy in copies
    }
    lines = [Line(form, [*each], [*each.values()]) for form, each in values.items()]
    lengths = sorted({length for each in values.values() for length in each})
    rows = [
        (
            str(length),
            *(_written(each[length]) if length in each else "" for each in values.values()),
        )
        for length in lengths
    ]
    alt = f"{part}, {what}: " + "; ".join(
        f"{form} from {_written(each[min(each)])} {unit} at {min(each)} tokens to "
        f"{_written(each[max(each)])} at {max(each)}"
        for form, each in values.items()
    )
    key = f"{part.replace(' ', '-')}-{what}"
    ticks = [each for each in LENGTHS if lengths[0] <= each <= lengths[-1]] or lengths
    svg = plots.lines(key, f"{alt}.", lines, "tokens", unit, ticks=ticks)
    return Plot(f"{part}: {what}", svg, Table(("tokens", *values), rows))


def _written(value: float) -> str:
    """A number to three digits at least, without exponents.

    >>> _written(12345.6), _written(0.1234)
    ('12,346', '0.123')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _milliseconds(speed: Speed) -> float:
    return 1e3 * speed.seconds


def _rate(speed: Speed) -> float:
    return speed.texts / speed.seconds


def sizes(copies: Sequence[Copy]) -> Section:
    """How large every copy is, and what of."""
    labels = [_name(each) for each in copies]
    # Files of LiteRT copies have names of their own, and hold graph and weights.
    kinds = [*dict.fromkeys(_kind(name) for each in copies for name in each.files)]
    sizes = [Counter[str]() for _ in copies]
    for size, copy in zip(sizes, copies, strict=True):
        for name, count in copy.files.items():
            size[_kind(name)] += count
    values = {kind: [size[kind] / 1e6 for size in sizes] for kind in kinds}
    totals = [size.total() / 1e6 for size in sizes]
    alt = "; ".join(f"{label} {total:.1f} MB" for label, total in zip(labels, totals, strict=True))
    rows = [
        (label, *(f"{size[kind] / 1e6:.2f}" for kind in kinds), f"{total:.2f}")
        for label, size, total in zip(labels, sizes, totals, strict=True)
    ]
    svg = plots.bars("sizes", f"{alt}.", [short(each) for each in labels], values, "MB")
    table = Table(("MB", *kinds, "together"), rows)
    text = "Megabytes on disk, of 1,000,000 bytes; a LiteRT file holds graph and weights."
    return Section("sizes", "Sizes", text, [Plot("Megabytes of each copy", svg, table)])


def _kind(file: str) -> str:
    return "LiteRT file" if file.endswith(".tflite") else file


def _name(copy: Copy) -> str:
    return copy.part if copy.form == "SavedModel" else f"{copy.part}, {copy.form}"


def operations(copies: Sequence[Copy]) -> Section:
    """What the graph of every copy consists of."""
    text = (
        "How often each operation stands in a graph: of a SavedModel in all its functions "
        "together, of a LiteRT copy in one of its signatures. What holds, names, stores and calls "
        "is in the tables alone."
    )
    found = [_of_operations(at, each) for at, each in enumerate(copies)]
    return Section("operations", "Operations of the graphs", text, found)


def _of_operations(at: int, copy: Copy) -> Plot:
    ordered = sorted(copy.operations.items(), key=lambda each: (-each[1], each[0]))
    shown = [each for each in ordered if each[0] not in _PLUMBING][:_OPERATIONS]
    names, counts = [name for name, _ in shown], [float(count) for _, count in shown]
    alt = (
        f"{_name(copy)}: {len(ordered)} different operations, {sum(copy.operations.values()):,} in "
        f"all. The most frequent that compute: {', '.join(f'{n} {c}' for n, c in shown[:3])}."
    )
    svg = plots.bars(
        f"operations-{at}", alt, [short(each) for each in names], {"count": counts}, "times"
    )
    table = Table(("operation", "times"), [(name, f"{count:,}") for name, count in ordered])
    return Plot(_name(copy), svg, table)


def steps(facts: Facts) -> Section:
    """How long the export took."""
    names = [each.name for each in facts.steps]
    seconds = [each.seconds for each in facts.steps]
    slowest = int(np.argmax(seconds))
    alt = (
        f"{len(names)} steps took {sum(seconds):.0f} seconds together; the longest, "
        f"{names[slowest]}, {seconds[slowest]:.1f}."
    )
    labels = [short(each) for each in names]
    svg = plots.bars("steps", alt, labels, {"seconds": seconds}, "seconds")
    table = Table(
        ("step", "seconds"), [(n, f"{s:.1f}") for n, s in zip(names, seconds, strict=True)]
    )
    text = "How long each step of the export took; measuring for this page is one of them."
    return Section("steps", "Time of each step", text, [Plot("Seconds of each step", svg, table)])
