"""What a source tokenizer does to each Unicode codepoint, found by asking it."""

import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tokenizers import pre_tokenizers

from preprocess.source.components import Component, normalizer, pre_tokenizer

CodepointMap = Mapping[str, str]
"""character -> the string that takes its place; characters that stay are left out."""

MARK = "\udcff"
"""Where a text is cut: the byte 0xFF, which UTF-8 never has, as `surrogateescape` spells it."""

_BLOCK = 1024
_PLANES = (range(0xD800), range(0xE000, 0x110000))  # all but the surrogates


def codepoint_blocks() -> Iterator[str]:
    """Every Unicode scalar value, in order, in strings of up to 1024."""
    for plane in _PLANES:
        for begin in plane[::_BLOCK]:
            yield "".join(map(chr, range(begin, min(begin + _BLOCK, plane.stop))))


def probe_normalizer(normalize: Callable[[str], str]) -> CodepointMap:
    """Maps each character to its normal form.

    Args:
        normalize: a normalizer that treats each character by itself, such as a
            `tokenizers.normalizers.Normalizer`'s `normalize_str`.
    """
    forms: dict[str, str] = {}
    for block in codepoint_blocks():
        if normalize(block) != block:
            forms.update((each, form) for each in block if (form := normalize(each)) != each)
    return forms


def normal_forms(component: Component) -> CodepointMap:
    """What a normalizer, in its serialised form, makes of each character; asked once."""
    return _normal_forms(json.dumps(component, sort_keys=True))


@functools.lru_cache(maxsize=32)
def _normal_forms(component: str) -> CodepointMap:
    return probe_normalizer(normalizer(json.loads(component)).normalize_str)


PreTokenize = Callable[[str], list[tuple[str, tuple[int, int]]]]
"""`pre_tokenize_str` of a pre-tokenizer."""


def probe_splits(pre_tokenize: PreTokenize) -> CodepointMap:
    """Maps each character that ends a word to a string in which marks end it.

    A character that the pre-tokenizer drops becomes a mark; one that it makes a word of its own
    is set off by marks.

    Args:
        pre_tokenize: of a pre-tokenizer that looks at single characters.
    """
    splits = {}
    for block in codepoint_blocks():
        if len(pre_tokenize(f"a{block}b")) > 1:
            for each in block:
                words = [word for word, _ in pre_tokenize(f"a{each}b")]
                if len(words) > 1:
                    splits[each] = MARK.join(words)[1:-1]
    return splits


def split_marks(component: Component) -> CodepointMap:
    """Where a pre-tokenizer, in its serialised form, ends words; asked once."""
    return _split_marks(json.dumps(component, sort_keys=True))


@functools.lru_cache(maxsize=32)
def _split_marks(component: str) -> CodepointMap:
    return probe_splits(pre_tokenizer(json.loads(component)).pre_tokenize_str)


@functools.cache
def scripts() -> tuple[frozenset[str], Sequence[frozenset[str]]]:
    """The characters that go with any script, and those of each, by the `tokenizers` library."""
    split = pre_tokenizers.UnicodeScripts().pre_tokenize_str
    found, anywhere = dict[str, set[str]](), set[str]()
    for block in codepoint_blocks():
        runs = [run for run, _ in split(block)]
        # By itself, what goes with any script is dropped; else it is in the run before it.
        anywhere |= {*block} - {*"".join(runs)}
        anywhere.update(each for run in runs for each in run[1:] if not split(each))
        for run in runs:
            found.setdefault(_script_of(run[0], found, split), set()).update(run)
    return frozenset(anywhere), [frozenset(each - anywhere) for each in found.values()]


def _script_of(character: str, known: Iterable[str], split: PreTokenize) -> str:
    """One of some characters of different scripts that is of this one's, or else itself."""
    firsts = [*known]
    begins = {begin for _, (begin, _) in split("".join(each + character for each in firsts))}
    return next((each for at, each in enumerate(firsts) if 2 * at + 1 not in begins), character)


@functools.cache
def whitespace() -> frozenset[str]:
    """Every character with the White_Space property, by the `tokenizers` library."""
    split = pre_tokenizers.WhitespaceSplit().pre_tokenize_str
    return frozenset(each for block in codepoint_blocks() for each in block if not split(each))


@functools.cache
def word_characters() -> frozenset[str]:
    """Every character of words to the `tokenizers` library, where it is not Oniguruma that asks."""
    split = pre_tokenizers.Whitespace().pre_tokenize_str
    # Characters of words, and others, stand together in what a block is cut into.
    runs = (run for block in codepoint_blocks() for run, _ in split(block))
    return frozenset(itertools.chain.from_iterable(x for x in runs if len(split(f"a{x[0]}")) == 1))


def compose(first: CodepointMap, second: CodepointMap) -> CodepointMap:
    """The map that applies `first`, then `second` to every character of its result.

    >>> compose({"A": "a!"}, {"!": " ! "})
    {'!': ' ! ', 'A': 'a ! '}
    """
    both = {old: "".join(second.get(new, new) for new in form) for old, form in first.items()}
    return {**{old: form for old, form in second.items() if old not in first}, **both}


def character_class(characters: Iterable[str], negated: bool = False) -> str:
    r"""An RE2 character class of exactly these characters, or of all others.

    >>> character_class("abcx")
    '[\\x{61}-\\x{63}\\x{78}]'
    >>> character_class("\0\1b", negated=True)
    '[\\x{2}-\\x{61}\\x{63}-\\x{d7ff}\\x{e000}-\\x{10ffff}]'
    """
    ranges = _ranges(map(ord, characters))
    if not ranges and not negated:
        return r"[^\x{0}-\x{10ffff}]"
    if negated:
        taken = sorted([*ranges, (0xD800, 0xDFFF)])
        begins = [0, *(last + 1 for _, last in taken)]
        ends = [*(first - 1 for first, _ in taken), 0x10FFFF]
        ranges = [each for each in zip(begins, ends, strict=True) if each[0] <= each[1]]
    parts = (f"\\x{{{a:x}}}" + (f"-\\x{{{b:x}}}" if b > a else "") for a, b in ranges)
    return f"[{''.join(parts)}]"


def literal(text: str) -> str:
    r"""An RE2 pattern that matches exactly this text.

    >>> literal("[x]")
    '\\x{5b}\\x{78}\\x{5d}'
    """
    return "".join(f"\\x{{{ord(character):x}}}" for character in text)


def longest_of(texts: Iterable[str]) -> str:
    r"""An RE2 pattern that matches the longest of some texts.

    What texts begin with in common stands there once: the automaton of thousands of alternatives
    would have too many states for RE2.

    >>> longest_of(["!", "!?", "!?!?"])
    '(?:\\x{21}(?:\\x{3f}(?:\\x{21}\\x{3f})?)?)'
    """
    distinct = sorted(set(texts))
    ways = []
    for _, group in itertools.groupby(filter(None, distinct), key=lambda text: text[0]):
        several = list(group)
        common = _common(several[0], several[-1])
        ways.append(literal(common) + longest_of(text[len(common) :] for text in several))
    if not ways:
        return ""
    return "(?:" + "|".join(ways) + (")?" if distinct[0] == "" else ")")


def _common(first: str, second: str) -> str:
    """What both begin with."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    return "".join(character for character, _ in same)


def _ranges(points: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive points."""
    ranges: list[tuple[int, int]] = []
    for point in sorted(points):
        follows = bool(ranges) and point == ranges[-1][1] + 1
        ranges.append((ranges.pop()[0] if follows else point, point))
    return ranges
