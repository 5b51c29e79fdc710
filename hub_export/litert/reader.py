"""Texts to rows of tokens, by the source's own tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer, normalizers

from hub_export.errors import ExportError, SourceError
from hub_export.litert.description import Reading
from hub_export.litert.model import Row
from hub_export.litert.renumbered import Renumbered

Text = str | bytes
Texts = Sequence[Text]


class Reader:
    """Reads texts as a description says.

    Attributes:
        tokenizer: the source's.
    """

    def __init__(self, file: Path, reading: Reading, types: int) -> None:
        """Loads the tokenizer.

        Args:
            file: tokenizer.json.
            reading: how texts are read.
            types: the model's number of type ids; a tokenizer that counts further stays at the
                last.

        Raises:
            SourceError: the file is damaged.
        """
        self._reading, self._last_type = reading, max(types, 1) - 1
        self.tokenizer = _tokenizer(file, reading)

    def rows(self, texts: Texts, text_pairs: Texts | None = None) -> list[Row]:
        """Texts, or pairs of them, as rows of tokens.

        Raises:
            ExportError: there are not as many second texts as first ones, what stands in the place
                of a text is none, or one text in that of a list.
        """
        whole = self._whole(texts, text_pairs)
        encoded = self.tokenizer.encode_batch_fast(whole)
        return [self.row(each.ids, each.attention_mask, each.type_ids) for each in encoded]

    def row(self, ids: Sequence[int], mask: Sequence[int], types: Sequence[int]) -> Row:
        """A row of what the tokenizer gives."""
        return Row(ids, mask, [min(type, self._last_type) for type in types])

    def placed(self, texts: Texts) -> list[tuple[str, Row, Encoding]]:
        """Each text as it is read, its row, and the places of its tokens; errors as of `rows`."""
        whole = self._whole(texts, None)
        encoded = self.tokenizer.encode_batch(whole)
        rows = [self.row(each.ids, each.attention_mask, each.type_ids) for each in encoded]
        return [*zip(whole, rows, encoded, strict=True)]

    def words(self, ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What each id stands for; nothing where the tokenizer does not have it."""
        each = [[id] for id in ids.ravel().tolist()]
        found = self.tokenizer.decode_batch(each, skip_special_tokens=False)
        return np.array(found, object).reshape(ids.shape)

    def _whole(self, texts: Texts, text_pairs: Texts | None) -> list[Any]:
        first = [self._reading.prompt + text for text in read(texts)]
        if text_pairs is None:
            return first
        if len(text_pairs) != len(texts):
            raise ExportError(
                f"expected {len(texts)} second texts, one for each, found {len(text_pairs)}"
            )
        return [*zip(first, read(text_pairs), strict=True)]


def read(texts: Texts) -> list[str]:
    """Texts as strings; bytes are read as UTF-8, with U+FFFD in the place of what is not.

    Raises:
        ExportError: what stands in the place of a text is none, or one text in that of a list.
    """
    if isinstance(texts, str | bytes):
        raise ExportError("expected a list of texts, found one text; write [text]")
    return [_read(text) for text in texts]


def _read(text: Text) -> str:
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    if not isinstance(text, str):
        raise ExportError(f"expected texts, strings or bytes, found {text!r:.100}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ExportError(
            f"expected texts in Unicode, found half of a surrogate pair, character {error.start} "
            f'of {text!a:.100}; text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") '
            "puts U+FFFD in its place"
        ) from error
    return text


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
    return _renumbered(tokenizer, reading)


def _renumbered(tokenizer: Tokenizer, reading: Reading) -> Tokenizer:
    if not reading.numbers:
        return tokenizer
    numbers = [*range(max(tokenizer.get_vocab().values()) + 1)]
    for id, number in reading.numbers.items():
        numbers[int(id)] = number
    return cast(Tokenizer, Renumbered(tokenizer, numbers))
