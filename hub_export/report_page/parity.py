"""What comparing with the source has found, as sections of a page."""

import re
from collections.abc import Sequence

import numpy as np

from hub_export.report_page import plots
from hub_export.report_page.plots import Line
from hub_export.report_page.section import Plot, Section, Table, short
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Floats
from hub_export.verify.details import Script, Scripts, Similarities, Spread

_LAYER = re.compile(r"numbers, (?:encoder_outputs_(\d+)|(\w+))")
_SPREADS = re.compile(r"numbers, (sequence_output|pooled_output)|(vectors), against")
_SCRIPTS, _STEPS = 20, 20
"""How many have a place on a figure; differences of fewer steps below what is allowed."""


def layers(checks: Sequence[Check]) -> Section:
    """How far numbers are from the source's at most: of each layer, and of all else."""
    of_encoder = [each for each in checks if _LAYER.fullmatch(each.subject)]
    # The blocks first, in their order, then what is made of the last.
    of_encoder.sort(key=lambda each: "encoder_outputs" not in each.subject)
    # Where nothing is allowed (tolerance=0), there is no share of it.
    others = [each for each in checks if each.figures.get("allowed") and each not in of_encoder]
    found = []
    if of_encoder:
        title = "The encoder, layer by layer"
        by_cosine = any("cosine" in each.found for each in of_encoder)
        unit = "1 - cosine" if by_cosine else "difference / largest value"
        found.append(_distances("layers", title, of_encoder, unit, "scale"))
    if others:
        title = "Everything else whose numbers were compared"
        found.append(_distances("others", title, others, "difference / allowed", "allowed"))
    text = (
        "How far the export is from its source at most, over all samples, by call and by "
        "signature; where weights are not float32, that is 1 less the cosine of vectors. The "
        "dashed line is what is allowed: no bar may cross it. The scale is logarithmic."
    )
    return Section("layers", "Parity, layer by layer", text, found)


def _distances(key: str, title: str, checks: Sequence[Check], unit: str, by: str) -> Plot:
    """The distance of each check, divided by another of its figures."""
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
        [short(each) for each in labels],
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


def spreads(checks: Sequence[Check]) -> Section:
    """How far numbers are from the source's, and how many of them."""
    named = [
        (_label(each.subject), each.details, float(each.figures["allowed"]))
        for each in checks
        if isinstance(each.details, Spread) and _SPREADS.match(each.subject)
        if each.figures["allowed"]
    ]
    text = (
        "How many of all numbers that were compared are how far from the source's. Each step "
        "is twice as far as the one before; dotted lines are what is allowed. The table also "
        "counts those that are equal in every bit or nearly so."
    )
    plotted = [each for each in named if any(at is not None for at in each[1].counts)]
    found = [_spread(plotted, named)] if plotted else []
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


def scripts(checks: Sequence[Check]) -> Section:
    """How many tokens of each script were compared."""
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


def similarities(checks: Sequence[Check]) -> Section:
    """The similarity of sentences in the source and in every copy, and how far these are apart."""
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
