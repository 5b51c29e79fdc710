"""How long answers take, of texts of several lengths, one alone and many together.

Measured once, at the export, beside whatever else the machine does: figures to choose by, not a
benchmark.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_text  # noqa: F401 (loading models of texts needs its operations)
from tokenizers import Tokenizer

from hub_export import contract
from hub_export.litert import Model, TextModel
from hub_export.litert.description import SERVED
from hub_export.litert.interpreters import Interpreters
from hub_export.litert.model import Row
from hub_export.report_page.facts import Speed
from hub_export.sources.tokenizer.files import unpacked
from hub_export.timing import seconds

LENGTHS = (8, 16, 32, 64, 128, 256, 512)
TOGETHER = 16
_QUESTION = 4
_PATIENCE = 8.0  # of an answer in seconds; where one takes longer, longer texts are left out

Ask = Callable[[], object]


class Question(NamedTuple):
    """Something to ask.

    Attributes:
        tokens: of each text.
        ask: asks so many texts at once.
    """

    tokens: int
    ask: Ask


Asking = Callable[[int, int], Question]
"""Makes a question of texts of about so many tokens, and of so many texts."""


class Texts:
    """Texts of any length, of one word again and again."""

    def __init__(self, tokenizer: Tokenizer, first: str = "") -> None:
        """Chooses the word, one token wherever it stands if there is such a one.

        Args:
            tokenizer: the source's.
            first: what each text begins with, such as a mask token.
        """
        self._tokenizer, self._first = tokenizer, first
        self._special = self.tokens("")
        words = [each for each in sorted(tokenizer.get_vocab()) if each.isalpha()]
        several = 4
        fits = (w for w in words if self.tokens(" ".join([w] * several)) == self._special + several)
        self._word = next(fits, "a")

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""
        with unpacked(self._tokenizer):
            return len(self._tokenizer.encode(text).ids)

    def __call__(self, tokens: int) -> str:
        """A text of about so many tokens, special ones included."""
        words = max(1, tokens - self._special - bool(self._first))
        return " ".join([*[self._first] * bool(self._first), *[self._word] * words])

    def columns(self, names: Sequence[str], tokens: int, rows: int) -> dict[str, list[Any]]:
        """Inputs of these names: questions are short, choices two."""
        text, short = self(tokens), self(_QUESTION)
        of = {contract.QUESTION: short, contract.CHOICES: [text, text]}
        return {name: [of.get(name, text)] * rows for name in names}


def of_saved_model(folder: Path, texts: Texts | None) -> Asking:
    """Asks a SavedModel by its signature `serving_default`, for texts or for rows of ids."""
    model = tf.saved_model.load(str(folder))
    specs = model.signatures[contract.SERVING].structured_input_signature[1]

    def asking(tokens: int, rows: int) -> Question:
        given: Mapping[str, Any] = {name: _ones(rows, tokens) for name in specs}
        length = tokens
        if texts is not None:
            given, length = texts.columns([*specs], tokens, rows), texts.tokens(texts(tokens))
        inputs = {name: tf.constant(value, specs[name].dtype) for name, value in given.items()}
        return Question(length, lambda: _computed(model.signatures[contract.SERVING](**inputs)))

    return asking


def of_copy(folder: Path, precision: str, texts: Texts | None) -> Asking:
    """Asks a LiteRT copy as a program does, for texts or for rows of ids."""
    if texts is None:
        model = Model(folder, precision)

        def of_rows(tokens: int, rows: int) -> Question:
            ids = np.ones([tokens], np.int32)
            return Question(tokens, lambda: model([Row(ids, ids, 0 * ids)] * rows))

        return of_rows
    signature = TextModel(folder, precision).signatures[contract.SERVING]

    def of_texts(tokens: int, rows: int) -> Question:
        columns = texts.columns(signature.inputs, tokens, rows)
        return Question(texts.tokens(texts(tokens)), lambda: signature.ask(*columns.values()))

    return of_texts


def of_served(folder: Path) -> Asking:
    """Asks the file beside an encoder, which takes one row of its length at a time."""
    lent = Interpreters(folder / SERVED, threads=1).lent

    def asking(tokens: int, rows: int) -> Question:
        inputs = {name: _ones(1, tokens) for name in contract.input_specs()}

        def ask() -> None:
            with lent(contract.SERVING) as run:
                for _ in range(rows):
                    run(contract.SERVING, inputs)

        return Question(tokens, ask)

    return asking


def measured(asking: Asking, lengths: Sequence[int]) -> list[Speed]:
    """How long answers take, one alone and TOGETHER of them, of each length."""
    found = list[Speed]()
    for length in lengths:
        for texts in (1, TOGETHER):
            tokens, ask = asking(length, texts)
            found.append(Speed(tokens, texts, seconds(ask)))
        if found[-1].seconds > _PATIENCE:
            break
    return found


def lengths(longest: int) -> list[int]:
    """Those that a model takes which takes no longer ones."""
    return [each for each in LENGTHS if each <= longest] or [longest]


def _ones(rows: int, tokens: int) -> npt.NDArray[np.int32]:
    return np.ones([rows, tokens], np.int32)


def _computed(outputs: Mapping[str, tf.Tensor]) -> None:
    """Waits for what may still be on its way from a device."""
    for each in outputs.values():
        each.numpy()
