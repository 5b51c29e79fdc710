"""keras-hub's tokenizers as `tokenizers` has them, with the same vocabulary and options."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeAlias

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import read_json
from hub_export.sources.keras import serialized
from hub_export.sources.tokenizer import sentencepiece, wordpiece

CONFIG = "tokenizer.json"
NOTES = (
    "Tokens are those of the preset's vocabulary and options in the `tokenizers` library, with "
    "which they were compared. keras-hub's own tokenizer, which is made of TensorFlow Text, "
    "differs from it on some characters, on long words, and on special tokens in a text.",
)
_ASSETS = "assets/tokenizer"
# `sequence_length` is the preprocessor's business here; the vocabulary is that of the files.
_IGNORED = ("name", "trainable", "dtype", "config_file", "sequence_length", "vocabulary")

Options: TypeAlias = Mapping[str, Any]
Special: TypeAlias = Mapping[str, str]
Build: TypeAlias = Callable[..., Tokenizer]


def assets(folder: Path) -> list[Path]:
    """The files of a preset's vocabulary."""
    return sorted(each for each in (folder / _ASSETS).glob("*") if each.is_file())


def vocabulary(folder: Path) -> Path | None:
    """The file that the ids of a preset are counted in; nothing where there is none."""
    return next((each for each in assets(folder) if each.stem == "vocabulary"), None)


def special_tokens(file: Path) -> Mapping[str, str]:
    """Role -> token; nothing where the preset has no tokenizer."""
    return _kind(file).special if file.exists() else {}


def read(file: Path) -> Tokenizer:
    """Builds the tokenizer that a preset's `tokenizer.json` describes.

    Raises:
        SourceError: a file is missing or damaged; its class, or an option of it, is not supported.
    """
    kind = _kind(file)
    return kind.build(file.parent / _ASSETS, kind.special, _options(kind, file), file)


def _options(kind: "TokenizerClass", file: Path) -> Options:
    """The options of a tokenizer, each of its type; those of a list are tokens."""
    written = serialized.options(file)
    written.ignore(*_IGNORED)
    found = {name: written.take(name, *option) for name, option in kind.options.items()}
    for name, value in found.items():
        if isinstance(value, list) and not all(isinstance(each, str) for each in value):
            raise SourceError(f"{file}: {name}: expected a list of tokens, found {value!r:.80}")
    for name, value in written.left.items():
        if value not in (None, False):
            raise SourceError(f"{file}: unknown option {name} (value {value!r})")
    return found


def _word_piece(folder: Path, special: Special, options: Options, file: Path) -> Tokenizer:
    if not options["split"]:
        raise SourceError(f"{file}: split false is not supported; only true is")
    tokens = [*special.values(), *(options["special_tokens"] or ())]
    normalizer = normalizers.BertNormalizer(
        handle_chinese_chars=options["split_on_cjk"],
        strip_accents=options["strip_accents"],
        lowercase=options["lowercase"],
    )
    return wordpiece.build(
        folder / "vocabulary.txt",
        normalizer,
        recognised=tokens if options["special_tokens_in_strings"] else (),
        unknown=options["oov_token"],
        prefix=options["suffix_indicator"],
    )


def _byte_pairs(folder: Path, special: Special, options: Options, file: Path) -> Tokenizer:
    path, merges = folder / "vocabulary.json", folder / "merges.txt"
    vocabulary = dict(read_json(path))
    unsplittable = list(options["unsplittable_tokens"] or special.values())
    _require(path, vocabulary, [*special.values(), *unsplittable])
    lines = [line.rstrip("\r") for line in _text(merges).split("\n")]
    # As keras-hub reads it; no pair of a merge begins with #version.
    pairs: list[Any] = [
        tuple(line.split(" ")) for line in lines if line and not line.startswith("#version:")
    ]
    prefixed = options["add_prefix_space"]
    try:
        tokenizer = Tokenizer(models.BPE(vocabulary, pairs))
    except Exception as error:  # the tokenizers library raises plain Exception
        raise SourceError(f"{merges}: does not go with {path.name} ({error})") from error
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefixed)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(unsplittable)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", vocabulary["</s>"]), ("<s>", vocabulary["<s>"]), add_prefix_space=prefixed
    )
    return tokenizer


def _unigram(build: Callable[[Path], Tokenizer]) -> Build:
    return lambda folder, special, options, file: build(folder / "vocabulary.spm")


def _without_unknown(special: Special) -> Special:
    return {role: token for role, token in special.items() if role != "unk_token"}


@dataclasses.dataclass(frozen=True)
class TokenizerClass:
    """One of keras-hub's tokenizers.

    Attributes:
        model: its kind in `tokenizers`.
        special: role -> token.
        options: their names, and types with keras-hub's defaults.
        build: makes it from the folder of its files, its special tokens and options.
    """

    model: str
    special: Special
    options: Mapping[str, tuple[type | UnionType, Any]]
    build: Build


_WORD_PIECE = TokenizerClass(
    "WordPiece",
    _without_unknown(wordpiece.SPECIAL),
    {
        "lowercase": (bool, False),
        "strip_accents": (bool, False),
        "split": (bool, True),
        "split_on_cjk": (bool, True),
        "suffix_indicator": (str, "##"),
        "oov_token": (str, "[UNK]"),
        "special_tokens": (list | None, None),
        "special_tokens_in_strings": (bool, False),
    },
    _word_piece,
)
CLASSES: Mapping[str, TokenizerClass] = {
    "BertTokenizer": _WORD_PIECE,
    "DistilBertTokenizer": _WORD_PIECE,
    "AlbertTokenizer": TokenizerClass(
        "Unigram", sentencepiece.ALBERT_SPECIAL, {}, _unigram(sentencepiece.albert)
    ),
    "RobertaTokenizer": TokenizerClass(
        "BPE",
        _without_unknown(sentencepiece.FAIRSEQ_SPECIAL),
        {"add_prefix_space": (bool, False), "unsplittable_tokens": (list | None, None)},
        _byte_pairs,
    ),
    "XLMRobertaTokenizer": TokenizerClass(
        "Unigram", sentencepiece.FAIRSEQ_SPECIAL, {}, _unigram(sentencepiece.xlm_roberta)
    ),
}
"""The tokenizers that can be read, by `class_name`."""


def _kind(file: Path) -> TokenizerClass:
    found = serialized.class_name(file)
    if found not in CLASSES:
        raise SourceError(
            f"{file}: class {found} is not supported; supported: {', '.join(CLASSES)}"
        )
    return CLASSES[found]


def _require(path: Path, vocabulary: Mapping[str, int], tokens: Any) -> None:
    if missing := [token for token in tokens if token not in vocabulary]:
        raise SourceError(f"{path}: the vocabulary has no {', '.join(map(repr, missing))}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file; a preset needs one") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as text ({error})") from error
