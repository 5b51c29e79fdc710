"""Texts that source and export are asked about, and how either is asked."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from tokenizers import Tokenizer

from hub_export import contract
from hub_export.errors import SourceError
from hub_export.models.embedding_plan import Plan
from hub_export.verify import samples
from hub_export.verify.references.task import TaskReference
from hub_export.verify.samples import Ids

A = TypeVar("A", bound="OfTexts")
T = TypeVar("T")
Rows = Sequence[Ids]
"""Ids, mask and type ids, int32 [B, S] each."""

RANDOM, OF_ALL_LENGTHS = 40, 24
"""How many texts of a kind there are."""
_BATCH = 8
# Longer rows take minutes, and gigabytes for the attention of one text.
_LONGEST = 1024
_PARTS = 3

Texts = Sequence[tuple[str, ...]]
"""One a row; two where a pair is."""
Fits = Callable[..., bool]
"""Whether a row of texts has place in a copy of shorter rows; it takes them one by one."""
Columns = Sequence[tf.Tensor]
"""The texts of a batch; of pairs the first ones, then the second ones."""


class OfTexts:
    """Answers about texts: a dataclass whose arrays and lists have an entry for each of these."""

    texts: Texts

    def where(self: A, fits: Fits) -> A:
        """Those about texts that fit."""
        kept = np.array([fits(*each) for each in self.texts], bool)
        values: dict[str, Any] = vars(self)
        arrays = {k: each[kept] for k, each in values.items() if isinstance(each, np.ndarray)}
        lists = {
            k: [*itertools.compress(each, kept)]
            for k, each in values.items()
            if isinstance(each, list)
        }
        return dataclasses.replace(self, **arrays, **lists)  # type: ignore[type-var]


def sample_texts(tokenizer: Tokenizer, plan: Plan) -> list[str]:
    """Awkward texts, random ones, and real words in rows of all lengths up to beyond the longest.

    Texts of too many tokens are left out where rows may be very long.
    """
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    pieces = sorted(tokenizer.get_vocab())
    texts = [
        *samples.AWKWARD,
        *samples.fuzz(pieces, special, RANDOM),
        *samples.lengths(pieces, OF_ALL_LENGTHS, 2 * plan.max_length),
    ]
    return [text for text in texts if len(tokenizer.encode(plan.prompt + text)) <= _LONGEST]


def sample_pairs(tokenizer: Tokenizer, texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Pairs of the texts that are not much longer than a row."""
    return [*itertools.pairwise(short(tokenizer, texts))]


def short(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """The texts that are not much longer than a row.

    For each two parts of a pair that are cut off, the `tokenizers` library makes a row of its own,
    and rows of these again: gigabytes for long texts and short rows.
    """
    return [text for text in texts if len(tokenizer.encode(text).overflowing) <= _PARTS]


def row(tokenizer: Tokenizer, types: int, text: str, *others: str) -> list[Ids]:
    """A text or a pair as the source packs it: ids, mask, type ids, int32 [1, S] each.

    Args:
        tokenizer: with the plan applied.
        types: the encoder's number of type ids; a tokenizer that counts further stays at the last.
        text: the text.
        others: the second text of a pair.
    """
    read = tokenizer.encode(text, next(iter(others), None))
    type_ids = np.minimum(read.type_ids, max(types, 1) - 1)
    return [np.array([each], np.int32) for each in (read.ids, read.attention_mask, type_ids)]


def certain(model: TaskReference, texts: Sequence[T], packed: Callable[[T], Rows]) -> list[T]:
    """The texts without those whose outputs hang on a rounding.

    Raises:
        SourceError: that is all of them.
    """
    found = [each for each in texts if not model.is_doubtful(*packed(each))]
    if texts and not found:
        raise SourceError(
            f"all {len(texts)} texts hang on a rounding between two experts, so that no numbers "
            "can be compared; are the weights of a router all the same? Say verify=none to export "
            "without comparing"
        )
    return found


def batches(texts: Texts) -> Iterator[tuple[slice, list[tf.Tensor]]]:
    """A few texts at a time: which ones, and their columns."""
    for begin in range(0, len(texts), _BATCH):
        rows = slice(begin, begin + _BATCH)
        yield rows, [tf.constant(each) for each in zip(*texts[rows], strict=True)]


def by_signature(model: Any, name: str, *keys: str) -> Callable[[Columns], Mapping[str, tf.Tensor]]:
    """Asks a signature of inputs of these names; of texts, or of pairs, if none is said."""
    keys = keys or (contract.TEXT, contract.TEXT_PAIR)
    return lambda columns: model.signatures[name](**dict(zip(keys, columns, strict=False)))


def words_of(tokenizer: Tokenizer) -> Callable[[int], str]:
    """What each id stands for."""
    return lambda id: str(tokenizer.decode([id], skip_special_tokens=False))
