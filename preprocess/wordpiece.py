"""WordPiece (https://arxiv.org/abs/1609.08144): the tokenizer of BERT and its family.

Text is normalised and split into words character by character; each word becomes the longest
pieces of the vocabulary from its start on, or the unknown token. The three steps are one codepoint
map, a split at spaces, and the linear-time WordPiece of https://arxiv.org/abs/2012.15524.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from tokenizers import Tokenizer as Source
from tokenizers import normalizers

from preprocess.core import codepoints
from preprocess.core.added_tokens import FreeReserved, Spare, StandIns
from preprocess.core.added_tokens import read as read_added_tokens
from preprocess.core.components import Component, require, serialised
from preprocess.core.errors import UnsupportedTokenizerError, VocabularyError
from preprocess.core.marks import CanonicalOrder
from preprocess.core.normalizer import CodepointStep
from preprocess.core.pieces import Joiner
from preprocess.core.steps import RareSteps, Step, Steps, ValidUtf8, lookup
from preprocess.core.tokenizer import Kind, Offsets, Tokenizer

_NORMALIZERS = {
    "BertNormalizer": ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
}
_PRE_TOKENIZERS: Mapping[str, tuple[str, ...]] = {"BertPreTokenizer": ()}
_MODELS = {
    "WordPiece": ("unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab")
}
_DECODERS = {"WordPiece": ("prefix", "cleanup")}
_LONGEST_PIECE = 256


class WordPieceTokenizer(Tokenizer):
    """A WordPiece tokenizer in the graph; ids are int32 [B, (words), (pieces)]."""

    def __init__(self, source: Source) -> None:
        """Compiles the source.

        Raises:
            UnsupportedTokenizerError: a component cannot be compiled exactly; it is named.
            VocabularyError: the unknown token is not in the vocabulary.
        """
        super().__init__()
        tokenizer = serialised(source)
        require("normalizer", tokenizer["normalizer"], _NORMALIZERS)
        require("pre-tokenizer", tokenizer["pre_tokenizer"], _PRE_TOKENIZERS)
        require("model", tokenizer["model"], _MODELS)
        self._compile_text(source, tokenizer)
        self._compile_vocabulary(tokenizer["model"])
        self._joiner = _joiner(source, tokenizer)

    def tokenize(self, sentences: tf.Tensor) -> tf.RaggedTensor:
        words = tf.strings.split(self._steps(sentences))
        pieces = self._wordpiece.tokenize(words.with_values(self._bounded(words.values)))
        return pieces.with_flat_values(tf.gather(self._ids, pieces.flat_values))

    def tokenize_with_offsets(self, sentences: tf.Tensor) -> Offsets:
        text, first, last = self._steps.align(sentences)
        words, begins, ends = tf_text.WhitespaceTokenizer().tokenize_with_offsets(text)
        bounded = self._bounded(words.values)
        pieces, starts, limits = self._wordpiece.tokenize_with_offsets(words.with_values(bounded))

        def of_word(x: tf.Tensor) -> tf.Tensor:
            return tf.gather(x, pieces.values.value_rowids())

        row = of_word(words.value_rowids())
        begin, end = (of_word(tf.cast(each.values, tf.int64)) for each in (begins, ends))
        limit = tf.where(of_word(self._too_long(words.values)), end, begin + limits.flat_values)
        starts = lookup(first, row, begin + starts.flat_values)
        limits = lookup(last, row, limit - 1) + 1
        ids = tf.gather(self._ids, pieces.flat_values)
        return tuple(pieces.with_flat_values(each) for each in (ids, starts, limits))

    def detokenize(self, ids: tf.RaggedTensor) -> tf.Tensor:
        return self._joiner(ids)

    def _compile_text(self, source: Source, tokenizer: Component) -> None:
        """Builds the steps from raw text to words set off by spaces."""
        normal = codepoints.probe_normalizer(source.normalizer.normalize_str)
        splits = codepoints.probe_splits(source.pre_tokenizer.pre_tokenize_str)
        tokens = read_added_tokens(source, tokenizer)
        taken = [*tokenizer["model"]["vocab"], *(token.content for token in tokens)]
        spare = Spare(normal, splits, taken)
        raw, late = (
            StandIns([each for each in tokens if each.normalized == stage], spare)
            for stage in (False, True)
        )
        self._stand_ins = {**raw.tokens, **late.tokens}
        reserved = {**dict.fromkeys(spare.taken, ""), **{each: each for each in self._stand_ins}}
        normal = {**normal, **reserved}
        splits = {**splits, **{each: f" {each} " for each in self._stand_ins}}

        rare: list[Step] = [ValidUtf8()]
        characters = set(spare.taken) if tokens else set()
        if tokens:
            rare.append(FreeReserved(spare))
        if raw.tokens:
            rare.append(raw)
            characters |= {token.content[0] for token in raw.tokens.values()}
        if _decomposes(tokenizer["normalizer"]):
            cleaned = _cleaned(tokenizer["normalizer"]) - self._stand_ins.keys()
            order = CanonicalOrder(cleaned, normal)
            rare.append(order)
            characters |= order.characters
        steps: list[Step] = [RareSteps(rare, characters)]
        if late.tokens:
            splits = {**splits, spare.filler: ""}
            steps += [CodepointStep(normal), late, CodepointStep(splits)]
        else:
            steps.append(CodepointStep(codepoints.compose(normal, splits)))
        self._steps = Steps(steps)

    def _compile_vocabulary(self, model: Component) -> None:
        """Builds the WordPiece operation over the vocabulary and the stand-ins."""
        self._unknown = model["unk_token"]
        if self._unknown not in model["vocab"]:
            raise VocabularyError(f"the unknown token {self._unknown!r} is not in the vocabulary")
        vocabulary = {piece: id for piece, id in model["vocab"].items() if piece}
        if long := [piece for piece in vocabulary if len(piece.encode()) > _LONGEST_PIECE]:
            raise UnsupportedTokenizerError(f"pieces of over {_LONGEST_PIECE} bytes: {long[:3]}")
        stand_ins = {stand_in: token.id for stand_in, token in self._stand_ins.items()}
        self._ids = np.array([*vocabulary.values(), *stand_ins.values()], np.int32)
        self._most_characters = model["max_input_chars_per_word"]
        self._wordpiece = tf_text.FastWordpieceTokenizer(
            vocab=[*vocabulary, *stand_ins],
            suffix_indicator=model["continuing_subword_prefix"],
            max_bytes_per_word=4 * self._most_characters,
            token_out_type=tf.int32,
            unknown_token=self._unknown,
            no_pretokenization=True,
        )

    def _bounded(self, words: tf.Tensor) -> tf.Tensor:
        """Puts the unknown token in the place of words that are too long, string [n]."""
        too_long = self._too_long(words)
        return tf.cond(
            tf.reduce_any(too_long), lambda: tf.where(too_long, self._unknown, words), lambda: words
        )

    def _too_long(self, words: tf.Tensor) -> tf.Tensor:
        return tf.strings.length(words, unit="UTF8_CHAR") > self._most_characters


def _decomposes(normalizer: Component) -> bool:
    """Whether it takes accents off, and so decomposes; by default, where it lower-cases."""
    strip = normalizer["strip_accents"]
    return bool(normalizer["lowercase"] if strip is None else strip)


def _cleaned(normalizer: Component) -> set[str]:
    """The characters that it deletes before it decomposes."""
    clean = normalizers.BertNormalizer(
        clean_text=normalizer["clean_text"],
        handle_chinese_chars=False,
        strip_accents=False,
        lowercase=False,
    )
    forms = codepoints.probe_normalizer(clean.normalize_str)
    return {character for character, form in forms.items() if not form}


def _joiner(source: Source, tokenizer: Component) -> Joiner:
    """Follows the decoder of the source, without its clean-up of English punctuation."""
    decoder = require("decoder", tokenizer["decoder"], _DECODERS)
    prefix = decoder["prefix"]
    strings = {id: token for token, id in source.get_vocab().items()}
    inner = {
        id: token[len(prefix) :] if token.startswith(prefix) else f" {token}"
        for id, token in strings.items()
    }
    special = {entry["id"] for entry in tokenizer["added_tokens"] if entry["special"]}
    return Joiner(inner, strings, special)


KIND = Kind("WordPiece", WordPieceTokenizer)
