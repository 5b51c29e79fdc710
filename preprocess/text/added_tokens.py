"""Added tokens in the text: found before (or after) normalisation, kept whole.

As in the `tokenizers` library: of the tokens that begin at a place the longest is found, then the
search goes on behind it; a found token that does not hold as one (`single_word` within a word, or a
special one where these are plain text) is text like any other.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer as Source

from preprocess.graph.neighbours import from_left, from_right
from preprocess.graph.rows import owners
from preprocess.source.codepoints import character_class, longest_of, whitespace, word_characters
from preprocess.source.components import Component
from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.text.characters import before
from preprocess.text.steps import Aligned

_MARK = b"\xff"


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """One entry of the source's `added_tokens`.

    Attributes:
        content: the text that it is found by, as it stands where it is looked for.
        id: its id.
        special: whether decoding leaves it out.
        normalized: whether it is looked for after normalisation.
        single_word: whether it holds only where no word character stands beside it.
        lstrip: whether it takes the whitespace before it.
        rstrip: whether it takes the whitespace behind it.
        plain: whether it is text wherever it is found.
    """

    content: str
    id: int
    special: bool
    normalized: bool
    single_word: bool
    lstrip: bool
    rstrip: bool
    plain: bool


def read(source: Source, tokenizer: Component) -> list[AddedToken]:
    """Reads the added tokens of a tokenizer, in the order in which they are looked for.

    Raises:
        UnsupportedTokenizerError: one becomes nothing, or takes the whitespace that another begins
            with.
    """
    tokens = []
    entries = sorted(tokenizer["added_tokens"], key=lambda entry: not entry["special"])
    for entry in entries:
        content = entry["content"]
        if entry["normalized"] and source.normalizer:
            content = source.normalizer.normalize_str(content)
        plain = source.encode_special_tokens and entry["special"]
        tokens.append(AddedToken(**{**entry, "content": content}, plain=plain))
    pairs = zip(entries, tokens, strict=True)
    if gone := [entry["content"] for entry, token in pairs if not token.content]:
        raise UnsupportedTokenizerError(
            f"added tokens of which the normalizer leaves nothing are not supported: {gone[:3]}; "
            "the source finds nothing everywhere (say that they are not normalized)"
        )
    spaced = [token for token in tokens if token.content[0] in whitespace()]
    for token in tokens:
        if token.rstrip and any(other.normalized == token.normalized for other in spaced):
            raise UnsupportedTokenizerError(
                f"added token {token.content!r}: rstrip is not supported where another added "
                f"token, {spaced[0].content!r}, begins with whitespace"
            )
    return tokens


class Sections(NamedTuple):
    """Rows cut at their added tokens, m sections in all.

    Attributes:
        texts: string [m], the text of a section; empty where it is a token.
        tokens: int32 [m], the id of the token; -1 where it is text.
        splits: int64 [n + 1], where the sections of each row begin.
        begins: int64 [m], the first byte of a section in its row.
        ends: int64 [m], the byte behind its last.
        leading: int64 [m], how many characters of whitespace a token took before it.
        trailing: int64 [m], and behind it.
    """

    texts: tf.Tensor
    tokens: tf.Tensor
    splits: tf.Tensor
    begins: tf.Tensor
    ends: tf.Tensor
    leading: tf.Tensor
    trailing: tf.Tensor

    def rows(self) -> tf.Tensor:
        """int64 [m], the row of each section."""
        return owners(self.splits)

    def extents(self, whole: Aligned) -> tuple[tf.Tensor, tf.Tensor]:
        """Where each section came from, int64 [m] twice; 0 for one that is empty."""
        kept = self.ends > self.begins
        first, behind = whole.extents(
            *(tf.boolean_mask(x, kept) for x in (self.rows(), self.begins, self.ends))
        )
        at = tf.where(kept)
        return tuple(tf.scatter_nd(at, each, tf.shape(kept, tf.int64)) for each in (first, behind))

    def cut(self, inner: "Sections") -> "Sections":
        """The same rows, where `inner` are the sections of each of these."""
        rows = inner.rows()
        return inner._replace(
            tokens=tf.maximum(inner.tokens, tf.gather(self.tokens, rows)),
            splits=tf.gather(inner.splits, self.splits),
            leading=inner.leading + tf.gather(self.leading, rows),
            trailing=inner.trailing + tf.gather(self.trailing, rows),
        )


def whole(x: tf.Tensor) -> Sections:
    """Rows of text only: a section each."""
    count = tf.size(x, tf.int64)
    ends = tf.cast(tf.strings.length(x), tf.int64)
    tokens, none = -tf.ones_like(ends, tf.int32), tf.zeros_like(ends)
    return Sections(x, tokens, tf.range(count + 1), none, ends, none, none)


class Finder(tf.Module):
    """Finds added tokens.

    Attributes:
        characters: those that tokens begin with.
    """

    def __init__(self, tokens: Sequence[AddedToken]) -> None:
        """Takes the tokens that are looked for at one stage; there may be none.

        Raises:
            UnsupportedTokenizerError: RE2 cannot look for them.
        """
        super().__init__()
        first: dict[str, AddedToken] = {}
        for token in tokens:
            first.setdefault(token.content, token)
        found = [*first.values()]
        self.characters = {token.content[0] for token in found}
        self._anywhere = _pattern(found)
        keys = _keys(tf.constant([token.content for token in found], tf.string)).numpy()
        order = np.argsort(keys)
        self._keys = keys[order]
        self._ids = np.array([token.id for token in found], np.int32)[order]
        self._of = {
            option: np.array([getattr(token, option) for token in found], bool)[order]
            for option in ("single_word", "lstrip", "rstrip", "plain")
        }

    def mark(self, x: tf.Tensor) -> tf.Tensor:
        """Sets each token off by marks, string [n] -> string [n]."""
        if not self.characters:
            return x
        x = tf.strings.regex_replace(x, self._anywhere, _MARK + rb"\0" + _MARK)
        if self._of["single_word"].any() or self._of["plain"].any():
            return self._confirmed(x)
        return x

    def cut(self, marked: tf.Tensor) -> Sections:
        """Cuts rows at their marks; a token that strips takes the whitespace beside it."""
        if not self.characters:
            return whole(marked)
        sections = tf.strings.split(marked, sep=_MARK)
        is_token, at = _odd(sections), self._index(sections.values)
        tokens = tf.where(is_token, tf.gather(self._ids, at), -1)
        texts = tf.where(is_token, "", sections.values)
        lengths = tf.cast(tf.strings.length(sections.values), tf.int64)
        begins = before(sections.with_values(lengths))
        ends = begins + lengths
        leading = trailing = tf.zeros_like(lengths)
        if self._of["rstrip"].any():
            strips = is_token & tf.gather(self._of["rstrip"], at)
            texts, taken, count = _strip(texts, from_left(strips), f"^{_spaces()}")
            begins, ends, trailing = begins + taken, ends + from_right(taken), from_right(count)
        if self._of["lstrip"].any():
            strips = is_token & tf.gather(self._of["lstrip"], at)
            texts, taken, count = _strip(texts, from_right(strips), f"{_spaces()}$")
            begins, ends, leading = begins - from_left(taken), ends - taken, from_left(count)
        return Sections(texts, tokens, sections.row_splits, begins, ends, leading, trailing)

    def _confirmed(self, marked: tf.Tensor) -> tf.Tensor:
        """Takes the marks off again where what was found is text."""
        sections = tf.strings.split(marked, sep=_MARK)
        values, at = sections.values, self._index(sections.values)
        word = character_class(word_characters())
        first, last = _borders(sections)
        ends = tf.strings.regex_full_match(values, f"(?s).*{word}") & ~last
        begins = tf.strings.regex_full_match(values, f"(?s){word}.*") & ~first
        # Where no text is between two tokens, they stand beside each other.
        empty = tf.equal(values, "")
        ends |= empty & from_left(ends)
        begins |= empty & from_right(begins)
        within = tf.gather(self._of["single_word"], at) & (from_left(ends) | from_right(begins))
        holds = _odd(sections) & ~within & ~tf.gather(self._of["plain"], at)
        values = tf.where(holds, tf.strings.join([_MARK, values, _MARK]), values)
        rows = owners(sections.row_splits)
        return tf.strings.unsorted_segment_join(values, rows, sections.nrows())

    def _index(self, contents: tf.Tensor) -> tf.Tensor:
        """The place of each content, string [m] -> int32 [m]; any place for other strings."""
        return tf.minimum(tf.searchsorted(self._keys, _keys(contents)), len(self._keys) - 1)


def _pattern(tokens: Sequence[AddedToken]) -> str:
    """RE2 pattern of the longest token at a place."""
    try:
        pattern = longest_of(token.content for token in tokens)
        tf.strings.regex_full_match("", pattern)
    except (RecursionError, tf.errors.InvalidArgumentError) as error:
        raise UnsupportedTokenizerError(
            f"added tokens: {len(tokens)} that RE2 cannot look for; they are too many, or too many "
            "begin with each other"
        ) from error
    return pattern


def _keys(contents: tf.Tensor) -> tf.Tensor:
    """A fingerprint of each string, int64 [m]."""
    return tf.strings.to_hash_bucket_fast(contents, 1 << 62)


def _spaces() -> str:
    return f"{character_class(whitespace())}+"


def _odd(sections: tf.RaggedTensor) -> tf.Tensor:
    """Whether a section has an odd place in its row, bool [m]: text and tokens take turns."""
    places = tf.ragged.range(sections.row_lengths())
    return tf.equal(places.values % 2, 1)


def _borders(sections: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether a section is the first, and the last of its row, bool [m] twice."""
    count = tf.size(sections.values, tf.int64)
    starts, limits = sections.row_starts(), sections.row_limits() - 1
    return tuple(
        tf.scatter_nd(at[:, tf.newaxis], tf.ones_like(at, tf.bool), [count])
        for at in (starts, limits)
    )


def _strip(
    texts: tf.Tensor, chosen: tf.Tensor, spaces: str
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Takes spaces off the chosen texts.

    Returns:
        The texts; how many bytes went, and how many characters, int64 [m] each.
    """
    stripped = tf.where(chosen, tf.strings.regex_replace(texts, spaces, ""), texts)
    units = ("BYTE", "UTF8_CHAR")
    went = (tf.strings.length(texts, unit) - tf.strings.length(stripped, unit) for unit in units)
    return stripped, *(tf.cast(each, tf.int64) for each in went)
