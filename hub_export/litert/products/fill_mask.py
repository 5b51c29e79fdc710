"""A LiteRT copy of a masked language model: what may stand for the mask tokens of texts."""

import itertools
from collections.abc import Mapping

import numpy as np

from hub_export.litert.interpreters import Arrays
from hub_export.litert.model import ASKED, Outputs, Row
from hub_export.litert.names import LOGITS, SCORE, SERVING, TEXT, TOKEN, TOKEN_ID
from hub_export.litert.numbers import largest, softmax, split
from hub_export.litert.reader import Texts
from hub_export.litert.text_model import Signature, TextModel, flat


class FillMask(TextModel):
    """Texts with mask tokens to the likeliest tokens in their places.

    Its description has two options: `mask`, the id of the mask token, and `best`, how many tokens
    are given for each.
    """

    def __call__(self, texts: Texts) -> Outputs:
        """Answers n texts; a row is computed for each mask token.

        Returns:
            For each mask token of a text the k likeliest tokens, lists of n: `token` [(masks), k],
            `token_id` int32 and `score` float32 likewise, `logits` float32 [(masks), V].

        Raises:
            ExportError, SourceError: as of `rows`, and of `Model`.
        """
        asked = [self._asked(row) for row in self.rows(texts)]
        logits = np.asarray(self._computed([*itertools.chain(*asked)])[LOGITS])
        ids = largest(logits, min(self.description.options["best"], logits.shape[1]))
        found = {
            TOKEN: self.reader.words(ids),
            TOKEN_ID: ids.astype(np.int32),
            SCORE: np.take_along_axis(softmax(logits), ids, axis=1),
            LOGITS: logits,
        }
        return {name: split(each, [*map(len, asked)]) for name, each in found.items()}

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        return {SERVING: Signature((TEXT,), self._served)}

    def _asked(self, row: Row) -> list[Row]:
        """The row once for each mask token in it, which is marked."""
        ids, real = np.array(row.word_ids), np.array(row.mask)
        places = np.flatnonzero((ids == self.description.options["mask"]) & (real == 1))
        return [
            row._replace(mask=np.where(np.arange(len(ids)) == at, ASKED, real)) for at in places
        ]

    def _served(self, texts: Texts) -> Arrays:
        found = dict(flat(self, texts))
        found.pop(LOGITS)
        return found
