"""In-graph text preprocessing, compiled from the tokenizer of a published checkpoint.

One file, or one room, a tokenizer kind: `wordpiece`, `unigram`, `bpe`, `wordlevel`. They share the
rooms `text` (strings to words), `tokenizer`, `packing`, and below these `source` and `graph`.

    >>> "WordPiece" in kinds()
    True
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer as Source

from preprocess.graph.rows import owners, stretches
from preprocess.graph.segments import Segment, flat_segment
from preprocess.packing import template
from preprocess.packing.packing import LONGEST, Packed, Packer, Padding, Truncation
from preprocess.packing.preprocessor import Preprocessor, SpecialIds
from preprocess.packing.windows import Windows, windows
from preprocess.source.components import Component, serialised
from preprocess.source.errors import PreprocessError, UnsupportedTokenizerError, VocabularyError
from preprocess.text.places import Places
from preprocess.tokenizer.tokenizer import EXACT, Tokenizer, TokenizerKind

__all__ = [
    "EXACT",
    "LONGEST",
    "Packed",
    "Packer",
    "Places",
    "PreprocessError",
    "Preprocessor",
    "Segment",
    "SpecialIds",
    "Tokenizer",
    "TokenizerKind",
    "UnsupportedTokenizerError",
    "VocabularyError",
    "Windows",
    "build",
    "flat_segment",
    "kinds",
    "owners",
    "stretches",
    "windows",
]


@functools.cache
def kinds() -> Mapping[str, TokenizerKind]:
    """Model type -> tokenizer kind, from every module of this package."""
    names = [f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)]
    modules = map(importlib.import_module, names)
    found = [module.KIND for module in modules if hasattr(module, "KIND")]
    return {kind.model: kind for kind in found}


def build(
    source: Source,
    padding: str,
    mask: str | None,
    seq_length: int,
    type_vocabulary: int,
    engine: str = EXACT,
    compiled: Tokenizer | None = None,
    numbers: Sequence[int] | None = None,
) -> Preprocessor:
    """Compiles a tokenizer and its post-processor.

    Args:
        source: the tokenizer. Its truncation and padding say how rows are shortened and filled up
            (by default from the longest segments, and behind the text), its
            `encode_special_tokens` whether special tokens in a text are text.
        padding: the token that fills rows up.
        mask: the mask token, if there is one.
        seq_length: default length S of a packed row.
        type_vocabulary: number of type ids that the encoder knows.
        engine: what tokenizes words: `exact`, or another one that the kind has, such as `fast`.
        compiled: the tokenizer, where it has been compiled before: what packs is made anew.
        numbers: id of the source's model -> id of the vocabulary, where they are not the same; of
            BPE alone.

    Raises:
        UnsupportedTokenizerError: names the component that cannot be compiled exactly, or the
            engine that the kind does not have.
        VocabularyError: a token that is needed is not in the vocabulary.
    """
    tokenizer = {**serialised(source), "numbers": numbers}
    model = tokenizer["model"]["type"]
    if model not in kinds():
        raise UnsupportedTokenizerError(
            f"tokenizers of type {model} are not supported; supported: {', '.join(kinds())}"
        )
    form = template.read(source, tokenizer)
    specials = [piece.id for piece in form.single if piece.id is not None]
    special = SpecialIds(
        vocabulary=max(source.get_vocab().values()) + 1,
        start=specials[0] if form.single[0].id is not None else None,
        end=specials[-1] if form.single[-1].id is not None else None,
        padding=_id(source, padding),
        mask=None if mask is None else _id(source, mask),
    )
    packer = Packer(
        form, _padding(special.padding, tokenizer), _truncation(tokenizer), type_vocabulary
    )
    compiled = compiled or Tokenizer(source, tokenizer, kinds()[model], engine)
    return Preprocessor(compiled, packer, special, seq_length)


def _padding(id: int, tokenizer: Component) -> Padding:
    options = tokenizer["padding"] or {"direction": "Right", "pad_type_id": 0}
    return Padding(id, options["pad_type_id"], options["direction"] == "Left")


def _truncation(tokenizer: Component) -> Truncation:
    options = tokenizer["truncation"] or {"direction": "Right", "strategy": "LongestFirst"}
    only = {"LongestFirst": None, "OnlyFirst": 0, "OnlySecond": 1}[options["strategy"]]
    return Truncation(only, options["direction"] == "Left")


def _id(source: Source, token: str) -> int:
    id: int | None = source.token_to_id(token)
    if id is None:
        raise VocabularyError(f"the special token {token!r} is not in the vocabulary")
    return id
