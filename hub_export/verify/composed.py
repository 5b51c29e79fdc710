"""A source of vectors put together from the source's tokenizer and model, and pooling in numpy."""

from collections.abc import Callable, Mapping

import numpy as np

from encoders import TruncateModule
from hub_export.models.embedding_plan import Plan
from hub_export.models.session import Session
from hub_export.sources.modules import Placed
from hub_export.verify.closeness import Floats
from hub_export.verify.references.encoder import Ids, Reference
from hub_export.verify.references.modules import torch_module
from hub_export.verify.texts import row


class Composed:
    """Does what the plan says, a text, or a pair of texts, at a time."""

    def __init__(self, model: Reference, session: Session) -> None:
        """Takes the parts.

        Args:
            model: the encoder.
            session: with the plan applied to its tokenizer.
        """
        self._model, self._tokenizer = model, session.tokenizer
        self._plan = session.plan
        self._types = session.size.types
        self._modules = [_module(self._plan, each) for each in self._plan.modules]
        self._skipped = self._plan.unpooled(session.tokenizer)

    def __call__(self, text: str, *others: str) -> Floats:
        encoded = self._model(*self._row(text, *others))
        x = encoded.pooled
        if self._plan.pooling is not None:
            modes = [_MODES[mode] for mode in self._plan.pooling.modes]
            tokens = encoded.sequence[0]
            x = np.concatenate([mode(tokens, self._skipped) for mode in modes])[np.newaxis]
        for each in self._modules:
            x = each(x)
        return x[0]

    def is_doubtful(self, text: str, *others: str) -> bool:
        """Whether the vector of a text hangs on a rounding; see `Reference.doubtful`."""
        return bool(self._model.doubtful(*self._row(text, *others)).any())

    def _row(self, text: str, *others: str) -> list[Ids]:
        return row(self._tokenizer, self._types, self._plan.prompt + text, *others)


def _module(plan: Plan, placed: Placed) -> Callable[[Floats], Floats]:
    module = placed.module
    if isinstance(module, TruncateModule):
        return lambda x: x[:, : module.width]
    return torch_module(module, plan.weights_of(placed))


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
