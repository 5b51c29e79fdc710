"""Comparing ids, and what they stand for."""

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf
from tokenizers import Tokenizer

from hub_export.verify.checks import Check
from hub_export.verify.loaded import Preprocessor
from hub_export.verify.tokens.counted import chunks, counted
from hub_export.verify.tokens.scripts import Tally

_TEXTS_A_TIE = 1_000
"""An engine that is not exact may differ from the source in one text of so many."""
_GRID, _FLOAT32 = 2.0**-16, 2.0**-24
"""How far off the scores of the fast engine are, and how far off each of its sums, relatively."""

Tie: TypeAlias = Callable[[Sequence[int], Sequence[int]], bool]


def compare(
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
        check, tally = counted(subject, texts[subject], words, tied), tallies[subject]
        checks.append(dataclasses.replace(check, details=tally.found) if tally else check)
        ties.update(found if tied else ())
    return checks, ties


def entries(model: Preprocessor, source: Tokenizer) -> Check:
    """Compares what each id stands for, alone and behind another one."""
    plain, ids = without_clean_up(source), sorted(source.get_vocab().values())
    rows = [*([id] for id in ids), *map(list, itertools.pairwise(ids))]
    differences = []
    for chunk in chunks(rows):
        found = model.detokenize(tf.ragged.constant(chunk, tf.int32, ragged_rank=1)).numpy()
        for row, text, wanted in zip(chunk, found, plain.decode_batch(chunk), strict=True):
            if text != wanted.encode():
                got = text.decode(errors="replace")
                differences.append(f"ids {row}: expected {wanted!a}, found {got!a}")
    return counted("vocabulary, every entry", rows, differences)


def without_clean_up(source: Tokenizer) -> Tokenizer:
    """A copy whose decoder cleans nothing up."""
    content = json.loads(source.to_str())
    decoder = content["decoder"] or {}
    for part in (decoder, *decoder.get("decoders", ())):
        part.update({"cleanup": False} if "cleanup" in part else {})
    copied = Tokenizer.from_str(json.dumps(content))
    copied.encode_special_tokens = source.encode_special_tokens
    return copied


class _Difference(NamedTuple):
    """How a text differs, in words, and whether its tokens score as those of the source."""

    words: str
    tie: bool


def never(_: Sequence[int], __: Sequence[int]) -> bool:
    """Allows no difference."""
    return False


def of_scores(source: Tokenizer) -> Tie:
    """Whether two ways to cut a text have the same score, but for the fast engine's precision."""
    scores = dict(enumerate(score for _, score in json.loads(source.to_str())["model"]["vocab"]))

    def tie(expected: Sequence[int], found: Sequence[int]) -> bool:
        wanted, got = (sum(scores.get(id, 0.0) for id in ids) for ids in (expected, found))
        return abs(wanted - got) <= len(expected) * (_GRID + _FLOAT32 * abs(wanted))

    return tie


def _token_differences(
    model: Preprocessor,
    source: Tokenizer,
    texts: Sequence[str],
    tie: Tie,
    advance: Any,
    tally: Tally | None,
) -> Iterator[tuple[str, _Difference]]:
    """Texts that differ, and how."""
    for chunk in chunks(texts):
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
