"""What `transformers` builds of a vocabulary, where there is no tokenizer.json."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from hub_export.sources.formats.json_files import read_json
from hub_export.sources.tokenizer import esm, fastbpe, sentencepiece
from hub_export.sources.tokenizer.names import CONFIGS, TOKENIZER, optional_json

_SPLITTING = {
    "BertJapaneseTokenizer": "MeCab, Sudachi or Juman++",
    "FlaubertTokenizer": "the rules of Moses",
    "RoFormerTokenizer": "the dictionary of Jieba",
    "XLMTokenizer": "the rules of Moses",
}
"""Class of `transformers` -> what it does before the tokenizer that its files describe."""
_FROM_PYTHON: Mapping[str, Callable[[Any], Tokenizer]] = {
    **dict.fromkeys(fastbpe.CLASSES, fastbpe.built),
    **dict.fromkeys(esm.CLASSES, esm.built),
}
"""Class of `transformers` that runs in Python -> what builds the same tokenizer."""
_GENERIC = ("MistralCommonBackend", "TokenizersBackend")
"""Classes of `transformers` for tokenizer.json as it is, whatever class is named beside it."""


def build(vocabulary: Path) -> Tokenizer:
    """The tokenizer of a vocabulary.

    Raises:
        ValueError: it has none that is made of `tokenizers`, or one of no use.
    """
    import transformers  # noqa: PLC0415 (slow, and rarely needed)

    named, has_codes = class_of(vocabulary.parent), vocabulary.with_name(fastbpe.CODES).exists()
    if named in fastbpe.CLASSES and not has_codes:
        raise ValueError(f"{named} needs {fastbpe.CODES} beside it; download that, too")
    if named is None and has_codes:
        raise ValueError(
            f"{fastbpe.CODES} beside it is of {' or '.join(fastbpe.CLASSES)}: name the one in "
            f'{CONFIGS[1]}, such as "tokenizer_class": "{fastbpe.CLASSES[0]}"'
        )
    if named not in _FROM_PYTHON:
        # Before it asks for packages that would not help.
        _refuse_python(named)
    automatic = transformers.AutoTokenizer.from_pretrained(
        vocabulary.parent, local_files_only=True, trust_remote_code=False
    )
    kind = type(automatic).__name__
    if kind in _FROM_PYTHON:
        return _FROM_PYTHON[kind](automatic)
    _refuse_python(kind)
    backend: Tokenizer = automatic.backend_tokenizer
    written, made = sentencepiece.kind(vocabulary), type(backend.model).__name__
    if written not in ("", made):
        raise ValueError(
            f"it is a SentencePiece model of kind {written}, of which {kind} of transformers makes "
            f"a {made} tokenizer, with other tokens: save {TOKENIZER} of the tokenizer that was "
            "trained beside it"
        )
    entries, read = _entries(vocabulary), len(ordinary(backend))
    if 2 * read < entries:
        other = fastbpe.CLASSES[0] if has_codes else "BertTokenizer"
        raise ValueError(
            f"{kind} of transformers has no use for it: {read} of its {entries} entries are in the "
            f"tokenizer; if that is the wrong class, name the right one in {CONFIGS[1]}, such as "
            f'"tokenizer_class": "{other}"'
        )
    return backend


def runs_in_python(path: Path) -> bool:
    """Whether a tokenizer is built from a vocabulary as a class in Python reads it."""
    return path.name != TOKENIZER and class_of(path.parent) in _FROM_PYTHON


def class_of(folder: Path) -> str | None:
    """The class of `transformers` for a folder, named by its files or that of the model's type.

    That of the type comes first where it is `transformers`' own for whatever stands in
    tokenizer.json, or where published files are known to name a wrong one.
    """
    from transformers.models.auto import tokenization_auto  # noqa: PLC0415 (slow, rarely needed)

    config = optional_json(folder / "config.json")
    said = optional_json(folder / CONFIGS[1])
    named = said.get("tokenizer_class") or config.get("tokenizer_class")
    kind = str(config.get("model_type"))
    usual: str | None = tokenization_auto.TOKENIZER_MAPPING_NAMES.get(kind)
    if not named or usual in _GENERIC:
        return usual
    is_wrong = kind in tokenization_auto.MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS
    return usual if is_wrong else str(named)


def _refuse_python(kind: str | None) -> None:
    """Refuses a class of `transformers` that is not made of `tokenizers`."""
    import transformers  # noqa: PLC0415
    from transformers.models.auto import tokenization_auto  # noqa: PLC0415

    if kind is None:
        return
    if splitting := _SPLITTING.get(kind.removesuffix("Fast")):
        raise ValueError(
            f"{kind} splits texts into words by {splitting}, in Python; to export the encoder "
            "alone, and give it the ids of that tokenizer, say parts=encoder; to give it words "
            f"that you have split so, save a {TOKENIZER} beside it that splits at spaces alone"
        )
    found = tokenization_auto.tokenizer_class_from_name(kind)
    if found is not None and not issubclass(found, transformers.PreTrainedTokenizerFast):
        raise ValueError(
            f"{kind} runs in Python, and has no {TOKENIZER}; to export the encoder alone, say "
            "parts=encoder"
        )


def _entries(vocabulary: Path) -> int:
    """How many pieces a file has, where it is text."""
    if vocabulary.suffix == ".txt":
        return len(vocabulary.read_text(encoding="utf-8").splitlines())
    return len(read_json(vocabulary)) if vocabulary.suffix == ".json" else 0


def ordinary(tokenizer: Tokenizer) -> set[str]:
    """The pieces that are no special tokens."""
    added = tokenizer.get_added_tokens_decoder().values()
    return {*tokenizer.get_vocab()} - {token.content for token in added if token.special}
