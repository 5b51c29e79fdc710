"""Asks any exported text model about rows of texts."""

import math
from collections.abc import Callable, Sequence

from hub_export.contract import CHOICES, LOGITS, ROW_SPLITS
from hub_export.errors import ExportError
from hub_export.use.corpora.answers import FOUND, Answer, answers
from hub_export.use.corpora.text_rows import Row
from hub_export.use.models.signatures import flat_outputs
from hub_export.use.models.text_model import AnyTextModel, Arrays, Shape

_WINDOW_VALUES = 1 << 19  # of answers, which are held at once
_UNKNOWN = 128  # what a dimension counts that no shape tells


class Predictor:
    """A signature of an exported text model, and which of its outputs are wanted.

    Attributes:
        inputs: of the signature, in their order.
        lists: those of them that are lists of texts.
        fields: the outputs.
        window_lines: how many rows it is asked about at once, so that memory stays flat.
    """

    def __init__(
        self, model: AnyTextModel, signature: str, fields: Sequence[str], batch_size: int
    ) -> None:
        """Looks at the signature.

        Args:
            model: any.
            signature: one that takes texts.
            fields: outputs; by default all but logits.
            batch_size: rows that are asked together.

        Raises:
            ExportError: there are no such fields.
        """
        self._model, self._signature, self._batch_size = model, signature, batch_size
        outputs = model.signatures[signature].outputs
        there = [name for name in outputs if name != ROW_SPLITS]
        if unknown := [name for name in fields if name not in there]:
            raise ExportError(
                f"fields: expected some of {', '.join(there)}, found {', '.join(unknown)}"
            )
        self.inputs = model.signatures[signature].inputs
        self.lists = {CHOICES} & {*self.inputs}
        self.fields = (
            tuple(fields) or tuple(name for name in there if name != LOGITS) or tuple(there)
        )
        self._flat = flat_outputs(model, signature)
        values = sum(_values(outputs[name], name in self._flat) for name in self.fields)
        self.window_lines = max(batch_size, _WINDOW_VALUES // max(1, values))

    @property
    def keys(self) -> list[str]:
        """Those of an answer."""
        rows = [name for name in self.fields if name not in self._flat]
        return rows + [FOUND] * (len(rows) < len(self.fields))

    def __call__(self, rows: Sequence[Row], advance: Callable[[int], object]) -> list[Answer]:
        """An answer for each row; tells `advance` of every batch."""
        found: list[Answer] = [{}] * len(rows)
        columns = zip(*(row.texts for row in rows), strict=True)
        texts = dict(zip(self.inputs, columns, strict=True))
        for places, outputs in self._model(self._signature, texts, self._batch_size):
            self._require_rows(outputs, len(places))
            some = answers(outputs, self.fields, self._flat)
            for place, answer in zip(places, some, strict=True):
                found[place] = answer
            advance(len(places))
        return found

    def _require_rows(self, outputs: Arrays, texts: int) -> None:
        for name in self.fields:
            count = int(outputs[ROW_SPLITS][-1]) if name in self._flat else texts
            if outputs[name].shape[:1] != (count,):
                raise ExportError(
                    f"{self._model}: {self._signature}: {name}: expected {count} rows for {texts} "
                    f"texts, found the shape {[*outputs[name].shape]}; leave it out by --fields"
                )


def _values(shape: Shape, flat: bool) -> int:
    """How many an output has for a row, as far as its shape tells."""
    return math.prod(each or _UNKNOWN for each in (shape if flat else shape[1:]))
