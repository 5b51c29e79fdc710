"""What lies in the folder of a LiteRT copy, and what its `model.json` says.

model.json            what the copy is: a `Description`
model_float32.tflite  the model, a file for each precision that was asked for
tokenizer.json        the source's tokenizer; not in the copy of an encoder
labels.txt            a label a line, where logits have labels; a space for a line break in one
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hub_export.errors import SourceError
from hub_export.settings import PRECISIONS

FILE, TOKENIZER, LABELS = "model.json", "tokenizer.json", "labels.txt"
SUFFIX = ".tflite"
SERVED = f"model{SUFFIX}"
"""Beside a `saved_model.pb`, what TF Serving may read instead."""
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a text becomes a row of tokens.

    Attributes:
        prompt: what is put before it; of a pair, before the first text.
        max_length: the longest row; what is longer is cut.
        truncation_side: where it is cut, `right` or `left`.
        lower_case: whether it is lower-cased before anything that tokenizer.json says.
        special_tokens_in_text: whether a special token in a text is read as one.
        pairs: whether two texts may share a row.
        cuts: whether texts are cut that the model that it is a copy of does not cut.
        numbers: id of tokenizer.json -> id of the vocabulary, where the two differ; JSON has the
            former as a string.
    """

    prompt: str
    max_length: int
    truncation_side: str
    lower_case: bool
    special_tokens_in_text: bool
    pairs: bool
    cuts: bool = False
    numbers: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Description:
    """What a LiteRT copy is.

    Attributes:
        name: of the product that it is a copy of, such as `text_embedding`.
        padding: the id behind the end of a row.
        types: the number of type ids.
        shapes: [B, S] of each signature, whose name is `signature(B, S)`.
        by_token: outputs that are [B, S, ...]; the others are [B, ...].
        reading: of texts; nothing where the copy takes ids.
        labels: what the columns of the logits stand for.
        options: what the product's file in `hub_export.litert.products` has to know besides.
        any_length: whether a signature takes shorter rows, too.
    """

    name: str
    padding: int
    types: int
    shapes: Sequence[tuple[int, int]]
    by_token: Sequence[str] = ()
    reading: Reading | None = None
    labels: Sequence[str] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    any_length: bool = False

    @property
    def longest(self) -> int:
        """The longest row."""
        return max(length for _, length in self.shapes)

    def write(self, folder: Path) -> None:
        """Writes `model.json`, and the labels by themselves."""
        text = json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, ensure_ascii=False)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")
        if self.labels:
            (folder / LABELS).write_text(lines(self.labels), encoding="utf-8")


def read(folder: Path) -> Description:
    """Reads `model.json`.

    Raises:
        SourceError: there is none, or it is of a later version of hub_export, or damaged.
    """
    file = folder / FILE
    if not file.is_file():
        raise SourceError(
            f"{folder}: no LiteRT copy that hub_export wrote: expected a folder with {FILE}, such "
            "as <output_dir>/<name>_text_embedding_litert/<version>"
        )
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        version = found.pop("format")
        if version == FORMAT:
            return _described(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{file}: is damaged ({error!r}); export the model again") from error
    raise SourceError(
        f"{file}: expected format {FORMAT}, found {version!r}; take the hub_export that wrote it"
    )


def _described(found: dict[str, Any]) -> Description:
    reading: Mapping[str, Any] | None = found.pop("reading")
    shapes = [(int(rows), int(length)) for rows, length in found.pop("shapes")]
    return Description(**found, shapes=shapes, reading=Reading(**reading) if reading else None)


def lines(labels: Sequence[str]) -> str:
    """A label a line.

    >>> lines(["not\\nbad", "bad"])
    'not bad\\nbad\\n'
    """
    return "".join(" ".join(label.splitlines()) + "\n" for label in labels)


def signature(rows: int, length: int) -> str:
    """The name of the signature for so many rows of so many tokens.

    >>> signature(8, 32)
    'rows_8_length_32'
    """
    return f"rows_{rows}_length_{length}"


def model_file(precision: str) -> str:
    """What the file of a precision is called.

    >>> model_file("int8")
    'model_int8.tflite'
    """
    return f"model_{precision}{SUFFIX}"


def precisions(folder: Path) -> list[str]:
    """Those that a copy has, the most exact first."""
    return [each for each in PRECISIONS if (folder / model_file(each)).is_file()]
