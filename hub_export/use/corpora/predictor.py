"""Asks any exported text model about rows of texts."""

import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from hub_export.contract import CHOICES, LOGITS, PAIR, ROW_SPLITS, SERVING, SERVING_PAIR
from hub_export.errors import ExportError, SourceError
from hub_export.use.corpora.answers import FOUND, Answer, answers
from hub_export.use.corpora.text_rows import Row
from hub_export.use.models.text_model import AnyTextModel, Arrays, Shape

_CHOSEN = (SERVING, SERVING_PAIR, PAIR)
"""The signatures that columns choose from, in this order."""
_WINDOW_VALUES = 1 << 19  # of answers, which are held at once
_UNKNOWN = 128  # what a dimension counts that no shape tells
# Of several texts of these kinds a batch does not have as many flat rows as texts, most likely.
_PROBES: Sequence[Sequence[bytes]] = ([b""], [b"a"], [b"a b c", b""], [b"a b c d", b"a", b""])


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
        self._flat = self._flat_outputs(there) if ROW_SPLITS in outputs else []
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

    def _flat_outputs(self, names: Sequence[str]) -> list[str]:
        """Those that have as many rows as ROW_SPLITS says, not one for each text.

        No shape says which: so the model is asked until the two numbers differ.
        """
        for texts in _PROBES:
            columns = dict.fromkeys(self.inputs, texts)
            try:
                ((_, outputs),) = self._model(self._signature, columns, len(texts))
            except ExportError:  # texts that it refuses
                continue
            count = int(outputs[ROW_SPLITS][-1])
            if count != len(texts):
                return [name for name in names if outputs[name].shape[:1] == (count,)]
        return list(names)


def choose(model: AnyTextModel, asked: str | None, count: int, columns: Sequence[str]) -> str:
    """The signature to ask.

    Args:
        model: any.
        asked: its name, if it is said.
        count: how many columns are said to be its inputs; 0 if none are.
        columns: those that the file has, which choose where nothing else does: of several
            signatures the one that takes most of them. A file without rows may have none.

    Raises:
        SourceError: there is none.
    """
    takes = {name: each.inputs for name, each in model.signatures.items() if each.takes_texts}
    if asked is not None:
        wanted, candidates = f"the signature {asked}", [asked] if asked in takes else []
    elif count:
        wanted = f"a signature that takes {count} text{'s' * (count > 1)}"
        candidates = [name for name in _CHOSEN if len(takes.get(name, ())) == count]
    else:
        wanted = f"a signature that takes some of the columns {', '.join(columns)}"
        candidates = _fitting(takes, {*columns})
    if not candidates:
        found = "; ".join(f"{name} ({', '.join(inputs)})" for name, inputs in takes.items())
        raise SourceError(
            f"{model}: expected {wanted}, found {found or 'none that takes texts'}; say which "
            "columns by --columns, and what file they are in by its name or --format"
        )
    return candidates[0]


def _fitting(takes: Mapping[str, Sequence[str]], columns: AbstractSet[str]) -> list[str]:
    """The signatures whose inputs are among the columns; those that take most of them first."""
    fitting = [
        name for name in _CHOSEN if name in takes and (not columns or columns >= {*takes[name]})
    ]
    return sorted(fitting, key=lambda name: -len(takes[name]))


def _values(shape: Shape, flat: bool) -> int:
    """How many an output has for a row, as far as its shape tells."""
    return math.prod(each or _UNKNOWN for each in (shape if flat else shape[1:]))
