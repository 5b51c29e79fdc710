"""The tokenizer of a checkpoint folder, as `transformers` would read it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import read_json
from hub_export.sources.tokenizer import esm, fastbpe, sentencepiece

TOKENIZER = "tokenizer.json"
VOCABULARIES = ("spiece.model", "sentencepiece.bpe.model", "spm.model", "vocab.json", "vocab.txt")
CONFIGS = ("special_tokens_map.json", "tokenizer_config.json")
COMPANIONS = ("merges.txt", "added_tokens.json")
"""What belongs to a vocabulary, where there is no tokenizer.json."""
ALL = (TOKENIZER, *VOCABULARIES, *CONFIGS, *COMPANIONS, fastbpe.CODES)
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
PADDING_TYPES = {"XLNetTokenizer": 3}
_SPLITTING = {
    "BertJapaneseTokenizer": "MeCab, Sudachi or Juman++",
    "FlaubertTokenizer": "the rules of Moses",
    "RoFormerTokenizer": "the dictionary of Jieba",
    "XLMTokenizer": "the rules of Moses",
}
"""Class of `transformers` -> what it does before the tokenizer that its files describe."""
_PASSED_OVER: Mapping[str, Any] = {
    "clean_text": True,
    "do_basic_tokenize": True,
    "never_split": None,
    "wordpieces_prefix": "##",
}
"""Options that `transformers` 5 accepts without effect, and their defaults."""


_FROM_PYTHON: Mapping[str, Callable[[Any], Tokenizer]] = {
    **dict.fromkeys(fastbpe.CLASSES, fastbpe.built),
    **dict.fromkeys(esm.CLASSES, esm.built),
}
"""Class of `transformers` that runs in Python -> what builds the same tokenizer."""


def find(folder: Path) -> Path:
    """The file that the tokenizer is read from; tokenizer.json comes first.

    But for what `transformers` reads itself, whatever others have made of it (see `fastbpe`).
    """
    codes = folder / fastbpe.CODES
    if codes.exists() and _class_of(folder) in fastbpe.CLASSES:
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
        tokenizer = Tokenizer.from_file(str(path)) if path.name == TOKENIZER else _built(path)
    except Exception as error:  # the tokenizers library raises plain Exception
        raise SourceError(f"{path}: cannot be read as a tokenizer ({error})") from error
    if not _ordinary(tokenizer):
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
    config = path.with_name(CONFIGS[1])
    options = _json(config)
    _check_normalizer(config, options, tokenizer)
    _add_tokens(config, options, tokenizer)
    _set_sides(config, options, tokenizer)
    tokenizer.encode_special_tokens = _flag(config, options, "split_special_tokens")
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
    options = _json(file)
    found = {
        key: options[key]
        for key, default in _PASSED_OVER.items()
        if options.get(key, default) not in (default, None, [])
    }
    return tuple(
        f"{file.name} says {key} {value!r}, which transformers 5 passes over, and so does this."
        for key, value in found.items()
    )


def _built(vocabulary: Path) -> Tokenizer:
    import transformers  # noqa: PLC0415 (slow, and rarely needed)

    named, has_codes = _class_of(vocabulary.parent), vocabulary.with_name(fastbpe.CODES).exists()
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
    written, built = sentencepiece.kind(vocabulary), type(backend.model).__name__
    if written not in ("", built):
        raise ValueError(
            f"it is a SentencePiece model of kind {written}, of which {kind} of transformers makes "
            f"a {built} tokenizer, with other tokens: save {TOKENIZER} of the tokenizer that was "
            "trained beside it"
        )
    entries, read = _entries(vocabulary), len(_ordinary(backend))
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
    return path.name != TOKENIZER and _class_of(path.parent) in _FROM_PYTHON


def _class_of(folder: Path) -> object:
    """The class of `transformers` for a folder, named by its files or that of the model's type."""
    from transformers.models.auto import tokenization_auto  # noqa: PLC0415 (slow, rarely needed)

    config = _json(folder / "config.json")
    named = _json(folder / CONFIGS[1]).get("tokenizer_class") or config.get("tokenizer_class")
    return named or tokenization_auto.TOKENIZER_MAPPING_NAMES.get(config.get("model_type"))


def _refuse_python(kind: object) -> None:
    """Refuses a class of `transformers` that is not made of `tokenizers`."""
    import transformers  # noqa: PLC0415
    from transformers.models.auto import tokenization_auto  # noqa: PLC0415

    if not isinstance(kind, str):
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


def _ordinary(tokenizer: Tokenizer) -> set[str]:
    """The pieces that are no special tokens."""
    added = tokenizer.get_added_tokens_decoder().values()
    return {*tokenizer.get_vocab()} - {token.content for token in added if token.special}


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
    legacy = _json(config.with_name(CONFIGS[0])) if listed is None else {}
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
        for token, id in _json(file).items()
    }


def _content(token: Any) -> Any:
    """A token is written as a string, or as an object with its flags."""
    return token.get("content") if isinstance(token, dict) else token


def _set_sides(config: Path, options: Mapping[str, Any], tokenizer: Tokenizer) -> None:
    truncation, padding = tokenizer.truncation or {}, tokenizer.padding or {}
    sides = {}
    kind = str(options.get("tokenizer_class") or _class_of(config.parent)).removesuffix("Fast")
    usual = "left" if kind in PADS_LEFT else "right"
    for key, found in (
        ("truncation_side", {"direction": "right", **truncation}),
        ("padding_side", {"direction": usual, **padding}),
    ):
        sides[key] = options.get(key, found["direction"])
        if sides[key] not in _SIDES:
            raise SourceError(f"{config}: {key} must be left or right, not {sides[key]!r}")
    tokenizer.enable_truncation(
        truncation.get("max_length", 512),
        strategy=truncation.get("strategy", "longest_first"),
        direction=sides["truncation_side"],
    )
    pad_type = options.get(
        "pad_token_type_id", padding.get("pad_type_id", PADDING_TYPES.get(kind, 0))
    )
    if not isinstance(pad_type, int) or not 0 <= pad_type < _MOST_TYPES:
        raise SourceError(f"{config}: pad_token_type_id: expected a type id, found {pad_type!r}")
    tokenizer.enable_padding(
        direction=sides["padding_side"],
        pad_id=padding.get("pad_id", 0),
        pad_type_id=int(pad_type),
        pad_token=padding.get("pad_token", "[PAD]"),
    )


def _flag(config: Path, options: Mapping[str, Any], key: str) -> bool:
    found = options.get(key) or False
    if not isinstance(found, bool):
        raise SourceError(f"{config}: {key}: expected true or false, found {found!r}")
    return found


def _json(path: Path) -> Mapping[str, Any]:
    return read_json(path) if path.exists() else {}
