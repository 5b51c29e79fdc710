"""Checksums that tell files from others."""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal digits; a piece at a time is in memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
