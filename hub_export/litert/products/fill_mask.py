"""A LiteRT copy of a masked language model: what may stand for the mask tokens of texts."""

from collections.abc import Mapping

import numpy as np

from hub_export.litert.interpreters import Arrays
from hub_export.litert.model import ASKED, Outputs
from hub_export.litert.names import LOGITS, SCORE, SERVING, TEXT, TOKEN, TOKEN_ID
from hub_export.litert.numbers import largest, softmax
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
        options = self.description.options
        asked, counts = [], []
        for row in self.rows(texts):
            places = [at for at, id in enumerate(row.word_ids) if id == options["mask"]]
            marked = [
                [ASKED if at == place else 1 for at in range(len(row.mask))] for place in places
            ]
            asked += [row._replace(mask=each) for each in marked]
            counts.append(len(places))
        logits = np.asarray(self._computed(asked)[LOGITS])
        ids = largest(logits, min(options["best"], logits.shape[1]))
        words = [self.reader.word(id) for id in ids.flat]
        found = {
            TOKEN: np.array(words, object).reshape(ids.shape),
            TOKEN_ID: ids.astype(np.int32),
            SCORE: np.take_along_axis(softmax(logits), ids, axis=1),
            LOGITS: logits,
        }
        splits = np.cumsum(counts)[:-1]
        return {name: np.split(each, splits)[: len(counts)] for name, each in found.items()}

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        return {SERVING: Signature((TEXT,), self._served)}

    def _served(self, texts: Texts) -> Arrays:
        found = dict(flat(self, texts))
        found.pop(LOGITS)
        return found
