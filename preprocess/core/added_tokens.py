"""Added tokens in the text: found before (or after) normalisation, kept whole.

Each added token is replaced by a *stand-in*: a character that the rest of the pipeline sees as a
word of its own, and that the vocabulary lists under the token's id. The characters used for this
are ones that the source tokenizer treats all alike (it deletes them, or none is in its
vocabulary), so that an occurrence in the text itself can first give way to one of its equals.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import tensorflow as tf
from tokenizers import Tokenizer as Source

from preprocess.core.codepoints import CodepointMap, character_class
from preprocess.core.components import Component
from preprocess.core.errors import UnsupportedTokenizerError
from preprocess.core.rows import contains, on_rows
from preprocess.core.steps import Aligned, Step, spread, unmoved

_CONTROL_AND_PRIVATE = [
    *map(chr, range(0x01, 0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *map(chr, range(0xE000, 0xF900)),
]


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """One entry of the source's `added_tokens`.

    Attributes:
        content: the text that it is found by, as it stands where it is looked for.
        id: its id.
        special: whether decoding leaves it out.
        normalized: whether it is looked for after normalisation.
    """

    content: str
    id: int
    special: bool
    normalized: bool


def read(source: Source, tokenizer: Component) -> list[AddedToken]:
    """Reads the added tokens of a serialised tokenizer.

    Raises:
        UnsupportedTokenizerError: names a token with an option that is not supported.
    """
    tokens = []
    for entry in tokenizer["added_tokens"]:
        for option in ("single_word", "lstrip", "rstrip"):
            if entry[option]:
                raise UnsupportedTokenizerError(
                    f"added token {entry['content']!r}: {option} is not supported"
                )
        content = entry["content"]
        if entry["normalized"] and source.normalizer:
            content = source.normalizer.normalize_str(content)
        tokens.append(AddedToken(content, entry["id"], entry["special"], entry["normalized"]))
    return [token for token in tokens if token.content]


class Spare:
    """Control and private-use characters that the source tokenizer treats alike.

    Attributes:
        begin, end, filler: one byte each, taken for the use of `StandIns`.
        taken: all that have been taken.
    """

    def __init__(self, normal: CodepointMap, splits: CodepointMap, used: Iterable[str]) -> None:
        """Finds the characters.

        Args:
            normal: the source's normalizer as a map.
            splits: its pre-tokenizer as a map.
            used: strings whose characters are not spare: the vocabulary, the added tokens.

        Raises:
            UnsupportedTokenizerError: there are too few.
        """
        in_use = set().union(*used)
        free = [each for each in _CONTROL_AND_PRIVATE if each not in in_use]
        deleted = [each for each in free if normal.get(each) == ""]
        inert = [each for each in free if each not in normal and each not in splits]
        self._by_length: dict[int, list[str]] = {1: [], 2: [], 3: []}
        for character in max(deleted, inert, key=len):
            self._by_length[len(character.encode())].append(character)
        self._neutral = {length: each.pop() for length, each in self._by_length.items() if each}
        self.taken: list[str] = []
        self.begin, self.end, self.filler = (self.take(1) for _ in range(3))

    def take(self, most: int) -> str:
        """Takes one of 3 bytes, or of at most `most`.

        Raises:
            UnsupportedTokenizerError: none is left.
        """
        for length in range(min(most, 3), 0, -1):
            if self._by_length[length]:
                self.taken.append(self._by_length[length].pop(0))
                return self.taken[-1]
        raise UnsupportedTokenizerError("too few characters are free to stand for added tokens")

    def replacements(self) -> Iterator[tuple[str, str]]:
        """RE2 pattern of taken characters, the equal of the same length that they give way to."""
        for length, neutral in self._neutral.items():
            members = [each for each in self.taken if len(each.encode()) == length]
            if members:
                yield character_class(members), neutral


class FreeReserved(Step):
    """Replaces the taken characters, where a text has them, by their equals."""

    def __init__(self, spare: Spare) -> None:
        super().__init__()
        self._replacements = dict(spare.replacements())

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        for reserved, neutral in self._replacements.items():
            x = tf.strings.regex_replace(x, reserved, neutral)
        return x

    def align(self, x: tf.Tensor) -> Aligned:
        return unmoved(self(x))


class StandIns(Step):
    """Puts a stand-in in the place of each added token, keeping the length in bytes.

    A stand-in is followed by as many fillers as its token is longer.

    Attributes:
        tokens: stand-in -> the token that it stands for.
    """

    def __init__(self, tokens: Sequence[AddedToken], spare: Spare) -> None:
        super().__init__()
        self.tokens = {spare.take(len(token.content.encode())): token for token in tokens}
        self._begin, self._end, self._filler = spare.begin, spare.end, spare.filler
        # RE2 takes the first alternative that matches; the source takes the longest token.
        contents = sorted((token.content for token in tokens), key=len, reverse=True)
        self._anywhere = "|".join(map(literal, contents))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return on_rows(contains(x, self._anywhere), self._replace, x)

    def align(self, x: tf.Tensor) -> Aligned:
        points, starts = tf.strings.unicode_decode_with_offsets(self(x), "UTF-8")
        is_stand_in = tf.equal(points.values[:, tf.newaxis], [*map(ord, self.tokens)])
        beyond = [len(token.content.encode()) - 1 for token in self.tokens.values()]
        beyond = tf.reduce_sum(tf.where(is_stand_in, [beyond], 0), axis=1)
        return spread(points, starts.values, starts.values + tf.cast(beyond, tf.int64))

    def _replace(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.strings.regex_replace(x, self._anywhere, rf"{self._begin}\0{self._end}")
        for stand_in, token in self.tokens.items():
            found = f"{self._begin}{literal(token.content)}{self._end}"
            fillers = (len(token.content.encode()) - len(stand_in.encode())) * self._filler
            x = tf.strings.regex_replace(x, found, stand_in + fillers)
        return x


def literal(text: str) -> str:
    r"""An RE2 pattern that matches exactly this text.

    >>> literal("[x]")
    '\\x{5b}\\x{78}\\x{5d}'
    """
    return "".join(f"\\x{{{ord(character):x}}}" for character in text)
