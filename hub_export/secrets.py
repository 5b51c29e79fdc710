"""Keeps what the libraries of the hubs say free of tokens and signed addresses."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from hub_export.errors import ExportError

_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "KAGGLE_API_TOKEN", "KAGGLE_KEY")
_LIBRARIES = ("huggingface_hub", "kagglehub")
_QUERY = re.compile(r"(?<=\w)\?[^\s'\"<>)\]]+")
_USER = re.compile(r"(?<=://)[^/\s@]+@")
_TOKEN = re.compile(r"\b(hf_|KGAT_)\w{4,}|\b(?:Bearer|Basic) [\w.=+/-]{4,}")
_LONGEST = 400
HIDDEN = "[...]"


def hidden(text: str) -> str:
    """A text in one line, without what nobody else should read.

    >>> hidden("403 for https://me:pw@host/x?X-Amz-Signature=1f,\\n token hf_abcdef")
    '403 for https://[...]host/x[...] token [...]'
    """
    from huggingface_hub import get_token  # noqa: PLC0415 (the ground is quick to import)

    known = [get_token(), *map(os.environ.get, _VARIABLES), *_of_kaggle()]
    for secret in filter(None, known):
        text = text.replace(secret, HIDDEN)
    for form in (_QUERY, _USER, _TOKEN):
        text = form.sub(HIDDEN, text)
    return " ".join(text.split())[:_LONGEST]


def _of_kaggle() -> Iterator[str | None]:
    """What `kagglehub` sends, wherever it finds it: in a file of the user's, in Colab's secrets."""
    try:
        from kagglehub.config import get_kaggle_credentials  # noqa: PLC0415 (optional)

        found = get_kaggle_credentials()
    except Exception:  # it is missing, or cannot read the file: what is being told goes on
        return
    if found:
        yield from (found.key, getattr(found, "api_key", None))  # older ones have no tokens


@contextmanager
def guarded(
    address: object, remedy: str, kind: type[ExportError], *errors: type[Exception]
) -> Iterator[None]:
    """Turns the errors of a library into one of ours that gives nothing away, and its log off.

    Args:
        address: what is asked for, for the error.
        remedy: what to do.
        kind: of our error.
        *errors: those that are expected.
    """
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    try:
        yield
    except errors as error:
        reason = hidden(str(error) or type(error).__name__)
        # Not `from error`: whoever prints the chain would print what is hidden here.
        raise kind(f"{address}: {reason}; {remedy}") from None
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
