"""The page: one file, HTML that is well-formed XML, too, and loads nothing."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from hub_export.errors import TargetError
from hub_export.publish.report import Report
from hub_export.report_page import copies, parity, svg
from hub_export.report_page.facts import Facts
from hub_export.report_page.section import Section
from hub_export.verify.checks import Outcome

_HERE = Path(__file__).parent
_STYLE, _TEMPLATE = "page.css", "page.html.jinja"
_FAILURE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8" /><title>Export report</title></head>
<body><p>The export stands; its figures could not be drawn: <code>{}</code></p></body>
</html>
"""


class Verdict(NamedTuple):
    """Attributes: kind: a class of the style; words: what to say."""

    kind: str
    words: str


def write(file: Path, facts: Facts) -> None:
    """Writes the page.

    Raises:
        TargetError: there is no room for it.
    """
    _write(file, render(facts))


def write_failure(file: Path, error: Exception) -> None:
    """Writes a page that says why there are no figures.

    Raises:
        TargetError: there is no room for it.
    """
    _write(file, _FAILURE.format(escape(svg.allowed(repr(error)))))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TargetError(f"{file}: cannot be written ({error.strerror})") from error


def render(facts: Facts) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    report = facts.report
    text = environment.get_template(_TEMPLATE).render(
        title=report.settings["name"],
        style=Markup((_HERE / _STYLE).read_text(encoding="utf-8").strip()),
        verdict=_verdict(report),
        about=[*_about(facts)],
        checks=[(each.subject, each.outcome.value, each.found) for each in report.checks],
        sections=[*_sections(facts)],
        version=facts.versions["hub_export"],
    )
    return svg.allowed(text)


def _sections(facts: Facts) -> Iterator[Section]:
    """The parts of a page, in their order."""
    checks = facts.report.checks
    yield parity.layers(checks)
    yield parity.spreads(checks)
    yield parity.scripts(checks)
    yield parity.similarities(checks)
    yield copies.speeds(facts)
    yield copies.sizes(facts.copies)
    yield copies.operations(facts.copies)
    yield copies.steps(facts)


def _verdict(report: Report) -> Verdict:
    """Of an export that stands: what fails is never written."""
    if not report.checks:
        return Verdict("partly", "Not verified, as asked")
    counts = Counter(each.outcome for each in report.checks)
    words = f"{counts[Outcome.PASSED]} of {len(report.checks)} comparisons passed"
    others = [f"{counts[each]} {each.value}" for each in Outcome if each != Outcome.PASSED]
    words += "".join(f", {each}" for each in others if not each.startswith("0 "))
    left_out = counts[Outcome.NOT_COMPARED]
    return Verdict("partly" if left_out else "passed", words)


def _about(facts: Facts) -> Iterator[tuple[str, str]]:
    source, report = facts.report.source, facts.report
    yield "Source", source["name"]
    if source["revision"]:
        yield "Revision", source["revision"]
    if source["model_type"]:
        yield "Architecture", source["model_type"]
    yield "Computed on", report.device or "not computed"
    yield "Weights", report.settings["compute_dtype"]
    yield "Versions", ", ".join(f"{name} {found}" for name, found in facts.versions.items())
