"""Normalizers of a source tokenizer, as codepoint maps and steps.

A component that looks at single characters is a map, found by asking it about every codepoint; maps
that follow each other become one. What depends on neighbours is a step of its own.
"""

import base64
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from preprocess.source import regex
from preprocess.source.codepoints import (
    CodepointMap,
    character_class,
    compose,
    normal_forms,
    whitespace,
)
from preprocess.source.components import Component, flatten, normalizer, require
from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.text.charsmap import Charsmap
from preprocess.text.codepoint_step import CodepointStep
from preprocess.text.marks import CanonicalOrder, CompatibleComposition, Composition
from preprocess.text.replacing import Beginning, Prefix, Replace, ReplaceLiteral
from preprocess.text.steps import Change, Step

_BEGINNINGS = (r"(?<!\n)^", r"\A")
"""Regular expressions for the place where a text begins."""

Items: TypeAlias = list[CodepointMap | Step]
C = TypeVar("C", bound=Change)

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "BertNormalizer": ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"),
    "Lowercase": (),
    "NFC": (),
    "NFD": (),
    "NFKC": (),
    "NFKD": (),
    "Nmt": (),
    "Precompiled": ("precompiled_charsmap",),
    "Prepend": ("prepend",),
    "Replace": ("pattern", "content"),
    "Strip": ("strip_left", "strip_right"),
    "StripAccents": (),
}


def read(component: Component | None) -> Items:
    """The maps and steps of a normalizer, in order; no two maps follow each other.

    Raises:
        UnsupportedTokenizerError: names a component that is not supported.
    """
    items: Items = []
    parts = list(flatten(component, "normalizers"))
    _require_order(parts)
    for part in reversed(parts):
        kind = require("normalizer", part, _OPTIONS)["type"]
        behind = items[0] if items and isinstance(items[0], Mapping) else {}
        items = join([*_READERS.get(kind, _single_characters)(part, behind), *items])
    return items


def join(items: Iterable[CodepointMap | C]) -> list[CodepointMap | C]:
    """Makes one map of those that follow each other."""
    joined: list[CodepointMap | C] = []
    for item in items:
        last = joined[-1] if joined else None
        if isinstance(item, Mapping) and isinstance(last, Mapping):
            joined[-1] = compose(last, item)
        else:
            joined.append(item)
    return joined


def compiled(items: Items) -> tuple[list[Change], list[Step]]:
    """The items as changes, as few as will do, and as steps that keep track."""
    exact = join(items)
    fast = join([part for item in exact for part in _parts(item)])
    made: dict[int, CodepointStep] = {}

    def step(characters: CodepointMap) -> CodepointStep:
        if id(characters) not in made:
            made[id(characters)] = CodepointStep(characters)
        return made[id(characters)]

    return (
        [step(item) if isinstance(item, Mapping) else item for item in fast],
        [step(item) if isinstance(item, Mapping) else item for item in exact],
    )


def _parts(item: CodepointMap | Step) -> list[CodepointMap | Change]:
    if isinstance(item, CompatibleComposition):
        return [item.single, item.canonical]
    return [item.clusters, item.single] if isinstance(item, Charsmap) else [item]


def _map(component: Component) -> CodepointMap:
    return normal_forms(component)


def _single_characters(component: Component, behind: CodepointMap) -> Items:
    return [_map(component)]


def _bert(component: Component, behind: CodepointMap) -> Items:
    normal = _map(component)
    strips = component["strip_accents"]
    if not (component["lowercase"] if strips is None else strips):
        return [normal]
    clean = {**component, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    cleaned = {character for character, form in _map(clean).items() if not form}
    return [CanonicalOrder(_map({"type": "NFD"}), cleaned, compose(normal, behind)), normal]


def _decomposition(component: Component, behind: CodepointMap) -> Items:
    normal = _map(component)
    return [CanonicalOrder(normal, (), compose(normal, behind)), normal]


def _composition(component: Component, behind: CodepointMap) -> Items:
    return [Composition() if component["type"] == "NFC" else CompatibleComposition(_map(component))]


def _precompiled(component: Component, behind: CodepointMap) -> Items:
    normal = _map(component)
    charsmap = base64.b64decode(component["precompiled_charsmap"])
    return [Charsmap(normalizer(component).normalize_str, normal, charsmap)]


def _require_order(parts: Sequence[Component]) -> None:
    """Behind a prefix that comes from nothing, most normalizers of the source lose their place."""
    behind = itertools.dropwhile(lambda part: not _is_beginning(part), parts)
    others = [part["type"] for part in behind if part["type"] not in ("Prepend", "Replace")]
    if others:
        raise UnsupportedTokenizerError(
            f"normalizer {others[0]} is not supported behind a Replace of where a text begins; "
            "supported there: Prepend, Replace"
        )


def _is_beginning(component: Component) -> bool:
    return component["type"] == "Replace" and component["pattern"].get("Regex") in _BEGINNINGS


def _replace(component: Component, behind: CodepointMap) -> Items:
    (kind, pattern), content = next(iter(component["pattern"].items())), component["content"]
    if _is_beginning(component):
        return [Beginning(content)]
    if kind == "Regex":
        return [Replace(regex.translate(pattern), content)]
    if not pattern:
        raise UnsupportedTokenizerError("normalizer Replace of the empty text is not supported")
    if len(pattern) == 1:
        return [{pattern: content}]
    return [ReplaceLiteral(pattern, content)]


def _prepend(component: Component, behind: CodepointMap) -> Items:
    if not component["prepend"]:
        # The source then loses the place of the first character.
        raise UnsupportedTokenizerError("normalizer Prepend of the empty text is not supported")
    return [Prefix(component["prepend"])]


def _strip(component: Component, behind: CodepointMap) -> Items:
    spaces = f"{character_class(whitespace())}+"
    sides = {f"^{spaces}": component["strip_left"], f"{spaces}$": component["strip_right"]}
    return [Replace(pattern, "") for pattern, strips in sides.items() if strips]


_READERS: Mapping[str, Callable[[Component, CodepointMap], Items]] = {
    "BertNormalizer": _bert,
    "NFC": _composition,
    "NFD": _decomposition,
    "NFKC": _composition,
    "NFKD": _decomposition,
    "Precompiled": _precompiled,
    "Prepend": _prepend,
    "Replace": _replace,
    "Strip": _strip,
}
