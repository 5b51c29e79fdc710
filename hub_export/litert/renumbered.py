"""Tokenizers whose model has other ids than their vocabulary.

In the `tokenizers` library, what BPE merges is told apart by its id: a symbol that the vocabulary
lacks needs one of its own as long as it may be merged, and is the unknown token only in the end.
"""

from collections.abc import Sequence
from typing import Any

from tokenizers import Encoding, Tokenizer


class RenumberedEncoding:
    """An encoding with the ids of the vocabulary; else as the one that it stands for."""

    def __init__(self, inner: Encoding, numbers: Sequence[int]) -> None:
        self._inner, self._numbers = inner, numbers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __len__(self) -> int:
        return len(self._inner)

    @property
    def ids(self) -> list[int]:
        """Those of the vocabulary."""
        return [self._numbers[id] for id in self._inner.ids]

    @property
    def overflowing(self) -> list["RenumberedEncoding"]:
        """What truncation has cut off."""
        return [RenumberedEncoding(each, self._numbers) for each in self._inner.overflowing]


class Renumbered:
    """A tokenizer with the ids of its vocabulary; else as the one that it stands for.

    Attributes:
        numbers: id of the model -> id of the vocabulary. The former are the latter where a piece
            has no other; those of the rest lie behind all of them.
    """

    numbers: Sequence[int]

    def __init__(self, inner: Tokenizer, numbers: Sequence[int]) -> None:
        vars(self).update(_inner=inner, numbers=numbers)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_inner"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._inner, name, value)

    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]:
        """Piece -> id, of those that are in the vocabulary."""
        found = self._inner.get_vocab(with_added_tokens)
        return {piece: id for piece, id in found.items() if self.numbers[id] == id}

    def encode(self, *texts: Any, **options: Any) -> RenumberedEncoding:
        """As that of the tokenizer."""
        return RenumberedEncoding(self._inner.encode(*texts, **options), self.numbers)

    def encode_batch(self, *texts: Any, **options: Any) -> list[RenumberedEncoding]:
        """As that of the tokenizer."""
        found = self._inner.encode_batch(*texts, **options)
        return [RenumberedEncoding(each, self.numbers) for each in found]

    def encode_batch_fast(self, *texts: Any, **options: Any) -> list[RenumberedEncoding]:
        """As that of the tokenizer."""
        found = self._inner.encode_batch_fast(*texts, **options)
        return [RenumberedEncoding(each, self.numbers) for each in found]
