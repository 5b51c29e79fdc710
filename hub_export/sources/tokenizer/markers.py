"""Markers of queries and documents: tokens that older checkpoints of ColBERT insert into a row."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer

from hub_export.errors import SourceError


def mark(tokenizer: Tokenizer, markers: Iterable[str], file: Path) -> None:
    """Makes a tokenizer read each marker in a text as the one token that it is.

    So does sentence-transformers: a marker before a text is as good as one inserted into its row.

    Raises:
        SourceError: the vocabulary lacks one.
    """
    for marker in markers:
        known = [
            each for each in (marker, marker.split()[0]) if tokenizer.token_to_id(each) is not None
        ]
        if not known:
            raise SourceError(
                f"{file}: expected the marker {marker!r} of queries or documents in the "
                "vocabulary, found no such token; is it the tokenizer of another checkpoint?"
            )
        token = known[0]
        if tokenizer.encode(token, add_special_tokens=False).tokens != [token]:
            tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)])
