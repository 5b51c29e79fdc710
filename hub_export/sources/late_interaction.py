"""What a checkpoint for late interaction does with queries and documents.

ColBERT (https://arxiv.org/abs/2004.12832) is published in three layouts: sentence-transformers' own
(`MultiVectorEncoder`), PyLate's (https://arxiv.org/abs/2508.03555), and Stanford's (`HF_ColBERT`,
https://arxiv.org/abs/2112.01488). All are read as sentence-transformers reads them. An option that
is not followed is refused by name.
"""

import dataclasses
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub_export.contract import DOCUMENT, QUERY
from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import read_json
from hub_export.sources.formats.options import Options

OWN, PYLATE, STANFORD = "MultiVectorEncoder", "ColBERT", "HF_ColBERT"
METADATA = "artifact.metadata"
"""The file of options of a checkpoint of Stanford's."""

_PUNCTUATION = tuple(string.punctuation)
_PREFIXES = {QUERY: "query_prefix", DOCUMENT: "document_prefix"}
_STRATEGIES = ("fixed", "min")
_SHORTEST = 32
"""Tokens of a query of ColBERT, where a checkpoint expands queries and does not say to what."""
_OF_PYLATE = (
    *_PREFIXES.values(),
    "query_length",
    "document_length",
    "query_expansion",
    "do_query_expansion",
    "attend_to_expansion_tokens",
    "attend_to_mask_tokens",
    "skiplist_words",
)


@dataclasses.dataclass(frozen=True)
class Expansion:
    """Tokens that a short row is filled up with, whose vectors count.

    Attributes:
        length: of the rows, special tokens included.
        is_attended: whether the other tokens attend to them.
        token: which one; None for the mask token, or where there is none, that of the end.
    """

    length: int
    is_attended: bool
    token: str | None = None


@dataclasses.dataclass(frozen=True)
class Side:
    """What becomes of queries, or of documents.

    Attributes:
        prompt: what is put before a text.
        max_length: the longest row; None for that of the checkpoint.
        skipped: tokens that get no vector.
        kept: the ids that alone get one; empty for all.
        expansion: None where rows are not filled up.
    """

    prompt: str = ""
    max_length: int | None = None
    skipped: tuple[str, ...] = ()
    kept: tuple[int, ...] = ()
    expansion: Expansion | None = None


@dataclasses.dataclass(frozen=True)
class LateInteraction:
    """What becomes of queries and documents.

    Attributes:
        query: the one side.
        document: the other.
        markers: what older layouts insert as tokens, and prompts begin with.
        is_mean: whether a score is divided by the number of the query's vectors.
    """

    query: Side
    document: Side
    markers: tuple[str, ...] = ()
    is_mean: bool = False


def layout(model: Mapping[str, Any] | None, config: Mapping[str, Any]) -> str:
    """OWN, PYLATE or STANFORD; nothing for a checkpoint of another kind.

    Args:
        model: what `config_sentence_transformers.json` says; None without `modules.json`.
        config: what `config.json` says.
    """
    is_stanford = STANFORD in (config.get("architectures") or ())
    if model is None:
        return STANFORD if is_stanford else ""
    kind = model.get("model_type") or (OWN if is_stanford else None)
    if kind in (OWN, PYLATE):
        return str(kind)
    return PYLATE if any(key in model for key in _PREFIXES.values()) else ""


def read(
    model: Options, transformer: Options, mask: Options | None, prompts: Mapping[str, str]
) -> LateInteraction:
    """Reads the options of sentence-transformers and PyLate.

    Args:
        model: those of the whole.
        transformer: those of the first module, which come first.
        mask: those of the module that says which tokens get a vector; PyLate has none.
        prompts: name -> what is put before a text.

    Raises:
        SourceError: one is not supported, or they contradict each other.
    """
    prefixes = {
        name: model.take(key, str | None) or ""
        for name, key in _PREFIXES.items()
        if key in model.left
    }
    whole = {
        name: prefixes.get(name, "")
        + (prompts.get(name) or "").removeprefix(prefixes.get(name, ""))
        for name in (QUERY, DOCUMENT)
    }
    length, expansion, is_fixed = _query_rows(model, transformer)
    masks = _of_pylate(model) if mask is None else _masks(mask)
    return LateInteraction(
        dataclasses.replace(
            masks[QUERY],
            prompt=whole[QUERY],
            max_length=expansion.length if expansion and is_fixed else length,
            expansion=expansion,
        ),
        dataclasses.replace(
            masks[DOCUMENT],
            prompt=whole[DOCUMENT],
            max_length=_positive(model, transformer, "document_length"),
        ),
        tuple(each for each in prefixes.values() if each.split()),
        model.left.get("similarity_fn_name") == "meanmaxsim",
    )


def read_stanford(folder: Path) -> LateInteraction:
    """Reads the options of a checkpoint of Stanford's.

    Raises:
        SourceError: the file is missing, or an option is not supported.
    """
    options = Options(folder / METADATA, read_json(folder / METADATA))
    options.fix("similarity", "cosine")
    options.fix("interaction", "colbert")
    markers = [
        options.take(key, str | None) or default
        for key, default in (("query_token_id", "[unused0]"), ("doc_token_id", "[unused1]"))
    ]
    length = options.positive("query_maxlen") or _SHORTEST
    attends = options.take("attend_to_mask_tokens", bool | None) or False
    skips = options.take("mask_punctuation", bool, True)
    query, document = (f"{marker} " for marker in markers)
    return LateInteraction(
        Side(query, length, expansion=Expansion(length, attends)),
        Side(document, options.positive("doc_maxlen"), _PUNCTUATION if skips else ()),
        tuple(markers),
    )


def _query_rows(model: Options, transformer: Options) -> tuple[int | None, Expansion | None, bool]:
    """The longest row, the expansion, and whether its length is that of all rows."""
    is_pylate = any(key in model.left for key in _OF_PYLATE)
    length, own = model.positive("query_length"), "query_expansion" in model.left
    options = model.take("query_expansion", dict | None)
    wants = model.take("do_query_expansion", bool | None) is not False
    keys = ("attend_to_expansion_tokens", "attend_to_mask_tokens")
    attends = [model.take(key, bool | None) for key in keys if key in model.left]
    if is_pylate and not own and wants:
        options = {"strategy": "fixed", "length": length or _SHORTEST}
        options["attend"], length = bool(attends and attends[0]), None
    if "query_length" in transformer.left:
        length = transformer.positive("query_length")
    file = model.file
    if "query_expansion" in transformer.left:
        file, options = transformer.file, transformer.take("query_expansion", dict | None)
    if options is None:
        return length, None, False
    expansion, is_fixed = _expansion(Options(file, options))
    if length is not None and length < expansion.length:
        raise SourceError(
            f"{file}: query_length is {length}, less than {expansion.length}, the length of "
            "query_expansion"
        )
    return length, expansion, is_fixed


def _expansion(options: Options) -> tuple[Expansion, bool]:
    strategy = options.take("strategy", str)
    if strategy not in _STRATEGIES:
        raise SourceError(
            f"{options.file}: query_expansion: strategy: expected one of {', '.join(_STRATEGIES)}, "
            f"found {strategy!r}"
        )
    length = options.positive("length")
    if length is None:
        raise SourceError(f"{options.file}: query_expansion: length: expected a positive integer")
    found = Expansion(
        length, options.take("attend", bool, False), options.take("token", str | None)
    )
    options.close()
    return found, strategy == "fixed"


def _positive(model: Options, transformer: Options, key: str) -> int | None:
    """An option of both, of which the second one counts."""
    found = model.positive(key)
    return transformer.positive(key) if key in transformer.left else found


def _of_pylate(model: Options) -> Mapping[str, Side]:
    return {QUERY: Side(), DOCUMENT: Side(skipped=_words(model, _PUNCTUATION))}


def _masks(options: Options) -> Mapping[str, Side]:
    """Which tokens get a vector, in the words of `MultiVectorMask`."""
    skipped = _words(options, ())
    tasks = options.take("skiplist_tasks", str | list | None)
    tasks = [DOCUMENT] if tasks is None else [tasks] if isinstance(tasks, str) else tasks
    kept = options.take("keep_only_token_ids", list | None) or ()
    if not all(isinstance(id, int) for id in kept):
        raise SourceError(f"{options.file}: keep_only_token_ids: expected ids, found {kept}")
    options.close()
    return {
        QUERY: Side(skipped=skipped if QUERY in tasks else ()),
        DOCUMENT: Side(skipped=skipped if DOCUMENT in tasks else (), kept=tuple(kept)),
    }


def _words(options: Options, default: tuple[str, ...]) -> tuple[str, ...]:
    found = options.take("skiplist_words", list | None)
    if not all(isinstance(word, str) for word in found or ()):
        raise SourceError(f"{options.file}: skiplist_words: expected texts, found {found}")
    return default if found is None else tuple(found)
