"""Comparing packed rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer

from hub_export import contract
from hub_export.verify.checks import Check
from hub_export.verify.loaded import Preprocessor
from hub_export.verify.tokens.counted import NEAR, counted

_FEW = 16
"""How many texts are packed at once."""


def compare(
    model: Preprocessor,
    source: Tokenizer,
    pairs: Sequence[tuple[str, str]],
    types: int,
    advance: Any,
) -> Check:
    """Packed texts and pairs, of each length; `advance` is told how many."""
    chosen = lengths(source)
    found = [
        f"seq_length {length}: {each}"
        for length in chosen
        for each in _packing_differences(model, source, pairs, length, types, advance)
    ]
    return counted("packed texts and pairs", [*pairs] * 2 * len(chosen), found)


def lengths(source: Tokenizer) -> list[int]:
    """Packed lengths: the shortest possible, odd and even ones, and the default."""
    shortest = source.num_special_tokens_to_add(is_pair=True)
    return [shortest, shortest + 1, shortest + 4, 16, 33, contract.SEQ_LENGTH]


def packs(source: Tokenizer, text: str, pair: str | None = None) -> bool:
    """Whether the source packs it: if it shortens one text only, that may not be enough."""
    if (source.truncation or {}).get("strategy") == "longest_first":
        return True
    try:
        source.encode(text, pair)
    except Exception:  # of no other type
        return False
    return True


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
                    f"{expected[at : at + NEAR]}, found {found[at : at + NEAR]}"
                )
        advance(len(pairs))


def _chosen(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}
