"""Comparing an exported preprocessor with the source tokenizer."""

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf
from tokenizers import Encoding, Tokenizer

from hub_export import contract
from hub_export.sources.tokenizer.files import restored, unpacked
from hub_export.terminal import Progress
from hub_export.verify import samples
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.loaded import Preprocessor
from hub_export.verify.samples import Amount
from hub_export.verify.scripts import Tally

_CODEPOINTS, _ENTRIES = "tokens, every codepoint", "tokens, every vocabulary entry"
_AWKWARD, _RANDOM = "tokens, awkward strings", "tokens, fuzz strings"
_TOKENS = (_CODEPOINTS, _ENTRIES, _AWKWARD, _RANDOM)
_CHUNK = 10_000
_FEW = 16
_SHOWN, _NEAR = 3, 8
_TEXTS_A_TIE = 1_000
"""An engine that is not exact may differ from the source in one text of so many."""
_GRID, _FLOAT32 = 2.0**-16, 2.0**-24
"""How far off the scores of the fast engine are, and how far off each of its sums, relatively."""

Tie: TypeAlias = Callable[[Sequence[int], Sequence[int]], bool]


def compare(
    model: Any,
    source: Tokenizer,
    types: int,
    progress: Progress,
    amount: Amount = samples.WHOLE,
    ties: bool = False,
    scripts: bool = False,
) -> list[Check]:
    """Compares a loaded preprocessor with its source: each check must find no difference.

    Where ties are allowed, the tokens of one text in a thousand may differ, over all checks, if
    they have the score of the source's. Texts that do are counted, and left out of the comparison
    of offsets and packed texts.

    Args:
        model: the loaded SavedModel.
        source: the tokenizer; its truncation and padding are how the preprocessor packs.
        types: number of type ids that the encoder knows; the source's are cut to it.
        progress: told of every text.
        amount: how much to compare.
        ties: whether the preprocessor may differ where two ways to cut a word are as good as equal.
        scripts: whether to count what is compared of each script.
    """
    with unpacked(source):
        texts, unreached = _texts(source, amount)
    tie = _ties(source) if ties else _never
    total = sum(map(len, texts.values())) + 2 * amount.pairs * len(_lengths(source))
    loaded = Preprocessor(model)
    with progress.bar("verifying tokens", total) as advance:
        with unpacked(source):
            checks, tied = _tokens(loaded, source, texts, tie, advance, scripts)
            checks = [_reached(check, unreached) for check in checks]
            checks.append(_entries(loaded, source))
            awkward, fuzz = (
                [text for text in each if text not in tied]
                for each in (texts[_AWKWARD], texts[_RANDOM])
            )
            drawn = fuzz[: 2 * amount.pairs]
            batches = [[*awkward, *drawn], *map(list, samples.EDGES)]
            checks.append(_offsets(loaded, source, batches))
        pairs = list(zip(drawn[::2], drawn[1::2], strict=True))
        with restored(source):
            checks.append(_packed(loaded, source, pairs, types, advance))
    return checks


def _texts(source: Tokenizer, amount: Amount) -> tuple[Mapping[str, Sequence[str]], int]:
    """What is compared -> texts; and how many entries of the vocabulary none of them gives."""
    ids = sorted(source.get_vocab().values())
    pieces = [source.decode([id], skip_special_tokens=False) for id in ids]
    special = [token.content for token in source.get_added_tokens_decoder().values()]
    reaching, unreached = samples.vocabulary(source)
    texts = {
        _CODEPOINTS: list(samples.codepoints(amount.step)),
        _ENTRIES: reaching,
        _AWKWARD: samples.AWKWARD,
        _RANDOM: list(samples.fuzz(pieces, special, amount.fuzz)),
    }
    return texts, unreached


def _entries(model: Preprocessor, source: Tokenizer) -> Check:
    """Compares what each id stands for, alone and behind another one."""
    plain, ids = without_clean_up(source), sorted(source.get_vocab().values())
    rows = [*([id] for id in ids), *map(list, itertools.pairwise(ids))]
    differences = []
    for chunk in _chunks(rows):
        found = model.detokenize(tf.ragged.constant(chunk, tf.int32, ragged_rank=1)).numpy()
        for row, text, wanted in zip(chunk, found, plain.decode_batch(chunk), strict=True):
            if text != wanted.encode():
                got = text.decode(errors="replace")
                differences.append(f"ids {row}: expected {wanted!a}, found {got!a}")
    return _counted("vocabulary, every entry", rows, differences)


def _reached(check: Check, unreached: int) -> Check:
    """Adds to the check of the vocabulary how many entries no text has given."""
    if check.subject != _ENTRIES:
        return check
    figures = {**check.figures, "never_produced": unreached}
    words = f"{check.found}; no text gives {unreached:,} of the entries"
    return dataclasses.replace(check, found=words, figures=figures)


def without_clean_up(source: Tokenizer) -> Tokenizer:
    """A copy whose decoder cleans nothing up."""
    content = json.loads(source.to_str())
    decoder = content["decoder"] or {}
    for part in (decoder, *decoder.get("decoders", ())):
        part.update({"cleanup": False} if "cleanup" in part else {})
    copied = Tokenizer.from_str(json.dumps(content))
    copied.encode_special_tokens = source.encode_special_tokens
    return copied


def _tokens(
    model: Preprocessor,
    source: Tokenizer,
    texts: Mapping[str, Sequence[str]],
    tie: Tie,
    advance: Any,
    scripts: bool,
) -> tuple[list[Check], set[str]]:
    """Compares tokens; gives the texts that differ in ties as well, where ties are few."""
    tallies = {subject: Tally() if scripts else None for subject in texts}
    differences = {
        subject: dict(_token_differences(model, source, each, tie, advance, tallies[subject]))
        for subject, each in texts.items()
    }
    few = _TEXTS_A_TIE * sum(map(len, differences.values())) <= sum(map(len, texts.values()))
    checks, ties = [], set[str]()
    for subject, found in differences.items():
        tied = few and all(each.tie for each in found.values())
        words = [each.words for each in found.values()]
        check, tally = _counted(subject, texts[subject], words, tied), tallies[subject]
        checks.append(dataclasses.replace(check, details=tally.found) if tally else check)
        ties.update(found if tied else ())
    return checks, ties


def _packed(
    model: Preprocessor,
    source: Tokenizer,
    pairs: Sequence[tuple[str, str]],
    types: int,
    advance: Any,
) -> Check:
    lengths = _lengths(source)
    found = [
        f"seq_length {length}: {each}"
        for length in lengths
        for each in _packing_differences(model, source, pairs, length, types, advance)
    ]
    return _counted("packed texts and pairs", [*pairs] * 2 * len(lengths), found)


def summary(checks: Iterable[Check]) -> str:
    """How many texts differ, over all checks of tokens."""
    tokens = [check.figures for check in checks if check.subject in _TOKENS]
    differ, compared = (sum(each[key] for each in tokens) for key in ("differences", "compared"))
    return f"{differ:,} of {compared:,} texts differ from the source"


def _counted(
    subject: str, compared: Sequence[Any], differences: Iterable[str], tied: bool = False
) -> Check:
    found = list(differences)
    figures = {"compared": len(compared), "differences": len(found), "first": found[:_SHOWN]}
    words = f"{len(found)} differences in {len(compared):,}"
    if found:
        words += f"{', all of them ties' if tied else ''}, the first: {found[0]}"
    return Check(subject, Outcome.PASSED if tied or not found else Outcome.FAILED, words, figures)


class _Difference(NamedTuple):
    """How a text differs, in words, and whether its tokens score as those of the source."""

    words: str
    tie: bool


def _never(_: Sequence[int], __: Sequence[int]) -> bool:
    return False


def _ties(source: Tokenizer) -> Tie:
    """Whether two ways to cut a text have the same score, but for the fast engine's precision."""
    scores = dict(enumerate(score for _, score in json.loads(source.to_str())["model"]["vocab"]))

    def tie(expected: Sequence[int], found: Sequence[int]) -> bool:
        wanted, got = (sum(scores.get(id, 0.0) for id in ids) for ids in (expected, found))
        return abs(wanted - got) <= len(expected) * (_GRID + _FLOAT32 * abs(wanted))

    return tie


def _chunks(texts: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (texts[begin : begin + _CHUNK] for begin in range(0, len(texts), _CHUNK))


def _token_differences(
    model: Preprocessor,
    source: Tokenizer,
    texts: Sequence[str],
    tie: Tie,
    advance: Any,
    tally: Tally | None,
) -> Iterator[tuple[str, _Difference]]:
    """Texts that differ, and how."""
    for chunk in _chunks(texts):
        ids = model.tokenize(tf.constant(chunk))
        rows = ids.merge_dims(1, -1).to_list()
        expected = source.encode_batch(chunk, add_special_tokens=False)
        differ = [row != encoding.ids for row, encoding in zip(rows, expected, strict=True)]
        if tally:
            tally.add(chunk, expected, differ)
        for text, row, encoding, differs in zip(chunk, rows, expected, differ, strict=True):
            if differs:
                words = f"{text[:60]!a}: expected {encoding.ids[:12]}, found {row[:12]}"
                yield text, _Difference(words, tie(encoding.ids, row))
        advance(len(chunk))


def _offsets(model: Preprocessor, source: Tokenizer, batches: Sequence[Sequence[str]]) -> Check:
    found = [each for batch in batches for each in _offset_differences(model, source, batch)]
    return _counted("offsets", [*itertools.chain(*batches)], found)


def _offset_differences(
    model: Preprocessor, source: Tokenizer, texts: Sequence[str]
) -> Iterator[str]:
    found = [each.merge_dims(1, -1) for each in model.tokenize_with_offsets(tf.constant(texts))]
    expected = source.encode_batch(texts, add_special_tokens=False)
    for text, ids, starts, limits, encoding in zip(
        texts, *(each.to_list() for each in found), expected, strict=True
    ):
        if (ids, list(zip(starts, limits, strict=True))) != (encoding.ids, _bytes(text, encoding)):
            wanted = _shown(encoding.ids, _bytes(text, encoding))
            got = _shown(ids, list(zip(starts, limits, strict=True)))
            yield f"{text[:60]!a}: expected {wanted}, found {got}"


def _shown(ids: Sequence[int], places: Sequence[tuple[int, int]]) -> str:
    """The first ids and the bytes that they stand for."""
    return ", ".join(
        f"{id} at {place}" for id, place in zip(ids[:_NEAR], places[:_NEAR], strict=False)
    )


def _chosen(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def packs(source: Tokenizer, text: str, pair: str | None = None) -> bool:
    """Whether the source packs it: if it shortens one text only, that may not be enough."""
    if (source.truncation or {}).get("strategy") == "longest_first":
        return True
    try:
        source.encode(text, pair)
    except Exception:  # of no other type
        return False
    return True


def _bytes(text: str, encoding: Encoding) -> list[tuple[int, int]]:
    """The offsets of an encoding, which count characters, in bytes."""
    place = np.cumsum([0, *(len(character.encode()) for character in text)])
    return [(int(place[start]), int(place[limit])) for start, limit in encoding.offsets]


def _lengths(source: Tokenizer) -> list[int]:
    """Packed lengths: the shortest possible, odd and even ones, and the default."""
    shortest = source.num_special_tokens_to_add(is_pair=True)
    return [shortest, shortest + 1, shortest + 4, 16, 33, contract.SEQ_LENGTH]


def packed_rows(source: Tokenizer, texts: Sequence[Any]) -> Iterator[tuple[list[int], ...]]:
    """Ids, mask and type ids of texts or pairs, a few at a time.

    The `tokenizers` library also makes rows of what truncation cuts off, for a pair of every two
    parts: all texts at once would take gigabytes.
    """
    for begin in range(0, len(texts), _FEW):
        for each in source.encode_batch(texts[begin : begin + _FEW]):
            yield each.ids, each.attention_mask, each.type_ids


def _packing_differences(
    model: Preprocessor,
    source: Tokenizer,
    pairs: Sequence[tuple[str, str]],
    length: int,
    types: int,
    advance: Any,
) -> Iterator[str]:
    truncation, padding = source.truncation or {}, source.padding or {}
    source.enable_truncation(length, **_chosen(truncation, "strategy", "direction"))
    sides = _chosen(padding, "pad_type_id", "direction")
    source.enable_padding(length=length, pad_id=model.padding_id, **sides)
    pairs = [pair for pair in pairs if packs(source, pair[0]) and packs(source, *pair)]
    columns = [model.tokenize(tf.constant(column)) for column in zip(*pairs, strict=True)]
    for segments, texts in ((columns[:1], [first for first, _ in pairs]), (columns, pairs)):
        packed = model.pack(segments, length)
        ids, mask, type_ids = np.moveaxis(np.array([*packed_rows(source, texts)]), 1, 0)
        wanted = {
            contract.WORD_IDS: ids,
            contract.MASK: mask,
            contract.TYPE_IDS: np.minimum(type_ids, types - 1),
        }
        for name, rows in wanted.items():
            differs = (packed[name].numpy() != rows).any(axis=1)
            for row in np.flatnonzero(differs).tolist():
                expected, found = rows[row].tolist(), packed[name].numpy()[row].tolist()
                at = int(np.argmax(packed[name].numpy()[row] != rows[row]))
                yield (
                    f"{name} of {texts[row]!a:.80} from position {at} on: expected "
                    f"{expected[at : at + _NEAR]}, found {found[at : at + _NEAR]}"
                )
        advance(len(pairs))
