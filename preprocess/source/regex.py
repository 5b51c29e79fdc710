r"""Regular expressions of tokenizers (Oniguruma's syntax), written for RE2.

What the two read differently is spelled out: `\s`, `\w`, `\p{L}` and `\p{N}` become the ranges of
the source's own Unicode classes (RE2's `\s` is ASCII, and its Unicode another version). What is not
known by name is refused.
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
_TOKEN = re.compile(
    r"""(?P<class>\\[sSwWdD]|\\p\{(?:L|N|P|M|Lu|Ll)\})
    | (?P<escape>\\[nrtfv])
    | (?P<quoted>\\[^a-zA-Z0-9])
    | (?P<set>\[\^?(?:[^\[\]\\&]|\\.(?:\{\w+\})?)+\])
    | (?P<caseless>\(\?i:[^\\\[\](){}*+?.^$]+\))
    | (?P<operator>\(\?:|[()|*?+.^$]|\{\d+(?:,\d*)?\})
    | (?P<character>[^\\\[\](){}*+?.|^$])""",
    re.VERBOSE | re.DOTALL,
)


def translate(pattern: str) -> str:
    """Writes a pattern for RE2.

    Raises:
        UnsupportedTokenizerError: it has a construct that is not known to mean the same in both,
            or matches the empty text.
    """
    translated = "".join(_translated(pattern))
    if tf.strings.regex_full_match("", translated):
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


def _translated(pattern: str) -> Iterator[str]:
    at, bare = 0, True  # bare: nothing precedes that may be repeated
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        text = found.group() if found else ""
        is_quantifier = bool(text) and (text in "*+?" or text.startswith("{"))
        if found is None or text in ".^$" or (bare and is_quantifier):
            raise UnsupportedTokenizerError(
                f"the regular expression {pattern!r} is not supported from {pattern[at : at + 9]!r}"
            )
        bare = is_quantifier or text in ("(", "(?:", "|")
        at = found.end()
        if found["operator"]:
            yield text
        elif found["class"] or found["set"]:
            yield _class_of(text)
        elif found["caseless"]:
            yield f"(?:{_caseless(text[4:-1])})"
        else:
            character = _ESCAPES[text[1]] if found["escape"] else text[-1]
            yield f"\\x{{{ord(character):x}}}"
