"""A LiteRT copy that takes texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, normalizers

from hub_export.errors import ExportError, SourceError
from hub_export.litert.description import TOKENIZER, Reading
from hub_export.litert.model import Model, Outputs, Row

DEFAULT, LOGITS, LABEL, SCORE, PROBABILITIES = (
    "default",
    "logits",
    "label",
    "score",
    "probabilities",
)


class TextModel(Model):
    """A LiteRT copy of a text embedding or of the model of a task, by its folder.

    Tokens are those of the source's own tokenizer.json, which lies in the folder.
    """

    def __init__(
        self, folder: str | Path, precision: str | None = None, threads: int | None = None
    ) -> None:
        """Loads the tokenizer; the model when it is first asked. Arguments are those of `Model`.

        Raises:
            SourceError: there is no such copy, or it takes no texts.
            ExportError: LiteRT is not installed, or `threads` less than one.
        """
        super().__init__(folder, precision, threads)
        reading = self.description.reading
        if reading is None:
            raise SourceError(
                f"{folder}: takes ids, not texts; ask hub_export.litert.Model, or the copy of a "
                "text embedding"
            )
        self._reading = reading
        self._tokenizer = _tokenizer(self.folder / TOKENIZER, reading)

    def __call__(  # type: ignore[override]
        self, texts: Sequence[str | bytes], text_pairs: Sequence[str | bytes] | None = None
    ) -> npt.NDArray[np.float32] | Outputs:
        """Answers texts, or pairs of them.

        Args:
            texts: n; bytes are read as UTF-8, with U+FFFD in the place of what is not.
            text_pairs: the second text of each pair, if the model takes any.

        Returns:
            Of a text embedding, vectors, float32 [n, D]; of a task, its outputs by name, [n, ...]
            each.

        Raises:
            ExportError: it takes no pairs, there are not as many second texts as first ones, what
                stands in the place of a text is none, or one text in that of a list.
            SourceError: the file is damaged.
        """
        outputs = self.outputs(texts, text_pairs)
        if DEFAULT in outputs:
            return np.asarray(outputs[DEFAULT])
        return outputs

    @property
    def takes_pairs(self) -> bool:
        """Whether it answers pairs of texts."""
        return self._reading.pairs

    def outputs(
        self, texts: Sequence[str | bytes], text_pairs: Sequence[str | bytes] | None = None
    ) -> Outputs:
        """The same, always by name."""
        found = super().__call__(self.rows(texts, text_pairs) or [*self.rows([""], None)])
        if self.description.labels:
            found |= self._labelled(np.asarray(found[LOGITS]), np.asarray(found[PROBABILITIES]))
        return found if len(texts) else {name: each[:0] for name, each in found.items()}

    def rows(
        self, texts: Sequence[str | bytes], text_pairs: Sequence[str | bytes] | None = None
    ) -> list[Row]:
        """Texts, or pairs of them, as rows of tokens."""
        if isinstance(texts, str | bytes) or isinstance(text_pairs, str | bytes):
            raise ExportError("expected a list of texts, found one text; write [text]")
        whole: list[Any] = [self._reading.prompt + _read(text) for text in texts]
        if text_pairs is not None:
            if not self._reading.pairs:
                raise ExportError(f"{self.folder}: takes one text a row, no pairs")
            if len(text_pairs) != len(texts):
                raise ExportError(
                    f"expected {len(texts)} second texts, one for each, found {len(text_pairs)}"
                )
            whole = [*zip(whole, map(_read, text_pairs), strict=True)]
        last_type = max(self.description.types, 1) - 1
        return [
            Row(each.ids, each.attention_mask, [min(type, last_type) for type in each.type_ids])
            for each in self._tokenizer.encode_batch_fast(whole)
        ]

    def _labelled(
        self, logits: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float32]
    ) -> Outputs:
        labels = np.array(self.description.labels, object)
        found: Outputs = {LABEL: labels[logits.argmax(axis=1)]}
        return found if len(labels) > 1 else {**found, SCORE: probabilities[:, 0]}


def _tokenizer(file: Path, reading: Reading) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the tokenizers library raises plain Exception
        raise SourceError(
            f"{file}: cannot be read as a tokenizer ({error}); export the model again"
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(
        reading.max_length, strategy="longest_first", direction=reading.truncation_side
    )
    tokenizer.encode_special_tokens = not reading.special_tokens_in_text
    if reading.lower_case:
        steps = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])
    return tokenizer


def _read(text: str | bytes) -> str:
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    if not isinstance(text, str):
        raise ExportError(f"expected texts, strings or bytes, found {text!r:.100}")
    return text
