"""What a page shows: sections of figures, each with words for who does not see it, and a table."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hub_export.report_page import plots
from hub_export.report_page.facts import Copy, Facts, Speed
from hub_export.report_page.plots import Line
from hub_export.report_page.speed import LENGTHS, TOGETHER
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Floats
from hub_export.verify.details import Script, Scripts, Similarities, Spread

_LAYER = re.compile(r"numbers, (?:encoder_outputs_(\d+)|(\w+))")
_SPREADS = re.compile(r"numbers, (sequence_output|pooled_output)|(vectors), against")
_SCRIPTS, _OPERATIONS, _STEPS = 20, 12, 20
"""How many have a place on a figure; differences of fewer steps below what is allowed."""
_PLUMBING = frozenset(
    """Arg AssignVariableOp Const DisableCopyOnRead Identity MergeV2Checkpoints NoOp PartitionedCall
    Placeholder ReadVariableOp RestoreV2 SaveV2 ShardedFilename StatefulPartitionedCall
    StaticRegexFullMatch StringJoin VarHandleOp _Arg _Retval""".split()
)
"""Operations that compute nothing of what a user asks: they hold, name, store and call."""


class Table(NamedTuple):
    """Attributes: header: a name for each column; rows: of words and numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Plot(NamedTuple):
    """A figure.

    Attributes:
        title: what it is of.
        svg: an element of the page.
        table: the same in numbers.
    """

    title: str
    svg: str
    table: Table


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        key: what a link to it is called.
        title: what it is about.
        text: how to read it.
        plots: the figures; none where nothing is known.
        items: what the numbers on figures stand for.
    """

    key: str
    title: str
    text: str
    plots: Sequence[Plot]
    items: Sequence[str] = ()


def sections(facts: Facts) -> Iterator[Section]:
    """The parts of a page, in their order."""
    checks = facts.report.checks
    yield _layers(checks)
    yield _spreads(checks)
    yield _scripts(checks)
    yield _similarities(checks)
    yield _speeds(facts)
    yield _sizes(facts.copies)
    yield _operations(facts.copies)
    yield _steps(facts)


def _layers(checks: Sequence[Check]) -> Section:
    of_encoder = [each for each in checks if _LAYER.fullmatch(each.subject)]
    # The blocks first, in their order, then what is made of the last.
    of_encoder.sort(key=lambda each: "encoder_outputs" not in each.subject)
    others = [each for each in checks if "distance" in each.figures and each not in of_encoder]
    found = []
    if of_encoder:
        title = "The encoder, layer by layer"
        found.append(_distances("layers", title, of_encoder, "largest value", "scale"))
    if others:
        title = "Everything else whose numbers were compared"
        found.append(_distances("others", title, others, "allowed", "allowed"))
    text = (
        "How far the export is from its source at most, over all samples, by call and by "
        "signature. The dashed line is what is allowed: no bar may cross it. The scale is "
        "logarithmic."
    )
    return Section("layers", "Parity, layer by layer", text, found)


def _distances(key: str, title: str, checks: Sequence[Check], of: str, by: str) -> Plot:
    """The distance of each check, divided by another of its figures."""
    unit = f"difference / {of}"
    labels = [_label(each.subject) for each in checks]
    values = [each.figures["distance"] / each.figures[by] for each in checks]
    limit = max(each.figures["allowed"] / each.figures[by] for each in checks)
    worst = int(np.argmax(values))
    alt = (
        f"{len(checks)} bars of {unit}. The largest, {values[worst]:.1e}, is that of "
        f"{labels[worst]}; {limit:.1e} is allowed."
    )
    rows = [
        (label, f"{value:.2e}", f"{each.figures['distance']:.2e}", f"{each.figures['allowed']:.2e}")
        for label, value, each in zip(labels, values, checks, strict=True)
    ]
    header = ("what", unit, "difference", "allowed")
    svg = plots.bars(
        key,
        alt,
        [_short(each) for each in labels],
        {"largest difference": values},
        unit,
        log=True,
        limit=("allowed", limit),
    )
    return Plot(title, svg, Table(header, rows))


def _label(subject: str) -> str:
    """What a check is called on a figure; blocks count from one.

    >>> _label("numbers, encoder_outputs_0"), _label("vectors, against torch")
    ('layer 1', 'vectors')
    """
    found = _LAYER.fullmatch(subject)
    if found is None:
        what = subject.partition(", against")[0]
        return what.replace("numbers, ", "").replace("vectors of sentences", "sentences")
    return f"layer {int(found[1]) + 1}" if found[1] else found[2]


_BEGIN, _END = 9, 19


def _short(label: str) -> str:
    """A label that leaves room for its bar; its end tells it from others.

    >>> _short("building and saving the text_embedding")
    'building …the text_embedding'
    """
    return label if len(label) <= _BEGIN + _END else f"{label[:_BEGIN]}…{label[-_END:].lstrip()}"


def _spreads(checks: Sequence[Check]) -> Section:
    spreads = [
        (_label(each.subject), each.details, float(each.figures["allowed"]))
        for each in checks
        if isinstance(each.details, Spread) and _SPREADS.match(each.subject)
    ]
    text = (
        "How many of all numbers that were compared are how far from the source's. Each step "
        "is twice as far as the one before; dotted lines are what is allowed. The table also "
        "counts those that are equal in every bit or nearly so."
    )
    plotted = [each for each in spreads if any(at is not None for at in each[1].counts)]
    found = [_spread(plotted, spreads)] if plotted else []
    return Section("differences", "Distribution of differences", text, found)


Spreads = Sequence[tuple[str, Spread, float]]


def _spread(plotted: Spreads, spreads: Spreads) -> Plot:
    totals = {name: sum(spread.counts.values()) for name, spread, _ in spreads}
    exponents = {at for _, spread, _ in spreads for at in spread.counts if at is not None}
    least = round(np.log2(min(limit for *_, limit in spreads))) - _STEPS
    every = range(max(least, min(exponents)), max(exponents) + 1)
    lines = [
        Line(
            name,
            [2.0**at for at in every],
            [100 * spread.counts.get(at, 0) / totals[name] for at in every],
            limit,
        )
        for name, spread, limit in plotted
    ]
    steps: list[tuple[str, Sequence[int | None]]] = [("equal in every bit", [None])]
    steps.append((f"less than {2.0 ** (every[0] - 1):.1e}", sorted(exponents - {*every})))
    steps += [(f"{2.0 ** (at - 1):.1e} to {2.0**at:.1e}", [at]) for at in every]
    rows = [
        [name, *(f"{sum(each.counts.get(at, 0) for at in some):,}" for _, each, _ in spreads)]
        for name, some in steps
    ]
    rows.append(["allowed", *(f"{limit:.1e}" for *_, limit in spreads)])
    alt = "Shares of differences by their size. " + " ".join(
        f"Of {totals[name]:,} numbers of {name}, most differ by about {_usual(spread):.1e}; "
        f"{limit:.1e} is allowed."
        for name, spread, limit in plotted
    )
    svg = plots.stairs("differences", alt, lines, "difference", "percent of all numbers")
    table = Table(("difference", *(name for name, *_ in spreads)), rows)
    return Plot("Numbers by their difference from the source's", svg, table)


def _usual(spread: Spread) -> float:
    """The upper end of the most frequent step."""
    counts = {at: count for at, count in spread.counts.items() if at is not None}
    return float(2.0 ** max(counts, key=lambda at: counts[at]))


def _scripts(checks: Sequence[Check]) -> Section:
    total: dict[str, Script] = {}
    for each in checks:
        if isinstance(each.details, Scripts):
            for name, more in each.details.found.items():
                before = total.get(name, Script(0, 0, 0))
                total[name] = Script(*map(sum, zip(before, more, strict=True)))
    text = (
        "Each codepoint of Unicode, each entry of the vocabulary, awkward strings and random ones "
        "are tokenized by the export and by the source. A token counts for the script of its first "
        "character, as Unicode has it (Common: digits, punctuation, emoji; Unknown: codepoints "
        "that stand for nothing); a text for each script in it."
    )
    named = sorted(total.items(), key=lambda each: -each[1].tokens)
    found = [_of_scripts(named)] if named else []
    return Section("scripts", "Tokens compared, by script", text, found)


def _of_scripts(named: Sequence[tuple[str, Script]]) -> Plot:
    shown = named[:_SCRIPTS]
    tokens, differ = (
        sum(getattr(each, field) for _, each in named) for field in ("tokens", "differ")
    )
    alt = (
        f"{tokens:,} tokens of {len(named)} scripts were compared; {differ} times a script has a "
        f"text that differs. The most are of {', '.join(name for name, _ in shown[:3])}."
    )
    names = [name for name, _ in shown]
    counts = {"tokens": [each.tokens for _, each in shown]}
    svg = plots.bars("scripts", alt, names, counts, "tokens compared", log=True)
    rows = [(name, *(f"{number:,}" for number in each)) for name, each in named]
    table = Table(("script", "tokens", "texts", "texts that differ"), rows)
    return Plot(f"The {len(shown)} scripts with the most tokens, of {len(named)}", svg, table)


def _similarities(checks: Sequence[Check]) -> Section:
    found, texts = list[Plot](), tuple[str, ...]()
    for each in checks:
        if isinstance(each.details, Similarities):
            name = each.subject.partition("vectors of")[0].rstrip(", ") or "The export"
            texts = tuple(each.details.texts)
            key = f"map-{len(found)}"
            found.append(_map(f"{key}-source", "The source", each.details.source, "one", 0, 1))
            found.append(_map(key, name, each.details.export, "one", 0, 1))
            apart = abs(each.details.export - each.details.source)
            title = f"{name}: difference, up to {apart.max():.1e}"
            found.append(_map(f"{key}-apart", title, apart, "two", 0, float(apart.max())))
    text = (
        "Cosines between the vectors of sample sentences, of which every two are about the same: "
        "the stronger the colour, the more similar (from 0 to 1). The third map shows how far the "
        "two before it are apart, from nothing to the largest difference."
    )
    return Section("similarity", "Similarity of sample sentences", text, found, texts)


def _map(key: str, title: str, values: Floats, colour: str, least: float, most: float) -> Plot:
    off = ~np.eye(len(values), dtype=bool)
    row, column = np.unravel_index(np.argmax(np.where(off, values, -np.inf)), values.shape)
    alt = (
        f"{title}: a map of {len(values)} by {len(values)} sentences. The largest value of two "
        f"different ones, {values[row, column]:.3g}, is that of {row + 1} and {column + 1}."
    )
    number = "{:.1e}".format if most < 0.1 else "{:.3f}".format
    rows = [(str(at), *map(number, each)) for at, each in enumerate(values, 1)]
    header = ("sentence", *(str(at + 1) for at in range(len(values))))
    svg = plots.map_of(key, alt, values, colour, least, most)
    return Plot(title, svg, Table(header, rows))


def _speeds(facts: Facts) -> Section:
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


def _sizes(copies: Sequence[Copy]) -> Section:
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
    svg = plots.bars("sizes", f"{alt}.", [_short(each) for each in labels], values, "MB")
    table = Table(("MB", *kinds, "together"), rows)
    text = "Megabytes on disk, of 1,000,000 bytes; a LiteRT file holds graph and weights."
    return Section("sizes", "Sizes", text, [Plot("Megabytes of each copy", svg, table)])


def _kind(file: str) -> str:
    return "LiteRT file" if file.endswith(".tflite") else file


def _name(copy: Copy) -> str:
    return copy.part if copy.form == "SavedModel" else f"{copy.part}, {copy.form}"


def _operations(copies: Sequence[Copy]) -> Section:
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
        f"operations-{at}", alt, [_short(each) for each in names], {"count": counts}, "times"
    )
    table = Table(("operation", "times"), [(name, f"{count:,}") for name, count in ordered])
    return Plot(_name(copy), svg, table)


def _steps(facts: Facts) -> Section:
    names = [each.name for each in facts.steps]
    seconds = [each.seconds for each in facts.steps]
    slowest = int(np.argmax(seconds))
    alt = (
        f"{len(names)} steps took {sum(seconds):.0f} seconds together; the longest, "
        f"{names[slowest]}, {seconds[slowest]:.1f}."
    )
    labels = [_short(each) for each in names]
    svg = plots.bars("steps", alt, labels, {"seconds": seconds}, "seconds")
    table = Table(
        ("step", "seconds"), [(n, f"{s:.1f}") for n, s in zip(names, seconds, strict=True)]
    )
    text = "How long each step of the export took; measuring for this page is one of them."
    return Section("steps", "Time of each step", text, [Plot("Seconds of each step", svg, table)])
