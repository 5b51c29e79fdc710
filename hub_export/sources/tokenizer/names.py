"""The files of a tokenizer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub_export.sources.formats.json_files import read_json
from hub_export.sources.tokenizer import fastbpe

TOKENIZER = "tokenizer.json"
VOCABULARIES = ("spiece.model", "sentencepiece.bpe.model", "spm.model", "vocab.json", "vocab.txt")
CONFIGS = ("special_tokens_map.json", "tokenizer_config.json")
COMPANIONS = ("merges.txt", "added_tokens.json")
"""What belongs to a vocabulary, where there is no tokenizer.json."""
ALL = (TOKENIZER, *VOCABULARIES, *CONFIGS, *COMPANIONS, fastbpe.CODES)


def optional_json(path: Path) -> Mapping[str, Any]:
    """What a file says; nothing where there is none."""
    return read_json(path) if path.exists() else {}
