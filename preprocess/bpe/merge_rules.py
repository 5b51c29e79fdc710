"""The merge table of a BPE model, with what makes it safe to do many merges at once."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from preprocess.source.errors import UnsupportedTokenizerError

NEVER = 2**30
"""The rank of what no rule ever does."""

_MOST_PAIRS = 2**22

Pair = tuple[int, int]


class MergeTable(NamedTuple):
    """What is known of m pairs of neighbouring symbols.

    Attributes:
        pairs: int32 [m, 2], the ids of the left and of the right symbol.
        rows: int32 [m, 4], for each pair
            the rank of the rule that merges the two;
            `left_grown`, the lowest rank of a rule that merges the right symbol with one that ends
            in the left one, but is longer;
            `right_grown`, that of a rule that merges the left symbol with one that begins with
            the right one, but is longer (all three `NEVER` where there is none);
            and the id of the product.
        monotone: whether every rule comes after all rules that make its parts. If so, `pairs` are
            all that may ever be joined, as they are or grown. Otherwise they are those of the
            rules, and nothing is known of growth.
    """

    pairs: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    monotone: bool


def compile_merges(model: Mapping[str, Any]) -> MergeTable:
    """Compiles the `merges` of a serialised model.

    Raises:
        UnsupportedTokenizerError: a rule makes nothing new, or what shares its id.
    """
    rules = _rules(model)
    bounds = _bounds(rules)
    monotone = bounds is not None
    if bounds is None:
        bounds = {pair: [rank, NEVER, NEVER] for pair, (rank, _) in rules.items()}
    rows = [[*row, rules[pair][1] if pair in rules else 0] for pair, row in bounds.items()]
    pairs = np.array([*bounds], np.int32).reshape(-1, 2)
    return MergeTable(pairs, np.array(rows, np.int32).reshape(-1, 4), monotone)


def _rules(model: Mapping[str, Any]) -> dict[Pair, Pair]:
    """Pair of ids -> rank and product, by rank; of rules on one pair the last one holds."""
    vocab = model["vocab"]
    skipped = len((model.get("continuing_subword_prefix") or "").encode())
    rules: dict[Pair, Pair] = {}
    products: dict[int, str] = {}
    for rank, merge in enumerate(model["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        text = left + right.encode()[skipped:].decode()
        # A rule that adds nothing, or two pieces of one id, could set off a merge out of turn.
        if text == left or products.setdefault(vocab[text], text) != text:
            raise UnsupportedTokenizerError(
                f"a merge of {left!r} and {right!r} into {text!r}: empty part, or an id used twice"
            )
        rules.pop((vocab[left], vocab[right]), None)
        rules[vocab[left], vocab[right]] = rank, vocab[text]
    return rules


def _bounds(rules: Mapping[Pair, Pair]) -> dict[Pair, list[int]] | None:
    """The pairs of `MergeTable` -> its first three columns; None if not monotone, or too many."""
    bounds: dict[Pair, list[int]] = {}
    begins: dict[int, set[int]] = {}
    ends: dict[int, set[int]] = {}
    used: set[int] = set()
    for (left, right), (rank, product) in rules.items():
        for a in ends.get(left, {left}):
            for b in begins.get(right, {right}):
                row = bounds.setdefault((a, b), [NEVER] * 3)
                for column, known in enumerate(((left, right), (a, right), (left, b))):
                    if known == (a, b):
                        row[column] = min(row[column], rank)
                        break
        begins.setdefault(product, {product}).update(begins.get(left, {left}))
        ends.setdefault(product, {product}).update(ends.get(right, {right}))
        used |= {left, right}
        if product in used or len(bounds) > _MOST_PAIRS:
            return None
    return bounds
