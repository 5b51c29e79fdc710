"""The file that an error is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import encoders
import preprocess
from hub_export.errors import SourceError


@contextmanager
def naming(path: Path, advice: str = "") -> Iterator[None]:
    """Adds the file to what the libraries say about its content, and what may be done."""
    try:
        yield
    except (encoders.EncoderError, preprocess.PreprocessError) as error:
        raise SourceError(f"{path}: {error}{advice}") from error
