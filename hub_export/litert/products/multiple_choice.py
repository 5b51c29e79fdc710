"""A LiteRT copy of multiple choice: which of its choices goes best with each text."""

from collections.abc import Mapping, Sequence

import numpy as np

from hub_export.errors import ExportError
from hub_export.litert.interpreters import Arrays
from hub_export.litert.model import Outputs
from hub_export.litert.names import (
    ANSWER,
    CHOICE,
    CHOICES,
    LOGITS,
    PROBABILITIES,
    SERVING,
    TEXT,
)
from hub_export.litert.numbers import softmax, split
from hub_export.litert.reader import Texts, read
from hub_export.litert.text_model import Signature, TextModel


class MultipleChoice(TextModel):
    """Texts and their choices to the best ones."""

    def __call__(self, texts: Texts, choices: Sequence[Texts]) -> Outputs:
        """Answers n texts.

        Args:
            texts: n.
            choices: those of each text.

        Returns:
            `logits` and `probabilities`, lists of n float32 [C]; `choice`, int64 [n], the best one,
            counted from 0, and `answer`, its text; -1 and nothing where there are no choices.

        Raises:
            ExportError: there are not as many lists of choices as texts; else as of `rows`.
        """
        if len(choices) != len(texts):
            raise ExportError(
                f"expected {len(texts)} lists of choices, one for each text, found {len(choices)}"
            )
        named = [read(each) for each in choices]
        pairs = [(text, each) for text, some in zip(texts, named, strict=True) for each in some]
        rows = self.rows([text for text, _ in pairs], [each for _, each in pairs])
        computed = np.asarray(self._computed(rows)[LOGITS])[:, 0]
        logits = split(computed, [*map(len, named)])
        best = [int(each.argmax()) if len(each) else -1 for each in logits]
        answers = [some[at] if some else "" for some, at in zip(named, best, strict=True)]
        return {
            LOGITS: logits,
            PROBABILITIES: [softmax(each) for each in logits],
            CHOICE: np.array(best, np.int64),
            ANSWER: np.array(answers, object),
        }

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        return {SERVING: Signature((TEXT, CHOICES), self._served)}

    def _served(self, texts: Texts, choices: Sequence[Texts]) -> Arrays:
        """The same of texts with as many choices each: [n, C]."""
        shape = len(texts), len(choices[0]) if len(texts) else 0
        found = self(texts, choices)
        numbers = (LOGITS, PROBABILITIES)
        rows = {name: np.array(found[name], np.float32).reshape(shape) for name in numbers}
        return {CHOICE: np.asarray(found[CHOICE]), ANSWER: np.asarray(found[ANSWER]), **rows}
