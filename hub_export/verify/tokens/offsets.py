"""Comparing offsets."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from tokenizers import Encoding, Tokenizer

from hub_export.verify.checks import Check
from hub_export.verify.loaded import Preprocessor
from hub_export.verify.tokens.counted import NEAR, counted


def compare(model: Preprocessor, source: Tokenizer, batches: Sequence[Sequence[str]]) -> Check:
    """The bytes that each token of some batches of texts stands for."""
    found = [each for batch in batches for each in _offset_differences(model, source, batch)]
    return counted("offsets", [*itertools.chain(*batches)], found)


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
        f"{id} at {place}" for id, place in zip(ids[:NEAR], places[:NEAR], strict=False)
    )


def _bytes(text: str, encoding: Encoding) -> list[tuple[int, int]]:
    """The offsets of an encoding, which count characters, in bytes."""
    place = np.cumsum([0, *(len(character.encode()) for character in text)])
    return [(int(place[start]), int(place[limit])) for start, limit in encoding.offsets]
