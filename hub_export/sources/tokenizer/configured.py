"""What the configuration beside a tokenizer says of it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from hub_export.errors import SourceError
from hub_export.sources.tokenizer.built import class_of
from hub_export.sources.tokenizer.names import COMPANIONS, CONFIGS, optional_json

_NORMALIZER_OPTIONS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
_SIDES = ("left", "right")
_MOST_TYPES = 1 << 16
# What the classes of `transformers` do where no file says anything.
PADS_LEFT = frozenset(
    """
    CodeLlamaTokenizer CohereTokenizer GemmaTokenizer LlamaTokenizer Siglip2Tokenizer
    XLNetTokenizer
    """.split()
)


def apply(config: Path, tokenizer: Tokenizer) -> None:
    """Does what the configuration beside a tokenizer says.

    Raises:
        SourceError: it is damaged, or contradicts the tokenizer.
    """
    options = optional_json(config)
    _check_normalizer(config, options, tokenizer)
    _add_tokens(config, options, tokenizer)
    _set_sides(config, options, tokenizer)
    tokenizer.encode_special_tokens = _flag(config, options, "split_special_tokens")


def special_tokens(folder: Path) -> Mapping[str, str]:
    """Role (`pad_token`, `mask_token`) -> token, where the configuration of a folder tells."""
    found: dict[str, str] = {}
    for path in (folder / file for file in CONFIGS):
        for role, token in optional_json(path).items():
            content = _content(token)
            if role.endswith("_token") and isinstance(content, str):
                found[role] = content
    return found


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
    """Adds what only the configuration has, in the order of `transformers`."""
    listed = options.get("added_tokens_decoder")
    # The older files are read only where the configuration has no such list.
    legacy = optional_json(config.with_name(CONFIGS[0])) if listed is None else {}
    try:
        added = {int(id): AddedToken(**token) for id, token in (listed or {}).items()}
        more = [*_extra(options), *_extra(legacy)]
        if listed is None:
            added |= _older(config.with_name(COMPANIONS[1]), {token.content for token in more})
    except (AttributeError, TypeError, ValueError) as error:
        raise SourceError(f"{config}: damaged list of tokens ({error})") from error
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for id, token in sorted(added.items()):
        if token.content not in known:
            tokenizer.add_tokens([token])
        if (found := tokenizer.token_to_id(token.content)) != id:
            file = config.with_name(COMPANIONS[1]) if listed is None else config
            raise SourceError(
                f"{file}: {token.content!r} has the id {id}, but the tokenizer gives it {found}; "
                "make the two agree"
            )
    # A role whose token the vocabulary lacks is no reason for an id beyond the encoder's.
    roles = special_tokens(config.parent).values()
    special = [
        AddedToken(each, special=True) for each in roles if tokenizer.token_to_id(each) is not None
    ]
    tokenizer.add_special_tokens([each for each in [*special, *more] if each.content not in known])


def _extra(options: Mapping[str, Any]) -> list[AddedToken]:
    """Special tokens without a role of their own: a list, or name -> token.

    Raises:
        TypeError: they are none.
    """
    found = options.get("extra_special_tokens") or options.get("additional_special_tokens") or ()
    tokens = list[AddedToken]()
    for each in found.values() if isinstance(found, dict) else found:
        if not isinstance(_content(each), str):
            raise TypeError(f"expected a token, found {each!r}")
        flags = dict(each) if isinstance(each, dict) else {"content": each}
        flags.pop("__type", None)
        tokens.append(AddedToken(**{**flags, "special": True}))
    return tokens


def _older(file: Path, special: Collection[str]) -> dict[int, AddedToken]:
    """The tokens of added_tokens.json: token -> id."""
    return {
        int(id): AddedToken(token, special=token in special, normalized=token not in special)
        for token, id in optional_json(file).items()
    }


def _content(token: Any) -> Any:
    """A token is written as a string, or as an object with its flags."""
    return token.get("content") if isinstance(token, dict) else token


def _set_sides(config: Path, options: Mapping[str, Any], tokenizer: Tokenizer) -> None:
    truncation, padding = tokenizer.truncation or {}, tokenizer.padding or {}
    sides = {key: options[key] for key in ("truncation_side", "padding_side") if key in options}
    sides.setdefault("truncation_side", truncation.get("direction", "right"))
    if "padding_side" not in sides:  # only then is the class looked for
        sides["padding_side"] = padding.get("direction") or _usual_side(config.parent)
    for key, side in sides.items():
        if side not in _SIDES:
            raise SourceError(f"{config}: {key} must be left or right, not {side!r}")
    tokenizer.enable_truncation(
        truncation.get("max_length", 512),
        strategy=truncation.get("strategy", "longest_first"),
        direction=sides["truncation_side"],
    )
    pad_type = options.get("pad_token_type_id", padding.get("pad_type_id", 0))
    if not isinstance(pad_type, int) or not 0 <= pad_type < _MOST_TYPES:
        raise SourceError(f"{config}: pad_token_type_id: expected a type id, found {pad_type!r}")
    tokenizer.enable_padding(
        direction=sides["padding_side"],
        pad_id=padding.get("pad_id", 0),
        pad_type_id=int(pad_type),
        pad_token=padding.get("pad_token", "[PAD]"),
    )


def _usual_side(folder: Path) -> str:
    """Where the class of `transformers` for a folder pads."""
    kind = class_of(folder) or ""
    return "left" if kind.removesuffix("Fast") in PADS_LEFT else "right"


def _flag(config: Path, options: Mapping[str, Any], key: str) -> bool:
    found = options.get(key) or False
    if not isinstance(found, bool):
        raise SourceError(f"{config}: {key}: expected true or false, found {found!r}")
    return found
