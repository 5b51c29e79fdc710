"""The tokenizer of a checkpoint folder, as `transformers` would read it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from hub_export.errors import SourceError
from hub_export.sources.tokenizer import configured, esm, fastbpe
from hub_export.sources.tokenizer.built import build, class_of, ordinary
from hub_export.sources.tokenizer.names import (
    COMPANIONS,
    CONFIGS,
    TOKENIZER,
    VOCABULARIES,
    optional_json,
)

_PASSED_OVER: Mapping[str, Any] = {
    "clean_text": True,
    "do_basic_tokenize": True,
    "never_split": None,
    "wordpieces_prefix": "##",
}
"""Options that `transformers` 5 accepts without effect, and their defaults."""


def find(folder: Path) -> Path:
    """The file that the tokenizer is read from; tokenizer.json comes first.

    But for what `transformers` reads itself, whatever others have made of it (see `fastbpe`).
    """
    codes = folder / fastbpe.CODES
    if codes.exists() and class_of(folder) in fastbpe.CLASSES:
        return codes
    names = (TOKENIZER, *VOCABULARIES)
    found = (folder / file for file in names if (folder / file).exists())
    return next(found, folder / TOKENIZER)


def beside(tokenizer: Path) -> list[Path]:
    """What is read beside it, where it is there."""
    vocabulary = (fastbpe.VOCABULARY,) if tokenizer.name == fastbpe.CODES else ()
    return [tokenizer.with_name(name) for name in (*CONFIGS, *COMPANIONS, *vocabulary)]


def parsed(path: Path) -> Tokenizer:
    """The tokenizer of a file that `find` found, whatever stands beside tokenizer.json.

    Raises:
        SourceError: the file is missing or damaged, or its vocabulary is empty.
    """
    if not path.exists():
        raise SourceError(
            f"{path.parent}: no tokenizer; expected {TOKENIZER} or one of {', '.join(VOCABULARIES)}"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path)) if path.name == TOKENIZER else build(path)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # plain Exception, or a panic of Rust, which is none
        raise SourceError(f"{path}: cannot be read as a tokenizer ({error})") from error
    if not ordinary(tokenizer):
        raise SourceError(f"{path}: the vocabulary is empty, but for special tokens")
    return tokenizer


def read(path: Path) -> Tokenizer:
    """The tokenizer of a file that `find` found.

    Its truncation and padding have the strategy, the sides and the padding token of the
    checkpoint; where a configuration contradicts tokenizer.json in these, or has added tokens
    beyond those of tokenizer.json, or says that special tokens in a text are text,
    `transformers` follows the configuration, and so does this.

    Args:
        path: tokenizer.json, or a vocabulary that `transformers` builds a tokenizer from.

    Raises:
        SourceError: the file is missing or damaged, or contradicts the configuration beside it.
    """
    tokenizer = parsed(path)
    configured.apply(path.with_name(CONFIGS[1]), tokenizer)
    return tokenizer


def split_special_tokens(path: Path, tokenizer: Tokenizer, split: bool) -> None:
    """Says whether special tokens in a text are text.

    Raises:
        SourceError: they cannot be, of the tokenizer of this file.
    """
    if split and path.name != TOKENIZER and class_of(path.parent) in esm.CLASSES:
        raise SourceError(f"{path}: {esm.NO_SPLITTING}")
    tokenizer.encode_special_tokens = split


@contextmanager
def restored(tokenizer: Tokenizer) -> Iterator[None]:
    """Gives a tokenizer its truncation and padding back in the end.

    A copy would not do: the `tokenizers` library reads some scores of its own JSON with another
    last bit.
    """
    truncation, padding = tokenizer.truncation, tokenizer.padding
    try:
        yield
    finally:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if truncation is not None:
            tokenizer.enable_truncation(**truncation)
        if padding is not None:
            tokenizer.enable_padding(**padding)


@contextmanager
def unpacked(tokenizer: Tokenizer) -> Iterator[None]:
    """Makes a tokenizer neither cut nor pad meanwhile."""
    with restored(tokenizer):
        tokenizer.no_truncation()
        tokenizer.no_padding()
        yield


def unknown_token(folder: Path) -> str | None:
    """That of the class of `transformers`, for a configuration that does not tell.

    Nothing where it has none, or where `transformers` cannot read the folder.
    """
    import transformers  # noqa: PLC0415 (slow, and rarely needed)

    try:
        found: str | None = transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        ).unk_token
    except Exception:  # of any kind: the library has no base class of its own
        return None
    return found


def notes(folder: Path) -> tuple[str, ...]:
    """What a user should know of the configuration of a folder."""
    file = folder / CONFIGS[1]
    options = optional_json(file)
    found = {
        key: options[key]
        for key, default in _PASSED_OVER.items()
        if options.get(key, default) not in (default, None, [])
    }
    return tuple(
        f"{file.name} says {key} {value!r}, which transformers 5 passes over, and so does this."
        for key, value in found.items()
    )
