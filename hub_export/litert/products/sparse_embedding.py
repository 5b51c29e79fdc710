"""A LiteRT copy of a sparse embedding: weights of the vocabulary's words."""

import functools
from collections.abc import Mapping

import numpy as np

from hub_export.litert.interpreters import Arrays
from hub_export.litert.model import Outputs
from hub_export.litert.names import (
    SERVING,
    TERMS,
    TEXT,
    TOKEN,
    TOKEN_ID,
    WEIGHT,
    WEIGHTS,
)
from hub_export.litert.numbers import Floats, largest
from hub_export.litert.reader import Texts
from hub_export.litert.text_model import Signature, TextModel, flat


class SparseEmbedding(TextModel):
    """Texts to weights of words.

    Its description has an option: `most`, how many terms of a text are listed.
    """

    def __call__(self, texts: Texts) -> Floats:
        """The weights of V words for n texts: float32 [n, V]; errors as of `rows`."""
        return np.asarray(self._computed(self.rows(texts))[WEIGHTS])

    def terms(self, texts: Texts) -> Outputs:
        """Of n texts the words that have a weight, the largest first.

        Returns:
            `token`, `token_id` int32 and `weight` float32, lists of n.
        """
        weights = self(texts)
        ids = largest(weights, min(self.description.options["most"], weights.shape[1]))
        values = np.take_along_axis(weights, ids, axis=1)
        chosen = [id[value > 0] for id, value in zip(ids, values, strict=True)]
        return {
            TOKEN: [self.reader.words(each) for each in chosen],
            TOKEN_ID: [each.astype(np.int32) for each in chosen],
            WEIGHT: [value[value > 0] for value in values],
        }

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        terms = functools.partial(flat, self.terms)
        return {SERVING: Signature((TEXT,), self._served), TERMS: Signature((TEXT,), terms)}

    def _served(self, texts: Texts) -> Arrays:
        return {WEIGHTS: self(texts)}
