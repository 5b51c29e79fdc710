"""A LiteRT copy of late interaction (ColBERT): a vector of each token of queries and documents."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hub_export.errors import ExportError
from hub_export.litert.interpreters import Arrays
from hub_export.litert.model import Outputs, Row
from hub_export.litert.names import (
    DOCUMENT,
    QUERY,
    SCORE,
    SERVING,
    SERVING_PAIR,
    TEXT,
    TEXT_PAIR,
    TOKEN,
    TOKEN_ID,
    VECTORS,
)
from hub_export.litert.numbers import Floats
from hub_export.litert.reader import Reader, Texts
from hub_export.litert.text_model import Signature, TextModel, flat


class Side:
    """How texts of one side become rows, and which tokens of these get a vector.

    Attributes:
        reader: makes rows of texts, which are not filled up yet.
    """

    def __init__(self, reader: Reader, options: Mapping[str, Any], words: int) -> None:
        """Takes the side's options.

        Args:
            reader: makes rows of its texts.
            options: `left_out`, the ids that get no vector, and `filling`, what a short row is
                filled up with (its `length`, the `id` of the token, whether it `is_attended`), or
                nothing.
            words: how many ids there are.
        """
        self.reader, self._filling = reader, options["filling"]
        self._counts = np.ones(words, bool)
        self._counts[options["left_out"]] = False

    def rows(self, texts: Texts) -> list[Row]:
        """Rows of texts, filled up."""
        return [self._filled(row) for row in self.reader.rows(texts)]

    def counted(self, row: Row) -> npt.NDArray[np.bool_]:
        """Which tokens of a row get a vector: bool [S]."""
        return self._counts[np.array(row.word_ids)]

    def _filled(self, row: Row) -> Row:
        if self._filling is None:
            return row
        length, id, is_attended = (self._filling[key] for key in ("length", "id", "is_attended"))
        more = max(0, length - len(row.word_ids))
        behind = (id, int(is_attended), 0)
        return Row(*([*each, *[value] * more] for each, value in zip(row, behind, strict=True)))


class LateInteraction(TextModel):
    """Queries and documents to vectors of their tokens, and to scores.

    Its description has the options `words`, how many ids there are; `is_mean`, whether a score is
    divided by the number of a query's vectors; `worst`, the sum of a document that has none; and of
    `query` and `document` each what `Side` takes, its `prompt` and its `max_length`.
    """

    def __init__(
        self, folder: str | Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        super().__init__(folder, precision, threads)
        self._sides = {name: self._side(name) for name in (QUERY, DOCUMENT)}

    def __call__(self, texts: Texts) -> list[Floats]:
        """The same as `document`."""
        return self.document(texts)

    def rows(self, texts: Texts, text_pairs: Texts | None = None) -> list[Row]:
        """Those of n texts as queries, then as documents, before they are filled up: 2 n."""
        super().rows([], text_pairs)  # pairs are refused
        return [row for side in self._sides.values() for row in side.reader.rows(texts)]

    def query(self, texts: Texts) -> list[Floats]:
        """Vectors of the tokens of n queries, special ones included: a list of n float32 [S, D]."""
        return [*self._found(QUERY, texts)[VECTORS]]

    def document(self, texts: Texts) -> list[Floats]:
        """Those of n documents, likewise; some tokens may be left out."""
        return [*self._found(DOCUMENT, texts)[VECTORS]]

    def scores(self, queries: Texts, documents: Texts) -> Floats:
        """How well each document goes with its query: float32 [n].

        Raises:
            ExportError: there are not as many documents as queries; else as of `rows`.
        """
        if len(queries) != len(documents):
            raise ExportError(
                f"expected {len(queries)} documents, one for each query, found {len(documents)}"
            )
        pairs = zip(self.query(queries), self.document(documents), strict=True)
        return np.array([self._score(*each) for each in pairs], np.float32)

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        named = {SERVING: DOCUMENT, QUERY: QUERY, DOCUMENT: DOCUMENT}
        listed = {
            name: Signature((TEXT,), functools.partial(flat, functools.partial(self._found, side)))
            for name, side in named.items()
        }
        return {**listed, SERVING_PAIR: Signature((TEXT, TEXT_PAIR), self._scored)}

    def _side(self, name: str) -> Side:
        options = self.description.options[name]
        longest = min(options["max_length"], self.description.longest)
        reader = self._reader(prompt=options["prompt"], max_length=longest)
        return Side(reader, options, self.description.options["words"])

    def _found(self, side: str, texts: Texts) -> Outputs:
        """Vectors of texts, and the tokens that they are of: lists of n."""
        rows = self._sides[side].rows(texts)
        computed = self._computed(rows)[VECTORS]
        counted = [self._sides[side].counted(row) for row in rows]
        pairs = zip(rows, counted, strict=True)
        ids = [np.array(row.word_ids, np.int32)[each] for row, each in pairs]
        return {
            VECTORS: [x[each] for x, each in zip(computed, counted, strict=True)],
            TOKEN: [self.reader.words(each) for each in ids],
            TOKEN_ID: ids,
        }

    def _scored(self, queries: Texts, documents: Texts) -> Arrays:
        return {SCORE: self.scores(queries, documents)}

    def _score(self, query: Floats, document: Floats) -> float:
        """The sum of the largest products of each of the query's vectors, or their mean."""
        options = self.description.options
        best = (query @ document.T).max(axis=1, initial=-np.inf)
        score = float(best.sum()) if len(document) else options["worst"]
        return score / max(len(query), 1) if options["is_mean"] else score
