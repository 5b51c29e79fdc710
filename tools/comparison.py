"""Comparing a compiled tokenizer with its source, text by text."""

import codecs
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tokenizers import Encoding, Tokenizer

import preprocess
from hub_export.verify.tokens.ids import without_clean_up
from hub_export.verify.tokens.packing import packed_rows, packs

CHUNK = 10_000
TRACED = TOKENIZE, LOCATE, DETOKENIZE = "tokenize", "tokenize_with_offsets", "detokenize"
"""The methods of a tokenizer that are compared."""
_BROKEN = "\udc00"
"""What stands for invalid bytes until their places are known; no text has it."""

Text = str | bytes
Difference = tuple[str, str]
"""What differs (ids, offsets, decoded, packed), and an example."""


class Comparison:
    """A source tokenizer, and what is compiled from it.

    Attributes:
        compared: how many texts, or pairs, have been compared.
        differences: how many of them differ, by what differs.
        examples: the first few, described.
    """

    def __init__(
        self, source: Tokenizer, examples: int = 3, traced: Sequence[str] = TRACED
    ) -> None:
        """Compiles the source, whose truncation and padding are how it packs.

        Args:
            source: the tokenizer.
            examples: how many differences of a kind are described.
            traced: which of its methods are traced: that takes longer than to call them on a few
                hundred texts.

        Raises:
            preprocess.PreprocessError: the source is not supported.
        """
        # Read once from JSON, as every checkpoint's is: that may change the last bit of a score.
        source = without_clean_up(source)
        self._source, self._plain = source, without_clean_up(source)
        self._plain.no_truncation()
        self._plain.no_padding()
        padding = (source.padding or {}).get("pad_token") or ""
        known = source.token_to_id(padding) is not None
        self._padding = padding if known else min(source.get_vocab())
        built = preprocess.build(source, self._padding, None, seq_length=128, type_vocabulary=9)
        self._packer, self._tokenizer = built.packer, built.tokenizer
        self._traced, self._decode = traced, built.tokenizer.detokenize
        if DETOKENIZE in traced:
            ragged = [tf.RaggedTensorSpec([None, None], tf.int32)]
            self._decode = tf.function(built.tokenizer.detokenize, ragged, autograph=False)
        self.compared = 0
        self.differences: Counter[str] = Counter()
        self.examples: list[str] = []
        self._most_examples = examples

    def texts(self, texts: Iterable[Text]) -> None:
        """Compares ids, offsets and decoding, a chunk at a time."""
        for chunk in chunks(texts):
            self.compared += len(chunk)
            self._note(self._of_texts(chunk))

    def decoding(self, rows: Iterable[Sequence[int]]) -> None:
        """Compares the decoding of ids that no text may have given."""
        for chunk in chunks(rows):
            self.compared += len(chunk)
            self._note(self._of_decoding(chunk))

    def pairs(self, pairs: Sequence[tuple[str, str]], lengths: Sequence[int]) -> None:
        """Compares packed single texts and pairs."""
        for length in lengths:
            self.compared += 2 * len(pairs)
            self._note(self._of_packing(pairs, length))

    @property
    def special_tokens(self) -> int:
        """The shortest length that a pair can be packed into."""
        return int(self._source.num_special_tokens_to_add(is_pair=True))

    def _note(self, found: Iterable[Difference]) -> None:
        for what, example in found:
            self.differences[what] += 1
            if self.differences[what] <= self._most_examples:
                self.examples.append(f"{what}: {example}")

    def _of_texts(self, texts: Sequence[Text]) -> Iterator[Difference]:
        batch = tf.constant(texts, tf.string)
        ids = _rows(self._tokenize(batch))
        located, *places = map(_rows, self._called(self._tokenizer.tokenize_with_offsets, batch))
        read = [text if isinstance(text, str) else text.decode(errors="replace") for text in texts]
        expected = self._plain.encode_batch(read, add_special_tokens=False)
        for text, row, again, start, limit, encoding in zip(
            texts, ids, located, *places, expected, strict=True
        ):
            if row != encoding.ids or again != encoding.ids:
                which = row if row != encoding.ids else again
                yield "ids", f"{_shown(text)}: expected {self._names(encoding.ids, which)}"
                continue
            wanted = in_bytes(text, encoding)
            if list(zip(start, limit, strict=True)) != wanted:
                spans = zip(start, limit, strict=True)
                first = next((w, f) for w, f in zip(wanted, spans, strict=True) if w != f)
                yield "offsets", f"{_shown(text)}: expected {first[0]}, found {first[1]}"
        yield from self._of_decoding([encoding.ids for encoding in expected])

    def _tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """string [B] -> the ids of each."""
        return self._called(self._tokenizer.tokenize, texts)

    def _called(self, method: Callable[..., Any], texts: tf.Tensor) -> Any:
        """A method of the tokenizer, traced or not."""
        traced = method.__name__ in self._traced
        return (self._tokenizer.traced(method) if traced else method)(texts)

    def _of_decoding(self, rows: Sequence[Sequence[int]]) -> Iterator[Difference]:
        # `tf.ragged.constant` takes a time that grows with the square of the length.
        flat = np.fromiter(itertools.chain.from_iterable(rows), np.int32)
        lengths = np.array([len(row) for row in rows], np.int64)
        found = self._decode(tf.RaggedTensor.from_row_lengths(flat, lengths))
        expected = self._plain.decode_batch([list(row) for row in rows])
        for row, text, wanted in zip(rows, found.numpy(), expected, strict=True):
            if text != wanted.encode():
                pieces = [self._plain.id_to_token(id) for id in row[:12]]
                yield "decoded", f"{pieces!a}: expected {wanted[:60]!a}, found {text[:60]}"

    def _of_packing(self, pairs: Sequence[tuple[str, str]], length: int) -> Iterator[Difference]:
        source = without_clean_up(self._source)
        truncation, padding = source.truncation or {}, source.padding or {}
        ways = {key: truncation[key] for key in ("strategy", "direction") if key in truncation}
        source.enable_truncation(length, **ways)
        sides = {key: padding[key] for key in ("pad_type_id", "direction") if key in padding}
        padding_id = source.token_to_id(self._padding)
        source.enable_padding(length=length, pad_id=padding_id, **sides)
        for texts in ([first for first, _ in pairs], pairs):
            given = [each for each in texts if packs(source, *_columns(each))]
            if not given:
                continue
            columns = [given] if isinstance(given[0], str) else zip(*given, strict=True)
            tokens = [self._tokenize(tf.constant(column)) for column in columns]
            packed = self._packer([preprocess.flat_segment(each) for each in tokens], length)
            rows = (each.numpy().tolist() for each in packed)
            for text, wanted, *found in zip(given, packed_rows(source, given), *rows, strict=True):
                if found != [*wanted]:
                    yield "packed", f"{text!a:.80} in {length}: {wanted[0]}, found {found[0]}"

    def _names(self, expected: Sequence[int], found: Sequence[int]) -> str:
        """Both rows from where they begin to differ."""
        pairs = enumerate(zip(expected, found, strict=False))
        at = next((at for at, (a, b) in pairs if a != b), min(len(expected), len(found)))
        names = [
            [self._plain.id_to_token(id) for id in row[at : at + 6]] for row in (expected, found)
        ]
        return f"{names[0]!a}, found {names[1]!a}"


def chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists of up to 10,000."""
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _rows(x: tf.RaggedTensor) -> list[list[int]]:
    rows: list[list[int]] = (x.merge_dims(1, -1) if x.ragged_rank > 1 else x).to_list()
    return rows


def in_bytes(text: Text, encoding: Encoding) -> list[tuple[int, int]]:
    """The offsets of an encoding, which count characters, in bytes of the text."""
    if text.isascii():
        return list(encoding.offsets)
    place = list(itertools.accumulate(_widths(text), initial=0))
    return [(place[start], place[limit]) for start, limit in encoding.offsets]


def _widths(text: Text) -> Iterator[int]:
    """How many bytes each character is, where U+FFFD may stand for invalid ones."""
    if isinstance(text, str):
        yield from (len(character.encode()) for character in text)
        return
    broken: list[int] = []

    def mark(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        broken.append(error.end - error.start)
        return _BROKEN, error.end

    codecs.register_error("token_parity", mark)
    read = text.decode(errors="token_parity")
    widths = iter(broken)
    yield from (next(widths) if each == _BROKEN else len(each.encode()) for each in read)


def _columns(texts: str | tuple[str, str]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else texts


def _shown(text: Text) -> str:
    return f"{text[:80]!a}"
