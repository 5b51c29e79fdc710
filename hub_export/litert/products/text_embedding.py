"""A LiteRT copy of a text embedding: a vector of each text."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from hub_export.litert.interpreters import Arrays
from hub_export.litert.names import DEFAULT, PAIR, SERVING, TEXT, TEXT_PAIR
from hub_export.litert.reader import Texts
from hub_export.litert.text_model import Signature, TextModel


class TextEmbedding(TextModel):
    """Texts, or pairs of them, to vectors."""

    def __call__(self, texts: Texts, text_pairs: Texts | None = None) -> npt.NDArray[np.float32]:
        """Vectors of n texts, or pairs of them: float32 [n, D]; arguments and errors of `rows`."""
        return np.asarray(self._computed(self.rows(texts, text_pairs))[DEFAULT])

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name; for pairs if it takes any."""
        pairs = {PAIR: Signature((TEXT, TEXT_PAIR), self._served)}
        single = {SERVING: Signature((TEXT,), self._served)}
        return {**single, **pairs} if self.reading.pairs else single

    def _served(self, texts: Texts, text_pairs: Texts | None = None) -> Arrays:
        return {DEFAULT: self(texts, text_pairs)}
