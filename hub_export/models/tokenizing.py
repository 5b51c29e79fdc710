"""The tokenizer of a checkpoint, and what is compiled from it, for the parts that need it."""

from collections.abc import Sequence

from tokenizers import Tokenizer

import preprocess
from encoders import Dimensions
from hub_export.errors import SourceError
from hub_export.models.part import Settings, naming
from hub_export.sources.checkpoint import Checkpoint
from preprocess import Preprocessor

# What `transformers` calls the tokens of a checkpoint that does not tell.
PADDING, MASK = ("[PAD]", "<pad>"), ("[MASK]", "<mask>")


def source_tokenizer(checkpoint: Checkpoint, settings: Settings, size: Dimensions) -> Tokenizer:
    """Reads the tokenizer.

    Raises:
        SourceError: it cannot be read, or its vocabulary does not fit the encoder.
    """
    tokenizer = checkpoint.tokenizer()
    tokenizer.encode_special_tokens = not settings.special_tokens_in_text
    found, rows = max(tokenizer.get_vocab().values()) + 1, size.vocabulary
    file = checkpoint.tokenizer_file
    if found > rows:
        raise SourceError(
            f"{file}: the tokenizer has ids up to {found - 1}, the word embedding only {rows} "
            "rows; one of the two is of another checkpoint"
        )
    if found < rows and not settings.padded_embedding:
        raise SourceError(
            f"{file}: the vocabulary ends at id {found - 1}, the word embedding has {rows} "
            "rows; if no line of the vocabulary is missing and the embedding was padded on "
            "purpose, say --padded_embedding"
        )
    return tokenizer


def compiled(
    checkpoint: Checkpoint,
    settings: Settings,
    size: Dimensions,
    source: Tokenizer,
    seq_length: int,
) -> Preprocessor:
    """Compiles a tokenizer of the checkpoint; `seq_length` is the default length of its rows.

    Raises:
        SourceError: a component cannot be compiled exactly, or a token that is needed is missing.
    """
    special = checkpoint.special_tokens
    with naming(checkpoint.tokenizer_file):
        return preprocess.build(
            source,
            padding=special.get("pad_token") or _first(source, PADDING) or PADDING[0],
            mask=special.get("mask_token") or _first(source, MASK),
            seq_length=seq_length,
            type_vocabulary=types(size),
            engine=settings.tokenizer_engine,
        )


def types(size: Dimensions) -> int:
    """The number of type ids; without type embedding they have no effect, and are the usual two."""
    return size.types or 2


def _first(tokenizer: Tokenizer, tokens: Sequence[str]) -> str | None:
    """The first of the tokens that the vocabulary has."""
    return next((each for each in tokens if tokenizer.token_to_id(each) is not None), None)
