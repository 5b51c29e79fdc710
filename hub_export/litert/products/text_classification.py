"""A LiteRT copy of a text classification: a label of each text."""

from collections.abc import Mapping

import numpy as np

from hub_export.litert.interpreters import Arrays
from hub_export.litert.names import (
    LABEL,
    LOGITS,
    PROBABILITIES,
    SCORE,
    SERVING,
    SERVING_PAIR,
    TEXT,
    TEXT_PAIR,
)
from hub_export.litert.reader import Texts
from hub_export.litert.text_model import Signature, TextModel


class TextClassification(TextModel):
    """Texts, or pairs of them, to labels."""

    def __call__(self, texts: Texts, text_pairs: Texts | None = None) -> Arrays:
        """Of n texts, or pairs of them, `logits` and `probabilities`, float32 [n, C], and `label`.

        With one label there is `score`, float32 [n], too. Arguments and errors are those of `rows`.
        """
        computed = self._computed(self.rows(texts, text_pairs))
        found = {name: np.asarray(each) for name, each in computed.items()}
        labels = np.array(self.description.labels, object)
        found[LABEL] = labels[found[LOGITS].argmax(axis=1)]
        return found if len(labels) > 1 else {**found, SCORE: found[PROBABILITIES][:, 0]}

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        return {
            SERVING: Signature((TEXT,), self),
            SERVING_PAIR: Signature((TEXT, TEXT_PAIR), self),
        }
