"""A tokenizer and a packer in one: from strings to the inputs of an encoder."""

import dataclasses

import tensorflow as tf

from preprocess.packing.packing import Packer
from preprocess.tokenizer.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class SpecialIds:
    """Ids that users of a preprocessor ask for; None where the tokenizer has no such token.

    Attributes:
        vocabulary: number of ids, added tokens included.
        start: the first special token of a row.
        end: the special token that ends a segment.
        padding: what stands behind a row's end.
        mask: the token that masked language models predict at.
    """

    vocabulary: int
    start: int | None
    end: int | None
    padding: int
    mask: int | None


class Preprocessor(tf.Module):
    """Strings in, padded encoder inputs out."""

    def __init__(
        self, tokenizer: Tokenizer, packer: Packer, special: SpecialIds, seq_length: int
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.packer = packer
        self.special = special
        self.seq_length = seq_length

    def shortening(self, only: int | None) -> "Preprocessor":
        """The same, but for which segment of a row is shortened; see the packer's."""
        packer = self.packer.shortening(only)
        return Preprocessor(self.tokenizer, packer, self.special, self.seq_length)

    def of_length(self, seq_length: int) -> "Preprocessor":
        """The same, but for the default length of its rows."""
        return Preprocessor(self.tokenizer, self.packer, self.special, seq_length)
