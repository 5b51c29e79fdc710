"""A LiteRT copy of a token classification: the entities of texts."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding

from hub_export.errors import ExportError
from hub_export.litert.entities import EntityLabels, Tokens, entities
from hub_export.litert.interpreters import Arrays
from hub_export.litert.model import Outputs
from hub_export.litert.names import (
    AGGREGATIONS,
    LABEL,
    LIMIT,
    LOGITS,
    MASK,
    SCORE,
    SERVING,
    SIMPLE,
    START,
    TEXT,
)
from hub_export.litert.numbers import Floats, padded, softmax
from hub_export.litert.places import bytes_before
from hub_export.litert.reader import Texts
from hub_export.litert.text_model import Signature, TextModel, flat

_PREFIX = "continuing_subword_prefix"

Ints = npt.NDArray[np.int64]
Read = tuple[str, Encoding, Floats]
"""A text, its tokens, and their logits, float32 [S, C]."""


class TokenClassification(TextModel):
    """Texts to entities.

    Its description has an option: `unknown`, the id of the unknown token, which is a word always;
    nothing where there is none. Places are bytes of a text as it is read, with U+FFFD in the place
    of what is not UTF-8.
    """

    def __init__(
        self, folder: str | Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        super().__init__(folder, precision, threads)
        self._labels = EntityLabels(self.description.labels)
        self._marks = bool(getattr(self.reader.tokenizer.model, _PREFIX, None))

    def __call__(self, texts: Texts) -> Arrays:
        """Of n texts, whose longest has S tokens, `logits`, `input_mask`, `start` and `limit`.

        Returns:
            float32 [n, S, C], zeros at padding; int32 [n, S]; int64 [n, S], the bytes where each
            token stands, zeros where it is special or padding.
        """
        read = self._read(texts)
        lengths = np.array([len(logits) for *_, logits in read], np.int64)
        columns: dict[str, list[Any]] = {
            LOGITS: [logits for *_, logits in read],
            MASK: [np.ones(length, np.int32) for length in lengths],
        }
        places = [
            bytes_before(text)[_places(each)] * ~_is_special(each)[:, np.newaxis]
            for text, each, _ in read
        ]
        columns |= {START: [each[:, 0] for each in places], LIMIT: [each[:, 1] for each in places]}
        longest = lengths.max(initial=0)
        return {name: padded(each, longest) for name, each in columns.items()}

    def entities(self, texts: Texts, aggregation: str = SIMPLE) -> Outputs:
        """The entities of n texts.

        Args:
            texts: n.
            aggregation: `none`, `simple`, `first`, `average` or `max`, as the pipeline of
                `transformers` defines them.

        Returns:
            `label`, `score` float32, `start` and `limit` int64 (bytes of the text) and `text`, what
            stands there: lists of n.

        Raises:
            ExportError: there is no such aggregation; else as of `rows`.
        """
        if aggregation not in AGGREGATIONS:
            raise ExportError(
                f"aggregation: expected one of {', '.join(AGGREGATIONS)}, found {aggregation!r}"
            )
        found: dict[str, list[Any]] = {name: [] for name in (LABEL, SCORE, START, LIMIT, TEXT)}
        for text, read, logits in self._read(texts):
            names, spans = entities(self._tokens(text, read, logits), self._labels, aggregation)
            places, before = zip(spans.start, spans.limit, strict=True), bytes_before(text)
            named = {
                LABEL: np.array(names, object),
                SCORE: spans.score,
                START: before[spans.start],
                LIMIT: before[spans.limit],
                TEXT: np.array([text[start:limit] for start, limit in places], object),
            }
            for name, each in named.items():
                found[name].append(each)
        return {**found}

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        named = {**{each: each for each in AGGREGATIONS}, SERVING: SIMPLE}
        asked: dict[str, Callable[..., Arrays]] = {LOGITS: self}
        for name, each in named.items():
            answer = functools.partial(self.entities, aggregation=each)
            asked[name] = functools.partial(flat, answer)
        return {name: Signature((TEXT,), ask) for name, ask in asked.items()}

    def _read(self, texts: Texts) -> list[Read]:
        placed = self.reader.placed(texts)
        logits = self._computed([row for _, row, _ in placed])[LOGITS]
        return [(text, each, of) for (text, _, each), of in zip(placed, logits, strict=True)]

    def _tokens(self, text: str, read: Encoding, logits: Floats) -> Tokens:
        """Those that are no special ones; places are characters of the text.

        Where the tokenizer marks the pieces within a word, such a piece is spelled longer than it
        stands in the text. Where it does not, words are what spaces separate.
        """
        kept, unknown = ~_is_special(read), self.description.options["unknown"]
        start, limit = _places(read)[kept].T
        if self._marks:
            spelled = np.array([*map(len, read.tokens)])[kept]
            is_subword = np.maximum(limit - start, 0) != spelled
        else:
            is_space = np.array([character == " " for character in f"{text}x"])
            is_subword = (start > 0) & ~is_space[np.maximum(start - 1, 0)] & ~is_space[start]
        is_known = np.array([id != unknown for id in read.ids], bool)[kept]
        return Tokens(start, limit, is_subword & is_known, softmax(logits[kept]))


def _places(read: Encoding) -> Ints:
    """Where each token stands, in characters: int64 [S, 2]."""
    return np.array(read.offsets, np.int64).reshape(-1, 2)


def _is_special(read: Encoding) -> npt.NDArray[np.bool_]:
    return np.array(read.special_tokens_mask, bool)
