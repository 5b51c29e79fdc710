"""From strings to words: added tokens, normalizer and pre-tokenizer of a source tokenizer."""

import functools
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import tensorflow as tf
from tokenizers import Tokenizer as Source

from preprocess.graph.rows import on_rows
from preprocess.source.codepoints import normal_forms
from preprocess.source.components import Component
from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.text import added_tokens, normalizers, pre_tokenizers
from preprocess.text.added_tokens import AddedToken, Finder, Sections
from preprocess.text.marks import CanonicalOrder, Composition
from preprocess.text.normalizers import Items
from preprocess.text.pre_tokenizers import Stage
from preprocess.text.splitter import Splitter
from preprocess.text.steps import (
    Aligned,
    Change,
    Changes,
    Rare,
    Step,
    Steps,
    ValidUtf8,
    Where,
    without,
)

Chains: TypeAlias = list[tuple[list[Change], list[Step]]]


class Words(NamedTuple):
    """Rows as sections, and sections as words.

    Attributes:
        words: string [m, (words)], the words of each section; none where it is an added token.
        tokens: int32 [m], the id of the added token; -1 where the section is text.
        splits: int64 [B + 1], where the sections of each row begin.
    """

    words: tf.RaggedTensor
    tokens: tf.Tensor
    splits: tf.Tensor


class Sources(NamedTuple):
    """Where words and added tokens are in the original strings.

    Attributes:
        words: the sources of each byte of each word.
        starts: int64 [m], the first byte of each added token.
        limits: int64 [m], the byte behind it.
        leading: int64 [m], how many characters of whitespace the token took before it.
        trailing: int64 [m], and behind it.
    """

    words: Aligned
    starts: tf.Tensor
    limits: tf.Tensor
    leading: tf.Tensor
    trailing: tf.Tensor


class Text(tf.Module):
    """Cuts strings into words."""

    def __init__(self, source: Source, tokenizer: Component) -> None:
        """Compiles the components.

        Raises:
            UnsupportedTokenizerError: one cannot be compiled exactly; it is named.
        """
        super().__init__()
        tokens = added_tokens.read(source, tokenizer)
        self._raw, self._late = (
            Finder([token for token in tokens if token.normalized == stage])
            for stage in (False, True)
        )
        parts = (json.dumps(tokenizer[part]) for part in ("normalizer", "pre_tokenizer"))
        stages, chains, fused = _chains(*parts, apart=bool(self._late.characters))
        if stages[0].at_start:
            late = [token for token in tokens if token.normalized and not token.plain]
            _require_whole(late, tokenizer["normalizer"])
        (leading, exact), *behind = chains
        # What few texts need comes first in the first chain: it is done to these texts alone.
        rare = [*itertools.takewhile(_is_rare, leading)]
        self._valid, self._rare = ValidUtf8(), Changes(rare)
        compiled = [(leading[len(rare) :], exact), *behind]
        (normal, exact_normal), *cutting = [([], []), *compiled] if fused else compiled
        self._normal, self._exact = _sequence(normal), Steps(exact_normal)
        self._splitters = [
            Splitter(stage, _sequence(changes), Steps(steps))
            for stage, (changes, steps) in zip(stages, cutting, strict=True)
        ]
        triggers = self._raw.characters.union(*(change.characters for change in rare))
        self._plain, self._without_late = without(triggers), without(self._late.characters)

    def __call__(self, x: tf.Tensor) -> Words:
        """string [B] -> words, but for the prefix that `spelled` adds."""
        rare = ~tf.strings.regex_full_match(x, self._plain)
        cut, kept = functools.partial(self._cut, x, rare), functools.partial(added_tokens.whole, x)
        sections = tf.cond(tf.reduce_any(rare), cut, kept)
        sections = sections._replace(texts=self._normal(sections.texts))
        if self._late.characters:
            found = ~tf.strings.regex_full_match(sections.texts, self._without_late)
            marked = on_rows(found, self._late.mark, sections.texts)
            sections = sections.cut(self._late.cut(marked))
        first = self._splitters[0]
        words = first(first.begin(sections.texts, sections.splits))
        for previous, splitter in itertools.pairwise(self._splitters):
            texts = previous.end(words.values)
            words = _within(words, splitter(splitter.begin(texts, sections.splits)))
        return Words(words, sections.tokens, sections.splits)

    def spelled(self, words: tf.Tensor) -> tf.Tensor:
        """Words as the model spells them, string [n] -> string [n]."""
        return self._splitters[-1].end(words)

    def locate(self, x: tf.Tensor) -> tuple[Words, Sources]:
        """string [B] -> words as the model spells them, and where all of it came from."""
        whole = self._valid.align(x)
        sections = self._raw.cut(self._raw.mark(whole.text))
        starts, limits = sections.extents(whole)
        whole = whole.slices(sections.rows(), sections.begins, sections.texts)
        whole = whole.then(self._exact.align(whole.text))
        if self._late.characters:
            inner = self._late.cut(self._late.mark(whole.text))
            rows = inner.rows()
            found = zip(inner.extents(whole), (starts, limits), strict=True)
            starts, limits = (
                tf.where(inner.tokens < 0, tf.gather(outer, rows), late) for late, outer in found
            )
            whole = whole.slices(rows, inner.begins, inner.texts)
            sections = sections.cut(inner)
        words = tf.RaggedTensor.from_row_splits(whole.text, tf.range(tf.size(whole.text) + 1))
        for splitter in self._splitters:
            split, whole = splitter.align(whole, sections.splits)
            words = _within(words, split)
        sources = Sources(whole, starts, limits, sections.leading, sections.trailing)
        return Words(words, sections.tokens, sections.splits), sources

    def _cut(self, x: tf.Tensor, rare: tf.Tensor) -> Sections:
        x = on_rows(rare, lambda rows: self._raw.mark(self._valid(rows)), x)
        sections = self._raw.cut(x)
        texts = on_rows(tf.gather(rare, sections.rows()), self._rare, sections.texts)
        return sections._replace(texts=texts)


@functools.lru_cache(maxsize=4)
def _chains(normalizer: str, pre_tokenizer: str, apart: bool) -> tuple[list[Stage], Chains, bool]:
    """Compiles components, in their serialised form, once; nobody changes what this returns.

    Args:
        normalizer: the normalizer.
        pre_tokenizer: the pre-tokenizer.
        apart: whether something comes between them.

    Returns:
        The stages, the chains of changes, and whether the first one is that of the normalizer and
        of the first stage.
    """
    items = normalizers.read(json.loads(normalizer))
    stages = pre_tokenizers.read(json.loads(pre_tokenizer))
    _require_start(stages[0], items)
    first, *later = (stage.marked() for stage in stages)
    fused = not apart and stages[0].before is None
    chains = [[*items, *first], *later] if fused else [items, first, *later]
    return stages, [normalizers.compiled(chain) for chain in chains], fused


def _is_rare(change: Change) -> bool:
    return isinstance(change, Rare)


def _sequence(changes: Sequence[Change]) -> Changes:
    return Changes([Where(each) if isinstance(each, Rare) else each for each in changes])


def _within(words: tf.RaggedTensor, parts: tf.RaggedTensor) -> tf.RaggedTensor:
    """[m, (words)] and the parts of all words, [w, (parts)] -> [m, (parts)]."""
    splits = tf.gather(parts.row_splits, words.row_splits)
    return tf.RaggedTensor.from_row_splits(parts.values, splits, validate=False)


def _require_start(stage: Stage, items: Items) -> None:
    """Whether a text begins a row shows only where its first character stays in its place."""
    if stage.at_start and not all(
        all(item.values())
        if isinstance(item, Mapping)
        else isinstance(item, CanonicalOrder | Composition)
        for item in items
    ):
        raise UnsupportedTokenizerError(
            "pre-tokenizer Metaspace with prepend_scheme first is not supported behind a "
            "normalizer that may delete the first character"
        )


def _require_whole(tokens: Sequence[AddedToken], normalizer: Component | None) -> None:
    """Behind a token that is part of what the first character becomes, the source sees a start."""
    forms = normal_forms(normalizer).values() if tokens and normalizer else ()
    beginnings = {form[:-1] for form in forms}
    for token in tokens:
        if any(token.content in each for each in beginnings):
            raise UnsupportedTokenizerError(
                "pre-tokenizer Metaspace with prepend_scheme first is not supported with the added "
                f"token {token.content!r}, which may be a part, not the last, of what a character "
                "becomes"
            )
