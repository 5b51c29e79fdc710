"""The tokenizer of a checkpoint folder, as `transformers` would read it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import read_json

TOKENIZER = "tokenizer.json"
VOCABULARIES = ("spiece.model", "sentencepiece.bpe.model", "spm.model", "vocab.json", "vocab.txt")
CONFIGS = ("special_tokens_map.json", "tokenizer_config.json")
COMPANIONS = ("merges.txt", "added_tokens.json")
"""What belongs to a vocabulary, where there is no tokenizer.json."""
ALL = (TOKENIZER, *VOCABULARIES, *CONFIGS, *COMPANIONS)
_NORMALIZER_OPTIONS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
_SIDES = ("left", "right")


def find(folder: Path) -> Path:
    """The file that the tokenizer is read from; tokenizer.json comes first."""
    found = (folder / file for file in (TOKENIZER, *VOCABULARIES) if (folder / file).exists())
    return next(found, folder / TOKENIZER)


def read(path: Path) -> Tokenizer:
    """The tokenizer of a file that `find` found.

    Its truncation and padding have the strategy, the sides and the padding token of the
    checkpoint; where a configuration contradicts tokenizer.json in these, or has added tokens
    beyond those of tokenizer.json, `transformers` follows the configuration, and so does this.

    Args:
        path: tokenizer.json, or a vocabulary that `transformers` builds a tokenizer from.

    Raises:
        SourceError: the file is missing or damaged, or contradicts the configuration beside it.
    """
    if not path.exists():
        raise SourceError(
            f"{path.parent}: no tokenizer; expected {TOKENIZER} or one of {', '.join(VOCABULARIES)}"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path)) if path.name == TOKENIZER else _built(path)
    except Exception as error:  # the tokenizers library raises plain Exception
        raise SourceError(f"{path}: cannot be read as a tokenizer ({error})") from error
    if not tokenizer.get_vocab():
        raise SourceError(f"{path}: the vocabulary is empty")
    config = path.with_name(CONFIGS[1])
    options = _json(config)
    _check_normalizer(config, options, tokenizer)
    _add_tokens(config, options, tokenizer)
    _set_sides(config, options, tokenizer)
    return tokenizer


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


def special_tokens(folder: Path) -> Mapping[str, str]:
    """Role (`pad_token`, `mask_token`) -> token, where the configuration of a folder tells."""
    found: dict[str, str] = {}
    for path in (folder / file for file in CONFIGS):
        for role, token in _json(path).items():
            content = _content(token)
            if role.endswith("_token") and isinstance(content, str):
                found[role] = content
    return found


def _built(vocabulary: Path) -> Tokenizer:
    import transformers  # noqa: PLC0415 (slow, and rarely needed)

    automatic = transformers.AutoTokenizer.from_pretrained(
        vocabulary.parent, local_files_only=True, trust_remote_code=False
    )
    if not automatic.is_fast:
        raise ValueError(f"{type(automatic).__name__} runs in Python, and has no tokenizer.json")
    backend: Tokenizer = automatic.backend_tokenizer
    return backend


def _check_normalizer(config: Path, options: Mapping[str, Any], tokenizer: Tokenizer) -> None:
    for key, attribute in _NORMALIZER_OPTIONS.items():
        found = getattr(tokenizer.normalizer, attribute, None)
        if found is None and attribute == "strip_accents":
            found = getattr(tokenizer.normalizer, "lowercase", None)
        if None not in (options.get(key), found) and options[key] != found:
            raise SourceError(
                f"{config}: {key} is {options[key]}, but the tokenizer's normalizer has "
                f"{attribute} {found}; make the two agree"
            )


def _add_tokens(config: Path, options: Mapping[str, Any], tokenizer: Tokenizer) -> None:
    """Adds what only the configuration has: its added tokens, then its special ones."""
    try:
        added = {
            int(id): AddedToken(**token)
            for id, token in (options.get("added_tokens_decoder") or {}).items()
        }
        more = [*(options.get("additional_special_tokens") or ())]
        if wrong := [token for token in more if not isinstance(_content(token), str)]:
            raise TypeError(f"expected a token, found {wrong[0]!r}")
    except (AttributeError, TypeError, ValueError) as error:
        raise SourceError(f"{config}: damaged list of tokens ({error})") from error
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for id, token in sorted(added.items()):
        if token.content not in known:
            tokenizer.add_tokens([token])
        if (found := tokenizer.token_to_id(token.content)) != id:
            raise SourceError(
                f"{config}: added_tokens_decoder gives {token.content!r} the id {id}, but the "
                f"tokenizer gives it {found}; make the two agree"
            )
    # A role whose token the vocabulary lacks is no reason for an id beyond the encoder's.
    roles = special_tokens(config.parent).values()
    special = [each for each in roles if tokenizer.token_to_id(each) is not None]
    special += map(_content, more)
    tokenizer.add_special_tokens([each for each in special if each not in known])


def _content(token: Any) -> Any:
    """A token is written as a string, or as an object with its flags."""
    return token.get("content") if isinstance(token, dict) else token


def _set_sides(config: Path, options: Mapping[str, Any], tokenizer: Tokenizer) -> None:
    truncation, padding = tokenizer.truncation or {}, tokenizer.padding or {}
    sides = {}
    for key, found in (("truncation_side", truncation), ("padding_side", padding)):
        sides[key] = options.get(key, found.get("direction", "right"))
        if sides[key] not in _SIDES:
            raise SourceError(f"{config}: {key} must be left or right, not {sides[key]!r}")
    tokenizer.enable_truncation(
        truncation.get("max_length", 512),
        strategy=truncation.get("strategy", "longest_first"),
        direction=sides["truncation_side"],
    )
    tokenizer.enable_padding(
        direction=sides["padding_side"],
        pad_id=padding.get("pad_id", 0),
        pad_type_id=options.get("pad_token_type_id", padding.get("pad_type_id", 0)),
        pad_token=padding.get("pad_token", "[PAD]"),
    )


def _json(path: Path) -> Mapping[str, Any]:
    return read_json(path) if path.exists() else {}
