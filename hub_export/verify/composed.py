"""A source of vectors put together from the source's tokenizer and model, and pooling in numpy."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from encoders import Dimensions
from hub_export.models.embedding_plan import Plan
from hub_export.models.text_heads import heads
from hub_export.models.text_tokenizer import prompt_tokens
from hub_export.sources.checkpoint import Checkpoint
from hub_export.verify import reference

Floats = npt.NDArray[np.float32]


class Source(NamedTuple):
    """What a text embedding is made of, before it is exported.

    Attributes:
        checkpoint: where everything comes from.
        plan: what becomes of a text.
        size: the encoder's sizes.
        tokenizer: cuts and lower-cases as the plan says.
        pooler: whether the encoder has a pooler.
    """

    checkpoint: Checkpoint
    plan: Plan
    size: Dimensions
    tokenizer: Tokenizer
    pooler: bool


class Composed:
    """Does what the plan says, a text, or a pair of texts, at a time."""

    def __init__(self, source: Source) -> None:
        """Loads the model.

        Raises:
            SourceError: `transformers` refuses the checkpoint.
        """
        plan = source.plan
        self._model = reference.Reference(source.checkpoint, source.size, source.pooler)
        self._plan = plan
        self._last_type = max(source.size.types, 1) - 1
        self._tokenizer = source.tokenizer
        self._heads = heads(plan.modules, plan.weights)
        self._skipped = prompt_tokens(plan, source.tokenizer)

    def __call__(self, text: str, *others: str) -> Floats:
        row = self._tokenizer.encode(self._plan.prompt + text, next(iter(others), None))
        ids = [row.ids, row.attention_mask, np.minimum(row.type_ids, self._last_type)]
        encoded = self._model(*(np.array([each], np.int32) for each in ids))
        x = encoded.pooled
        if self._plan.pooling is not None:
            modes = [_MODES[mode] for mode in self._plan.pooling.modes]
            tokens = encoded.sequence[0]
            x = np.concatenate([mode(tokens, self._skipped) for mode in modes])[np.newaxis]
        for each in self._heads:
            x = each(x, False)
        return np.asarray(x)[0]


def _first(tokens: Floats, skipped: int) -> Floats:
    return tokens[skipped if skipped < len(tokens) else 0]


def _of(reduce: Callable[[Floats, Floats], Floats]) -> Callable[[Floats, int], Floats]:
    """Of the tokens that are not skipped, and their places from 1 on; zeros if there are none."""

    def mode(tokens: Floats, skipped: int) -> Floats:
        if skipped >= len(tokens):
            return np.zeros_like(tokens[0])
        places = np.arange(skipped + 1, len(tokens) + 1, dtype=np.float32)
        return reduce(tokens[skipped:], places)

    return mode


_MODES: Mapping[str, Callable[[Floats, int], Floats]] = {
    "cls": _first,
    "max": _of(lambda x, places: x.max(0)),
    "mean": _of(lambda x, places: x.mean(0)),
    "mean_sqrt_len_tokens": _of(lambda x, places: x.sum(0) / np.sqrt(len(x))),
    "weightedmean": _of(lambda x, places: places @ x / places.sum()),
    "lasttoken": _of(lambda x, places: x[-1]),
}
