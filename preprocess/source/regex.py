r"""Regular expressions of tokenizers (Oniguruma's syntax), written for RE2.

What the two read differently is spelled out: `.`, `\s`, `\p{L}`, `\p{Han}`, `[...]` and whatever
else is for one character become the ranges of those that the source matches (RE2's `\s` is ASCII,
and its Unicode another version). What is not known by name is refused.
"""

import functools
import itertools
import re
from collections.abc import Iterator

import tensorflow as tf
from tokenizers import Regex, normalizers

from preprocess.source.codepoints import character_class, codepoint_blocks
from preprocess.source.errors import UnsupportedTokenizerError

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
# Of these, one at most fits at a place: were there two, each would double the time of a refusal.
_NAMED = r"\[:\^?[a-z]+:\]"
_IN_SET = rf"(?:[^\[\]\\]|\\[^pPx]|\\[pPx](?:\{{[^{{}}]+\}}|(?!\{{))|{_NAMED})"
_SET = rf"\[(?:{_IN_SET}|(?!{_NAMED})\[{_IN_SET}+\])+\]"
_TOKEN = re.compile(
    rf"(?P<set>{_SET})"
    r"""
    | (?P<class>\\[sSwWdDhH]|\\[pP]\{\^?\w+\}|\\x\{[0-9A-Fa-f]+\}|\\u[0-9A-Fa-f]{4}|\.)
    | (?P<escape>\\[nrtfv])
    | (?P<quoted>\\[^a-zA-Z0-9])
    | (?P<caseless>\(\?i:[^\\\[\](){}*+?.^$]+\))
    | (?P<operator>\(\?:|[()|*?+]|\{\d+(?:,\d*)?\})
    | (?P<anchor>[$^])
    | (?P<character>[^\\\[\](){}*+?.|^$])""",
    re.VERBOSE | re.DOTALL,
)


def translate(pattern: str) -> str:
    """Writes a pattern for RE2.

    Raises:
        UnsupportedTokenizerError: it has a construct that is not known to mean the same in both,
            is too large for RE2, or matches the empty text.
    """
    translated = "".join(_translated(pattern))
    try:
        is_empty = tf.strings.regex_full_match("", translated)
    except tf.errors.InvalidArgumentError as error:
        raise UnsupportedTokenizerError(
            f"the regular expression {pattern!r} is not supported: RE2 cannot compile it "
            "(it repeats what it matches 1,000 times at most)"
        ) from error
    if is_empty:
        raise UnsupportedTokenizerError(
            f"the regular expression {pattern!r} is not supported: it matches the empty text"
        )
    return translated


@functools.cache
def matched(pattern: str) -> frozenset[str]:
    r"""The characters that a pattern for one character matches, such as `\\p{L}`."""
    replace = normalizers.Replace(Regex(pattern), "").normalize_str
    # Of a block, which has each character once, what is matched is what is gone.
    rests = ((block, replace(block)) for block in codepoint_blocks())
    gone = ({*block} - {*rest} for block, rest in rests if rest != block)
    return frozenset(itertools.chain.from_iterable(gone))


@functools.cache
def _class_of(pattern: str) -> str:
    """The same as an RE2 character class."""
    return character_class(matched(pattern))


def _caseless(alternatives: str) -> str:
    """The same alternatives of characters, each in either case."""
    characters = {*alternatives} - {"|"}
    either = matched(f"(?i:[{''.join(sorted(characters))}])")
    replace = {each: normalizers.Replace(Regex(f"(?i:{each})"), "") for each in characters}
    classes = {
        each: character_class([x for x in either if not replace[each].normalize_str(x)])
        for each in characters
    }
    return "".join(classes.get(each, each) for each in alternatives)


def is_anchored(pattern: str) -> bool:
    """Whether what a pattern matches hangs on where a line begins or ends.

    Raises:
        UnsupportedTokenizerError: it has a construct that is not known.
    """
    return any(found["anchor"] for found in _tokens(pattern))


def _tokens(pattern: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        if found is None:
            raise _refused(pattern, at)
        yield found
        at = found.end()


def _refused(pattern: str, at: int) -> UnsupportedTokenizerError:
    return UnsupportedTokenizerError(
        f"the regular expression {pattern!r} is not supported from {pattern[at : at + 9]!r}"
    )


def _is_in_place(found: re.Match[str], depth: int) -> bool:
    """Whether an anchor is where both mean the same: at the end of an alternative of the whole.

    Behind the last line's end, Oniguruma has no line any more, and RE2 an empty one.
    """
    whole, text = found.string, found.group()
    before, behind = whole[: found.start()], whole[found.end() :]
    is_first = not before or (before.endswith("|") and not before.endswith("\\|"))
    is_last = not behind or behind.startswith("|")
    return depth == 0 and (is_first if text == "^" else is_last)


def _translated(pattern: str) -> Iterator[str]:
    depth, bare = 0, True  # bare: nothing precedes that may be repeated
    for found in _tokens(pattern):
        text = found.group()
        is_quantifier = text in ("*", "+", "?") or text.startswith("{")
        if (bare and is_quantifier) or (found["anchor"] and not _is_in_place(found, depth)):
            raise _refused(pattern, found.start())
        bare = is_quantifier or text in ("(", "(?:", "|", "^", "$")
        depth += text.startswith("(") - text.endswith(")") if found["operator"] else 0
        if found["operator"]:
            yield text
        elif found["anchor"]:
            yield f"(?m:{text})"
        elif found["class"] or found["set"]:
            yield _class_of(text)
        elif found["caseless"]:
            yield f"(?:{_caseless(text[4:-1])})"
        else:
            character = _ESCAPES[text[1]] if found["escape"] else text[-1]
            yield f"\\x{{{ord(character):x}}}"
