"""A tokenizer in the graph, and how a kind of tokenizers declares itself."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

import tensorflow as tf
from tokenizers import Tokenizer as Source

from preprocess.graph.host import on_host
from preprocess.graph.rows import owners
from preprocess.graph.segments import flat_segment
from preprocess.source.components import Component
from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.text.pre_tokenizers import is_byte_level
from preprocess.text.text import Text, Words
from preprocess.tokenizer import decoders, offsets
from preprocess.tokenizer.model import Model, Offsets

Compile: TypeAlias = Callable[[Component], Model]
Traced = TypeVar("Traced")

EXACT = "exact"


@dataclasses.dataclass(frozen=True)
class TokenizerKind:
    """A tokenizer kind, as its file declares it.

    Attributes:
        model: the `model.type` of the serialised tokenizers that it compiles.
        compile: makes the model from a serialised tokenizer; raises PreprocessError where it has
            an option that is not supported.
        keeps_words: whether ids are [B, (words), (pieces)] rather than [B, (pieces)].
        distinct: whether it pays to tokenize each distinct word of a batch once.
        byte_level: whether words may be spelled in bytes, as the pre-tokenizer ByteLevel has it.
        others: engine -> the same as `compile`, for one that gives up some exactness for speed.
    """

    model: str
    compile: Compile
    keeps_words: bool = False
    distinct: bool = True
    byte_level: bool = False
    others: Mapping[str, Compile] = dataclasses.field(default_factory=dict)

    def engine(self, name: str) -> Compile:
        """What makes the model: `exact`, or by name one of the others.

        Raises:
            UnsupportedTokenizerError: there is no such engine for this kind.
        """
        engines = {EXACT: self.compile, **self.others}
        if name not in engines:
            raise UnsupportedTokenizerError(
                f"tokenizers of type {self.model} have no engine {name}; "
                f"they have: {', '.join(engines)}"
            )
        return engines[name]


class Tokenizer(tf.Module):
    """A tokenizer; with the engine `exact`, equal to its source on every input.

    Invalid UTF-8 is read as Python's `bytes.decode(errors="replace")` reads it.
    """

    _functions: dict[str, tf.types.experimental.ConcreteFunction]

    def __init__(
        self, source: Source, tokenizer: Component, kind: TokenizerKind, engine: str = EXACT
    ) -> None:
        """Compiles the source; `tokenizer` is its serialised form.

        Raises:
            UnsupportedTokenizerError: a component cannot be compiled exactly, or the kind does not
                have the engine; it is named.
            VocabularyError: a token that is needed is not in the vocabulary.
        """
        super().__init__()
        self._kind = kind
        self._model = kind.engine(engine)(tokenizer)
        self._text = Text(source, tokenizer)
        if is_byte_level(tokenizer["pre_tokenizer"]) and not kind.byte_level:
            raise UnsupportedTokenizerError(
                f"pre-tokenizer ByteLevel is not supported with a model of type {kind.model}"
            )
        self._decoder = decoders.Decoder(source, tokenizer)
        self._trims = offsets.compile(source, tokenizer, self._model.as_text)
        # Past tracking: models save what they use of it as functions of their own.
        object.__setattr__(self, "_functions", {})

    def traced(self, method: Callable[..., Traced]) -> Callable[[tf.Tensor], Traced]:
        """One of its methods of sentences as a concrete function, which all models share.

        Args:
            method: `tokenize`, or one that gives offsets, of this tokenizer.
        """
        name, spec = method.__name__, tf.TensorSpec([None], tf.string)
        if name not in self._functions:
            function = tf.function(method, autograph=False)
            self._functions[name] = function.get_concrete_function(spec)
        found: Callable[[tf.Tensor], Traced] = self._functions[name]
        return found

    @on_host
    def tokenize(self, sentences: tf.Tensor) -> tf.RaggedTensor:
        """string [B] -> int32 [B, (pieces)], or [B, (words), (pieces)] where words are kept."""
        words = self._text(sentences)
        pieces = self._pieces(words.words.values)
        return tf.cond(
            tf.reduce_any(words.tokens >= 0),
            lambda: _with_tokens(words, pieces, words.tokens, self._kind.keeps_words),
            lambda: _shaped(words.words.row_splits, pieces, words.splits, self._kind.keeps_words),
        )

    @on_host
    def tokenize_with_offsets(self, sentences: tf.Tensor) -> Offsets:
        """string [B] -> ids, and int64 starts and limits: bytes of the original string."""
        return self._with_offsets(sentences, self._kind.keeps_words)

    @on_host
    def tokenize_words_with_offsets(self, sentences: tf.Tensor) -> Offsets:
        """The same, [B, (words), (pieces)] from every kind: the words of the pre-tokenizer."""
        return self._with_offsets(sentences, keeps_words=True)

    def _with_offsets(self, sentences: tf.Tensor, keeps_words: bool) -> Offsets:
        words, sources = self._text.locate(sentences)
        ids, starts, limits = (
            each.with_row_splits_dtype(tf.int64) for each in self._located(words.words.values)
        )
        extents = sources.words.extents(owners(ids.row_splits), starts.values, limits.values)
        spaces = (tf.zeros_like(extents[0]),) * 2
        if self._trims and self._model.as_text is not None:
            spaces = offsets.spaces(words.words.values, ids, starts, limits, self._model.as_text)
        pieces = ids.values, *extents, *spaces
        tokens = words.tokens, *sources[1:]
        ids, *rest = (
            _with_tokens(words, ids.with_values(piece), token, keeps_words)
            for piece, token in zip(pieces, tokens, strict=True)
        )
        rows = owners(flat_segment(ids).row_splits)
        start, limit, *taken = (each.flat_values for each in rest)
        for trim in self._trims:
            start, limit = trim(sentences, ids.flat_values, rows, start, limit, *taken)
        return ids, *map(ids.with_flat_values, (start, limit))

    @on_host
    def detokenize(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """int32 [B, (pieces)] -> string [B], special tokens left out."""
        return self._decoder(ids)

    def _pieces(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Tokenizes words that are not spelled yet, string [n] -> int32 [n, (pieces)]."""
        if not self._kind.distinct:
            return self._model.tokenize(self._text.spelled(words))
        distinct, index = tf.unique(words)
        pieces = self._model.tokenize(self._text.spelled(distinct))
        return tf.gather(pieces.with_row_splits_dtype(tf.int64), index)

    def _located(self, words: tf.Tensor) -> Offsets:
        """Tokenizes words that are spelled, string [n] -> ids, starts, limits."""
        if not self._kind.distinct:
            return self._model.tokenize_with_offsets(words)
        distinct, index = tf.unique(words)
        found = self._model.tokenize_with_offsets(distinct)
        return tuple(tf.gather(each.with_row_splits_dtype(tf.int64), index) for each in found)


def _with_tokens(
    words: Words, pieces: tf.RaggedTensor, tokens: tf.Tensor, keeps_words: bool
) -> tf.RaggedTensor:
    """Puts added tokens among the pieces, each as a word of its own.

    Args:
        words: the words.
        pieces: [w, (pieces)], something of each piece of each word.
        tokens: [m], the same of each added token.
        keeps_words: whether the result has a level of words.
    """
    is_token = words.tokens >= 0
    at = tf.boolean_mask(words.words.row_starts(), is_token)
    values = _inserted(
        pieces.values, tf.gather(pieces.row_splits, at), tf.boolean_mask(tokens, is_token)
    )
    lengths = _inserted(pieces.row_lengths(), at, tf.ones_like(at))
    pieces = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
    before = tf.cumsum(tf.cast(is_token, tf.int64))
    splits = words.words.row_splits + tf.concat([[0], before], axis=0)
    return _shaped(splits, pieces, words.splits, keeps_words)


def _shaped(
    words: tf.Tensor, pieces: tf.RaggedTensor, rows: tf.Tensor, keeps_words: bool
) -> tf.RaggedTensor:
    """Groups pieces by rows; `words` and `rows` are where sections and rows begin."""
    words = tf.gather(words, rows)
    if keeps_words:
        return tf.RaggedTensor.from_row_splits(pieces, words, validate=False)
    splits = tf.gather(pieces.row_splits, words)
    return tf.RaggedTensor.from_row_splits(pieces.values, splits, validate=False)


def _inserted(x: tf.Tensor, at: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """Puts new elements in, each before element `at` of `x` (int64, ascending)."""
    places = tf.range(tf.size(x, tf.int64))
    moved = places + tf.searchsorted(at, places, side="right", out_type=tf.int64)
    taken = at + tf.range(tf.size(at, tf.int64))
    return tf.dynamic_stitch(
        [tf.cast(moved, tf.int32), tf.cast(taken, tf.int32)], [x, tf.cast(new, x.dtype)]
    )
