"""The card of a source, `README.md` with YAML in front: what it says of licence, languages, use.

It is the hub's form (https://huggingface.co/docs/hub/model-cards). Anybody writes such cards: what
is not as it should be is passed over, and counts as not named.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

_FRONT = re.compile(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)(.*)", re.DOTALL)
_HEADING, _FENCE = re.compile(r"(#{1,6})\s+(.*?)[\s#]*$"), re.compile(r"\s*(```|~~~)")
_COMMENT, _PICTURE = re.compile(r"<!--.*?-->", re.DOTALL), re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://|mailto:)[^)]*\)")
_MISSING = "[More Information Needed]"
_LONGEST = 6000
"""Characters of a section that a page repeats."""

USES, LIMITS = "uses", "limits"
TRAINING, CITATION = "training", "citation"
_SUBJECTS = {
    USES: re.compile(r"\buses?\b", re.IGNORECASE),
    LIMITS: re.compile(r"limitation|\bbias|\brisk|out-of-scope|ethical", re.IGNORECASE),
    TRAINING: re.compile(r"\btrain|pre-?train|\bdata ?sets?\b", re.IGNORECASE),
    CITATION: re.compile(r"\bcit(e|ing|ation)|bibtex", re.IGNORECASE),
}
_CODE = re.compile(r"\bhow to\b|\busage\b|\bget(ting)? started\b|\busing\b", re.IGNORECASE)
"""Sections on the code of other libraries, which a page has its own for."""


@dataclasses.dataclass(frozen=True)
class SourceCard:
    """What a card says.

    Attributes:
        license: the hub's word for it, such as `apache-2.0`; empty where it names none.
        license_name: of a licence of its own.
        license_link: to its text.
        languages: their codes.
        datasets: those of the hub that it was trained on.
        pipeline_tag: the hub's word for what it does.
        sections: of USES, LIMITS, TRAINING, CITATION -> Markdown, where it has some.
        problem: why nothing in front of it could be read; empty where it could.
    """

    license: str = ""
    license_name: str = ""
    license_link: str = ""
    languages: Sequence[str] = ()
    datasets: Sequence[str] = ()
    pipeline_tag: str = ""
    sections: dict[str, str] = dataclasses.field(default_factory=dict)
    problem: str = ""


def read(file: Path) -> SourceCard | None:
    """Reads a card; None where there is no such file."""
    if not file.is_file():
        return None
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    found = _FRONT.match(text)
    front, body = found.groups() if found else ("", text)
    try:
        named, problem = yaml.load(front, _Loader) or {}, ""
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        named, problem = {}, " ".join(str(error).split())[:200]
    if not isinstance(named, dict):
        named, problem = {}, f"expected names and values, found a {type(named).__name__}"
    return SourceCard(
        license=_word(named.get("license")),
        license_name=_word(named.get("license_name")),
        license_link=_word(named.get("license_link")),
        languages=_words(named.get("language")),
        datasets=_words(named.get("datasets")),
        pipeline_tag=_word(named.get("pipeline_tag")),
        sections=_sections(body),
        problem=problem,
    )


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads `no` as the code of Norwegian, not as false."""


_Loader.yaml_implicit_resolvers = {
    first: [each for each in each_first if each[0] != "tag:yaml.org,2002:bool"]
    for first, each_first in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _word(value: Any) -> str:
    """A text of one line; of a list of one, that."""
    if isinstance(value, list) and len(value) == 1:
        return _word(value[0])
    return value.strip() if isinstance(value, str) and "\n" not in value.strip() else ""


def _words(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(word for each in listed if (word := _word(each)))


def _sections(body: str) -> dict[str, str]:
    """Subject -> the sections on it, one behind the other.

    One on several subjects is on its first; on others where no section is on them alone.
    """
    found, also = dict[str, list[str]](), dict[str, list[str]]()
    for (subject, *others), text in _parted(_COMMENT.sub("", body).splitlines()):
        found.setdefault(subject, []).append(text)
        for other in others:
            also.setdefault(other, []).append(text)
    return {subject: _cut("\n\n".join(texts)) for subject, texts in (also | found).items()}


def _parted(lines: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Subjects and Markdown of each section that has some, its headings as bold lines."""
    subjects, depth, kept, fenced = list[str](), 0, list[str](), False
    for line in (*lines, "# "):
        heading = None if fenced else _HEADING.match(line)
        fenced ^= bool(_FENCE.match(line))
        if heading is None:
            kept.append(line)
            continue
        level, own = len(heading[1]), _subjects(heading[2])
        if subjects and level > depth and own is not None and own[:1] in ([], subjects[:1]):
            kept += ["", f"**{heading[2]}**", ""]
            continue
        if text := _tidy(kept) if subjects else "":
            yield subjects, text
        subjects, depth, kept = own or [], level, []


def _subjects(heading: str) -> list[str] | None:
    """What a section is on, as its heading names it; None where it is on code."""
    if _CODE.search(heading) and not _SUBJECTS[CITATION].search(heading):
        return None
    places = {name: words.search(heading) for name, words in _SUBJECTS.items()}
    found = {name: place.start() for name, place in places.items() if place}
    return sorted(found, key=found.__getitem__)


def _tidy(lines: Sequence[str]) -> str:
    """Markdown without pictures, and with the words alone of links within the source."""
    text = _LINK.sub(r"\1", _PICTURE.sub("", "\n".join(lines))).replace(_MISSING, "")
    said = re.sub(r"\*\*[^*\n]*\*\*:?|[-\s]", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() if said else ""


def _cut(text: str) -> str:
    """The beginning of a long text, up to the end of a line; a code block in it is closed."""
    if len(text) <= _LONGEST:
        return text
    begin = text[: text.rindex("\n", 0, _LONGEST)] if "\n" in text[:_LONGEST] else text[:_LONGEST]
    open_fence = sum(bool(_FENCE.match(line)) for line in begin.splitlines()) % 2
    return f"{begin}{chr(10)}```" * open_fence + begin * (not open_fence) + "\n\n[...]"
