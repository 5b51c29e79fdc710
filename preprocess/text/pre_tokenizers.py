"""Pre-tokenizers of a source tokenizer: how texts are cut into words.

A cut is a mark in the text. What looks at single characters is a codepoint map that sets marks,
the rest are regular expressions that do; one split at the marks gives the words. A prefix that
belongs to each text, or to each word, is put in before or behind that split.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping

from preprocess.source import regex
from preprocess.source.codepoints import (
    MARK,
    CodepointMap,
    character_class,
    literal,
    scripts,
    split_marks,
    whitespace,
    word_characters,
)
from preprocess.source.components import Component, flatten, require
from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.text.normalizers import Items, join
from preprocess.text.replacing import ISOLATED, Cut, Prefix, Replace
from preprocess.text.scripts import ScriptCut

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "BertPreTokenizer": (),
    "ByteLevel": ("add_prefix_space", "trim_offsets", "use_regex"),
    "CharDelimiterSplit": ("delimiter",),
    "Digits": ("individual_digits",),
    "Metaspace": ("replacement", "prepend_scheme", "split"),
    "Punctuation": ("behavior",),
    "Split": ("pattern", "behavior", "invert"),
    "UnicodeScripts": (),
    "Whitespace": (),
    "WhitespaceSplit": (),
}
_REWRITES = {
    "Isolated": ISOLATED,
    "MergedWithPrevious": r"\0\xff",
    "MergedWithNext": r"\xff\0",
}
_GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"
_OF_LINES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+",
)
_FAMILY: Mapping[str, str] = {
    _GPT_2: "",
    r"\p{N}".join(_OF_LINES): "\r\n",  # Qwen
    r"\p{N}{1,3}".join(_OF_LINES): "\r\n",  # GPT-4, LLaMA 3
}
"""How expressions of a family begin -> what ends a word to which all spaces before it belong."""
_LAST_SPACE = r"|\s+(?!\S)|\s+"
"""How they end: the last space before a word is by itself, or the word's."""
_CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""Matches whatever is no whitespace."""
_LINE = re.compile(r"\[\^[^\[\]\\&]*\n[^\[\]\\&]*\]\+\\n\?")
"""Characters up to the next of some, and a line's end behind them, which is among these."""
_ASCII_SPACES = " \t\n\v\f\r"


@dataclasses.dataclass
class Stage:
    """From texts to words, once.

    Attributes:
        before: a prefix of each text.
        at_start: whether only a text at the very start of a row gets it.
        items: what puts marks into the text.
        behind: a prefix of each word.
    """

    before: Prefix | None = None
    at_start: bool = False
    items: Items = dataclasses.field(default_factory=list)
    behind: Prefix | None = None

    @property
    def mark(self) -> bytes:
        """What the texts are split at: spaces, if none is left in the words."""
        return b" " if self._drops_spaces else b"\xff"

    def marked(self) -> Items:
        """What puts these marks in."""
        if not self._drops_spaces:
            return self.items
        (splits,) = join(self.items)
        return [{old: form.replace(MARK, " ") for old, form in splits.items()}]

    @property
    def _drops_spaces(self) -> bool:
        """Whether maps are all there is, and they leave no ASCII whitespace."""
        joined = join(self.items)
        return len(joined) == 1 and all(
            isinstance(joined[0], Mapping) and joined[0].get(space) == MARK
            for space in _ASCII_SPACES
        )


def read(component: Component | None) -> list[Stage]:
    """The stages of a pre-tokenizer; each takes the words of the one before it as its texts.

    Raises:
        UnsupportedTokenizerError: names a component that is not supported.
    """
    stages = [Stage()]
    parts = list(flatten(component, "pretokenizers"))
    for place, part in enumerate(parts):
        kind = require("pre-tokenizer", part, _OPTIONS)["type"]
        if kind == "ByteLevel" and place < len(parts) - 1:
            raise UnsupportedTokenizerError("pre-tokenizer ByteLevel is supported at the end only")
        if stages[-1].behind is not None:
            stages.append(Stage())
        _READERS.get(kind, _single_characters)(part, stages)
    return stages


def is_byte_level(component: Component | None) -> bool:
    """Whether a pre-tokenizer spells words in the byte alphabet of GPT-2."""
    return any(part["type"] == "ByteLevel" for part in flatten(component, "pretokenizers"))


def _splits(component: Component) -> CodepointMap:
    return split_marks(component)


def _single_characters(component: Component, stages: list[Stage]) -> None:
    stages[-1].items.append(_splits(component))


def _byte_level(component: Component, stages: list[Stage]) -> None:
    if component["add_prefix_space"]:
        if stages[-1].items:
            stages.append(Stage())
        stages[-1].before = Prefix(" ", unless=" ")
    if component["use_regex"]:
        stages[-1].items += _family(_GPT_2)


def _family(head: str) -> Items:
    spaces, others = (character_class(whitespace(), negated) for negated in (False, True))
    own = character_class(whitespace() - {*_FAMILY[head]})
    last = Cut(f"({spaces}+)({own}{others})", r"\1\xff\2")
    return [last, Cut(f"{regex.translate(head)}|{spaces}+", r"\0\xff")]


def _delimiter(component: Component, stages: list[Stage]) -> None:
    stages[-1].items.append({component["delimiter"]: MARK})


def _digits(component: Component, stages: list[Stage]) -> None:
    digits = _splits({**component, "individual_digits": True})
    if component["individual_digits"]:
        stages[-1].items.append(digits)
    else:
        stages[-1].items.append(Cut(f"{character_class(digits)}+", ISOLATED))


def _metaspace(component: Component, stages: list[Stage]) -> None:
    space, scheme = component["replacement"], component["prepend_scheme"]
    stage = stages[-1]
    if scheme == "first":
        if len(stages) > 1 or stage.items:
            raise UnsupportedTokenizerError(
                "pre-tokenizer Metaspace with prepend_scheme first is supported as the first only"
            )
        stage.before, stage.at_start = Prefix(space, unless=f" {space}"), True
    elif scheme == "always":
        stage.behind = Prefix(space, unless=space)
    cut = MARK if component["split"] else ""
    stage.items.append({" ": cut + space, space: cut + space})


def _punctuation(component: Component, stages: list[Stage]) -> None:
    behavior = component["behavior"]
    if behavior in ("Isolated", "Removed"):
        stages[-1].items.append(_splits(component))
        return
    marks = character_class(_splits({**component, "behavior": "Isolated"}))
    if behavior == "Contiguous":
        stages[-1].items.append(Cut(f"{marks}+", ISOLATED))
    else:
        stages[-1].items.append(Cut(marks, _REWRITES[behavior]))


def _split(component: Component, stages: list[Stage]) -> None:
    (kind, pattern), behavior = next(iter(component["pattern"].items())), component["behavior"]
    if kind == "Regex" and stages[-1].items and _sees_marks(pattern):
        stages.append(Stage())
    items, removed = stages[-1].items, component["invert"] and behavior == "Removed"
    if not pattern and not removed:
        # Whatever the behavior: between every two characters there is nothing.
        items.append(Cut("(?s).", _REWRITES["MergedWithPrevious"]))
        return
    if kind == "Regex" and removed:
        head = pattern.removesuffix(_CLIP)
        if head != pattern and " " not in head and r"\s" not in head:
            # What no alternative matches is whitespace.
            items += [Cut(regex.translate(pattern), ISOLATED), dict.fromkeys(whitespace(), MARK)]
            return
        if _LINE.fullmatch(pattern):
            items.append(Cut(regex.translate(pattern), ISOLATED))
            dropped = character_class(regex.matched(pattern.removesuffix(r"+\n?")), negated=True)
            # What no match has, which is no word.
            stages.append(Stage(items=[Replace(f"^{dropped}+$", MARK)]))
            return
    head = pattern.removesuffix(_LAST_SPACE)
    if kind == "Regex" and behavior == "Isolated" and head != pattern and head in _FAMILY:
        items += _family(head)
        return
    if component["invert"] or behavior not in {"Removed", *_REWRITES}:
        raise UnsupportedTokenizerError(
            f"pre-tokenizer Split of {pattern!r} with behavior {behavior}"
            f"{', inverted,' if component['invert'] else ''} is not supported"
        )
    found = regex.translate(pattern) if kind == "Regex" else literal(pattern)
    if behavior == "Removed":
        if items:  # in a text without marks
            stages.append(Stage())
        stages[-1].items.append(Replace(found, MARK))
    else:
        items.append(Cut(found, _REWRITES[behavior]))


def _sees_marks(pattern: str) -> bool:
    """Whether it must be matched in words by themselves, as an anchor must."""
    return not pattern.endswith(_LAST_SPACE) and regex.is_anchored(pattern)


def _scripts(component: Component, stages: list[Stage]) -> None:
    """Words are runs of one script; what goes with any is of the run before it, or is dropped."""
    del component
    if stages[-1].items:
        stages.append(Stage())
    anywhere, classes = scripts()
    stages[-1].items += [Replace(f"^{character_class(anywhere)}+", ""), ScriptCut(classes)]


def _whitespace(component: Component, stages: list[Stage]) -> None:
    word, spaces = word_characters(), whitespace()
    found = f"{character_class(word)}+|{character_class(word | spaces, negated=True)}+"
    stages[-1].items += [Cut(found, ISOLATED), dict.fromkeys(spaces, MARK)]


_READERS: Mapping[str, Callable[[Component, list[Stage]], None]] = {
    "ByteLevel": _byte_level,
    "CharDelimiterSplit": _delimiter,
    "Digits": _digits,
    "Metaspace": _metaspace,
    "Punctuation": _punctuation,
    "Split": _split,
    "UnicodeScripts": _scripts,
    "Whitespace": _whitespace,
}
