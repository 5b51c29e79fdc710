"""Byte-pair encoding of words (https://arxiv.org/abs/1508.07909), exactly as the source does it.

From a table if the source makes one piece of a word, otherwise by the merge loop.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tokenizers import Tokenizer as Source

from preprocess.bpe.merge_loop import MergeLoop
from preprocess.bpe.symbols import SymbolTable
from preprocess.graph.lanes import count
from preprocess.graph.tables import static_table
from preprocess.source.byte_alphabet import BYTES
from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.tokenizer.model import Model


class _Pieces(NamedTuple):
    """The k pieces of words that follow on each other.

    Attributes:
        ids: int32 [k].
        words: int32 [k], ascending, the word of each.
        starts: int32 [k], the byte of its word at which each begins.
        limits: int32 [k], the byte beyond its last one.
    """

    ids: tf.Tensor
    words: tf.Tensor
    starts: tf.Tensor
    limits: tf.Tensor


class Merges(Model):
    """Encodes words, each by itself."""

    def __init__(
        self, model: Mapping[str, Any], byte_level: bool, numbers: Sequence[int] | None = None
    ) -> None:
        """Compiles a model.

        Args:
            model: the `model` of a serialised tokenizer, of type BPE.
            byte_level: whether its symbols are bytes, spelled in GPT-2's alphabet, and not
                characters.
            numbers: id of the model -> id to give; None for the same.

        Raises:
            UnsupportedTokenizerError: an option cannot be followed exactly; it is named.
            VocabularyError: the unknown token is needed, and not in the vocabulary.
        """
        super().__init__()
        if model.get("dropout"):
            raise UnsupportedTokenizerError(f"BPE with a dropout of {model['dropout']}")
        self._numbers = None if numbers is None else tf.constant(numbers, tf.int32)
        self._symbols = SymbolTable(model, byte_level)
        self._merge = MergeLoop(model)
        whole = dict(_whole_words(model, byte_level))
        self._whole = static_table([*whole], [*whole.values()], tf.string, -1)

    def tokenize(self, words: tf.Tensor) -> tf.RaggedTensor:
        """string [n], valid UTF-8 -> int32 [n, (pieces)]."""
        ids, _, _ = self.tokenize_with_offsets(words)
        return ids

    def tokenize_with_offsets(
        self, words: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Encodes words and says where their pieces are.

        Args:
            words: string [n], valid UTF-8.

        Returns:
            Ids, int32 [n, (pieces)]; the byte of the word at which each piece begins, and the byte
            beyond its last one, int64 [n, (pieces)] each. They may lie within a character.
        """
        lengths = tf.strings.length(words)
        whole = self._whole.lookup(words)
        rest = tf.cast(tf.where((whole < 0) & (lengths > 0))[:, 0], tf.int32)
        pieces = self._encode(tf.gather(words, rest))
        counts = count(pieces.words, tf.size(rest))
        ends = tf.cumsum(counts)

        # The values are first those of pieces, then one for each word, as if it were whole.
        places = tf.range(tf.size(words))
        first = tf.size(pieces.ids) + places
        begin = tf.dynamic_stitch([places, rest], [first, ends - counts])
        end = tf.dynamic_stitch([places, rest], [first + tf.minimum(lengths, 1), ends])
        rows = tf.ragged.range(begin, end)
        rows = rows.with_row_splits_dtype(tf.int64)

        def deal(of_pieces: tf.Tensor, of_words: tf.Tensor) -> tf.RaggedTensor:
            return rows.with_values(tf.gather(tf.concat([of_pieces, of_words], 0), rows.values))

        ids = deal(pieces.ids, whole)
        if self._numbers is not None:
            ids = ids.with_values(tf.gather(self._numbers, ids.values))
        starts, limits = deal(pieces.starts, 0 * places), deal(pieces.limits, lengths)
        return ids, tf.cast(starts, tf.int64), tf.cast(limits, tf.int64)

    def _encode(self, words: tf.Tensor) -> _Pieces:
        """Encodes string [n], none of them empty, without the table."""
        symbols = self._symbols(words)
        pieces = self._merge(symbols.ids, symbols.words)
        begins = tf.where(pieces >= 0)[:, 0]
        ids, of_word, starts = (
            tf.gather(each, begins) for each in (pieces, symbols.words, symbols.starts)
        )
        limits = tf.concat([starts[1:], symbols.starts[-1:]], 0)[: tf.size(starts)]
        base = tf.math.unsorted_segment_min(starts, of_word, tf.size(words))
        base = tf.gather(base, of_word)
        starts, limits = self._symbols.to_bytes(words, of_word, starts - base, limits - base)
        return _Pieces(ids, of_word, starts, limits)


def _whole_words(model: Mapping[str, Any], byte_level: bool) -> Iterator[tuple[bytes, int]]:
    """The words that the source makes one piece of, and its id."""
    source = Source.from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    suffix = model.get("end_of_word_suffix") or ""
    words = [*({*model["vocab"], *(piece.removesuffix(suffix) for piece in model["vocab"])} - {""})]
    if byte_level:
        words = [word for word in words if BYTES.keys() >= {*word}]
    for word, encoding in zip(words, source.encode_batch(words), strict=True):
        if encoding.offsets == [(0, len(word))]:
            raw = bytes(BYTES[each] for each in word) if byte_level else word.encode()
            yield raw, encoding.ids[0]
