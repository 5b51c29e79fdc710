"""How the texts of an export become rows of tokens."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

from tokenizers import Tokenizer

import preprocess
from encoders import Dimensions
from hub_export import contract
from hub_export.errors import SourceError
from hub_export.litert.renumbered import Renumbered
from hub_export.models.naming import naming
from hub_export.settings import Settings
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.find import explained
from hub_export.sources.tokenizer import files as tokenizer_files
from hub_export.sources.tokenizer.markers import mark
from preprocess import Preprocessor

_PADDING, _MASK = ("[PAD]", "<pad>"), ("[MASK]", "<mask>")
"""What `transformers` calls the tokens of a checkpoint that does not tell."""
_PADDED_TO = (8, 64, 128)
"""What the rows of a word embedding are a multiple of, as accelerators like it."""
_LISTS = frozenset({".codes", ".txt"})
"""Endings of files whose vocabulary is a list of lines, which may end early."""

Markers = Callable[[], Iterable[str]]


class Tokenization:
    """The tokenizer of an export, and what is compiled of it, each made when it is asked for."""

    def __init__(
        self, checkpoint: Checkpoint, settings: Settings, size: Dimensions, markers: Markers
    ) -> None:
        """Reads nothing yet.

        Args:
            checkpoint: where the tokenizer comes from.
            settings: what the user asked for.
            size: of the encoder.
            markers: gives what is read as one token each in a text, whatever its words are.
        """
        self._checkpoint, self._settings, self._size = checkpoint, settings, size
        self._markers = markers
        self._compiled: dict[bool, preprocess.Tokenizer] = {}

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer; its truncation and padding are those of the checkpoint.

        Raises:
            SourceError: it cannot be read, or its vocabulary does not fit the encoder.
        """
        tokenizer, file = self._read, self._checkpoint.tokenizer_file
        if (special := self._settings.special_tokens_in_text) is not None:
            tokenizer_files.split_special_tokens(file, tokenizer, not special)
        self.mark(tokenizer)
        found, rows = _entries(tokenizer), self._size.vocabulary
        if not rows:  # nothing is known of the encoder
            return tokenizer
        if found > rows:
            raise SourceError(
                f"{file}: the tokenizer has ids up to {found - 1}, the word embedding only {rows} "
                "rows; one of the two is of another checkpoint"
            )
        listed = self._checkpoint.vocabulary_file or file
        padded = self._settings.padded_embedding or listed.suffix not in _LISTS
        if found < rows and not padded and rows not in _padded(found):
            raise SourceError(
                f"{listed}: the vocabulary ends at id {found - 1}, the word embedding has {rows} "
                "rows; if no line of the vocabulary is missing and the embedding was padded on "
                "purpose, say padded_embedding"
            )
        return tokenizer

    @functools.cached_property
    def _read(self) -> Tokenizer:
        """The tokenizer as its file says.

        Raises:
            SourceError: it cannot be read.
        """
        with explained(self._checkpoint.tokenizer_file):
            return self._checkpoint.tokenizer()

    @functools.cached_property
    def remarks(self) -> Mapping[str, str]:
        """What to tell of a vocabulary that does not end where the word embedding does."""
        if not self._checkpoint.tokenizer_file.exists():
            return {}
        try:
            found, rows = _entries(self._read), self._size.vocabulary
        except SourceError:  # an encoder alone has no need of it
            return {}
        if found == rows or not rows:
            return {}
        words = f"The word embedding has {rows} rows, the vocabulary {found} entries."
        return {contract.VOCABULARY: words}

    def mark(self, tokenizer: Tokenizer) -> None:
        """Makes a tokenizer read the markers of queries and documents, where there are any.

        Raises:
            SourceError: its vocabulary lacks one.
        """
        mark(tokenizer, self._markers(), self._checkpoint.tokenizer_file)

    @property
    def mask(self) -> str | None:
        """The mask token; None without any."""
        return self._checkpoint.special_tokens.get("mask_token") or _first(self.tokenizer, _MASK)

    @functools.cached_property
    def unknown(self) -> int | None:
        """The id of the token that `transformers` takes for the unknown one; None without any."""
        checkpoint = self._checkpoint
        token = checkpoint.special_tokens.get("unk_token")
        token = token or tokenizer_files.unknown_token(checkpoint.tokenizer_file.parent)
        id: int | None = None if token is None else self.tokenizer.token_to_id(token)
        return id

    @property
    def seq_length(self) -> int:
        """The default length of the preprocessor's rows."""
        return self._settings.seq_length or min(contract.SEQ_LENGTH, self._size.positions)

    @property
    def types(self) -> int:
        """The number of type ids; without type embedding they have no effect: the usual two."""
        return self._size.types or 2

    def preprocessor(self, seq_length: int, lower_case: bool = False) -> Preprocessor:
        """What packs as the tokenizer says at the moment; the tokenizer itself is compiled once.

        Args:
            seq_length: the default length of its rows.
            lower_case: whether the tokenizer lower-cases at the moment though its file does not.

        Raises:
            SourceError: a component cannot be compiled exactly, or a token is missing.
        """
        special, source = self._checkpoint.special_tokens, self.tokenizer
        file = self._checkpoint.tokenizer_file
        with explained(file), naming(file):
            made = preprocess.build(
                source,
                padding=special.get("pad_token") or _first(source, _PADDING) or _PADDING[0],
                mask=self.mask,
                seq_length=seq_length,
                type_vocabulary=self.types,
                engine=self._settings.tokenizer_engine,
                compiled=self._compiled.get(lower_case),
                numbers=source.numbers if isinstance(source, Renumbered) else None,
            )
        self._compiled[lower_case] = made.tokenizer
        return made

    def release(self) -> None:
        """Lets go of what was compiled."""
        self._compiled.clear()


def _entries(tokenizer: Tokenizer) -> int:
    """The first id that the vocabulary does not have."""
    return max(tokenizer.get_vocab().values()) + 1


def _padded(entries: int) -> set[int]:
    """How many rows an embedding may have for the sake of fast products."""
    return {-(-entries // multiple) * multiple for multiple in _PADDED_TO}


def _first(tokenizer: Tokenizer, tokens: Sequence[str]) -> str | None:
    """The first of the tokens that the vocabulary has."""
    return next((each for each in tokens if tokenizer.token_to_id(each) is not None), None)
