"""A LiteRT copy that takes texts."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hub_export.errors import ExportError, SourceError
from hub_export.litert import description
from hub_export.litert.description import TOKENIZER, Reading
from hub_export.litert.interpreters import Arrays
from hub_export.litert.model import Model, Outputs, Row
from hub_export.litert.names import ROW_SPLITS
from hub_export.litert.reader import Reader, Texts

_CLASSES: Mapping[str, str] = {
    "text_embedding": "TextEmbedding",
    "text_classification": "TextClassification",
    "token_classification": "TokenClassification",
    "multiple_choice": "MultipleChoice",
    "fill_mask": "FillMask",
    "sparse_embedding": "SparseEmbedding",
    "late_interaction": "LateInteraction",
    "question_answering": "QuestionAnswering",
}
"""The class of each product that takes texts, in the file of `hub_export.litert.products` that is
called as the product is."""


class Signature(NamedTuple):
    """A way to ask a copy: a signature of the SavedModel that it is of.

    Attributes:
        inputs: what its columns of texts are called, in their order.
        ask: n texts of each -> outputs by name, [n, ...] each, or [m, ...] of m things found, and
            ROW_SPLITS, [n + 1].
    """

    inputs: tuple[str, ...]
    ask: Callable[..., Arrays]


class TextModel:
    """A LiteRT copy of a text embedding or of the model of a task, by its folder.

    Tokens are those of the source's own tokenizer.json, which lies in the folder. What is made is
    of the class of `hub_export.litert.products` that the folder's copy needs: see what its call
    takes and gives there.

    Attributes:
        model: computes rows.
        reader: makes them of texts.
        description: what it is.
    """

    def __new__(cls, folder: str | Path, *arguments: Any, **named: Any) -> "TextModel":
        """Chooses the class.

        Raises:
            SourceError: there is no such copy, or it takes no texts.
        """
        return super().__new__(_class_of(Path(folder)) if cls is TextModel else cls)

    def __init__(
        self, folder: str | Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        """Loads the tokenizer; the model when it is first asked. Arguments are those of `Model`.

        Raises:
            SourceError: there is no such copy, or it takes no texts.
            ExportError: LiteRT is not installed, or `threads` less than one.
        """
        self._arguments = folder, precision, threads
        self.model = Model(folder, precision, threads)
        self.description = self.model.description
        self.reader = self._reader()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the call of the SavedModel gives, in numpy."""
        raise NotImplementedError

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""
        raise NotImplementedError

    def rows(self, texts: Texts, text_pairs: Texts | None = None) -> list[Row]:
        """Texts, or pairs of them, as rows of tokens.

        Args:
            texts: n; bytes are read as UTF-8, with U+FFFD in the place of what is not.
            text_pairs: the second text of each pair, if the model takes any.

        Raises:
            ExportError: it takes no pairs, there are not as many second texts as first ones, what
                stands in the place of a text is none, or one text in that of a list.
        """
        if text_pairs is not None and not self.reading.pairs:
            raise ExportError(f"{self.model.folder}: takes one text a row, no pairs")
        return self.reader.rows(texts, text_pairs)

    @property
    def reading(self) -> Reading:
        """How texts become rows."""
        assert self.description.reading is not None
        return self.description.reading

    def _reader(self, **changes: Any) -> Reader:
        """What reads texts; some of `reading` may be changed."""
        reading = dataclasses.replace(self.reading, **changes)
        return Reader(self.model.folder / TOKENIZER, reading, self.description.types)

    def _computed(self, rows: Sequence[Row]) -> Outputs:
        """Outputs of rows, by name where there are none as well."""
        found = self.model(rows or self.reader.rows([""]))
        return found if rows else {name: each[:0] for name, each in found.items()}


def flat(answer: Callable[[Texts], Outputs], texts: Texts) -> Arrays:
    """All that is found in texts behind each other, and ROW_SPLITS, where that of each begins.

    Args:
        answer: n texts -> lists of n arrays by name, as long as each other.
        texts: any number of them.
    """
    found = answer(texts if len(texts) else [""])
    counts = [*map(len, next(iter(found.values())))]
    splits = np.cumsum([0, *counts])[: len(texts) + 1]
    return {
        **{name: np.concatenate(each)[: splits[-1]] for name, each in found.items()},
        ROW_SPLITS: splits,
    }


def _class_of(folder: Path) -> type[TextModel]:
    found = description.read(folder)
    if found.reading is None:
        raise SourceError(
            f"{folder}: takes ids, not texts; ask hub_export.litert.Model, or the copy of a "
            "text embedding"
        )
    if found.name not in _CLASSES:
        raise SourceError(
            f"{folder}: expected a copy of {', '.join(_CLASSES)}, found one of {found.name}; take "
            "the hub_export that wrote it"
        )
    module = importlib.import_module(f"hub_export.litert.products.{found.name}")
    made: type[TextModel] = getattr(module, _CLASSES[found.name])
    return made
